"""The outputs of the losses in C: the functions of `losses.functions` one by one."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..layout.network import Network
from ..losses import LOSSES, functions
from ..validation import choice

#: By a function of logits: C code that makes the outputs y of the logits z, perhaps in the same
#: array, one y[o] or all, and how many logits make one output, 0: all of them.
FORMS: dict[Any, tuple[str, int]] = {
    functions.identity: ("", 1),
    functions.sigmoid: ("y[o] = NAME_sigmoid(z[o]);", 1),
    functions.rates: ("y[o] = NAME_exp(z[o]);", 1),
    functions.above_zero: ("y[o] = z[o] > ZERO ? ONE : ZERO;", 1),
    functions.first_of_each: ("y[o] = z[2 * o];", 2),
    functions.means_and_scales: (
        f"y[o] = o % 2 ? NAME_exp(z[o]) + (REAL){functions.FLOOR} : z[o];",
        1,
    ),
    functions.largest: (
        """\
    y[0] = ZERO;
    for (int o = 1; o < NAME_logits; o++)
        if (z[o] > z[(int)y[0]])
            y[0] = (REAL)o;
""",
        0,
    ),
    functions.softmax: (
        """\
    REAL largest = z[0], sum = ZERO;
    for (int o = 1; o < NAME_logits; o++)
        largest = z[o] > largest ? z[o] : largest;
    for (int o = 0; o < NAME_logits; o++)
        sum += NAME_exp(z[o] - largest);
    for (int o = 0; o < NAME_logits; o++)
        y[o] = NAME_exp(z[o] - largest) / sum;
""",
        1,
    ),
}


class Output(NamedTuple):
    """Outputs of a step."""

    size: int
    code: str  #: makes them of the logits z


def output_of(net: Network, method: str) -> Output:
    """Return the outputs that a method of models has, of a network with a head.

    Raises
    ------
    TypeError, ValueError
        There is no such method, the loss has no such outputs, or they are not written in C.
    """
    loss = LOSSES[net.loss]
    functions_of = {
        "predict": loss.labels or loss.means or loss.activation,
        "predict_proba": loss.activation if loss.classifies else None,
        "decision_function": functions.identity,
        "predict_distribution": loss.activation if loss.means else None,
    }
    function = functions_of[choice("output", method, functions_of)]
    if function is None:
        raise ValueError(f"output {method} is not for a model with loss {net.loss}")
    if function not in FORMS:
        raise ValueError(f"the outputs of loss {net.loss} are not written in C; its logits are")
    code, each = FORMS[function]
    if code.endswith(";"):
        code = f"    for (int o = 0; o < NAME_outputs; o++)\n        {code}\n"
    return Output(net.output_size // each if each else 1, code)
