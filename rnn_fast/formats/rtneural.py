"""Models as JSON of audio plug-ins: for RTNeural and AIDA-X, and for GuitarML.

RTNeural reads `in_shape` and `layers`, which are Keras's: a kernel (I, G H), a recurrent kernel
(H, G H) and a bias, (G H,) or of a GRU (2, G H), that of the input and that of h_{t-1}; of a dense
layer (H, O) and (O,).  The last number of a shape is the size of a layer's output.  AIDA-X reads
`in_skip` beside, how many inputs are added to the outputs.  GuitarML reads in `state_dict` the
parameters of a PyTorch module whose layers are `rec` and `lin`, and in `model_data` its sizes.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from .. import validation
from ..cells.specs import CELLS
from ..data.checks import all_finite
from ..losses import LOSSES, functions

#: activations of a dense layer, by the function of logits
ACTIVATIONS: dict[Any, str] = {functions.sigmoid: "sigmoid", functions.softmax: "softmax"}
OUTPUTS = ("decision_function", "predict_proba")


class RTNeuralLayer(NamedTuple):
    """The layer of RTNeural that corresponds to a model class, as PyTorch's does."""

    name: str  #: type in a file
    gates: str  #: in the order of a file


def ending(layer: int) -> str:
    """Return the ending of our names of a layer's parameters."""
    return f"_l{layer}" if layer else ""


def gate_order(kind: Any) -> list[int]:
    """Return the places of RTNeural's gates among those of a model class."""
    ours = CELLS[kind.cell].gates
    return [ours.index(gate) for gate in kind.rtneural_layer.gates]


def second_biases(kind: Any, n: int) -> tuple[str, slice] | None:
    """Return the name of the second bias of a model class and the rows of its gate, n each."""
    if kind.torch_layer.second_bias is None:
        return None
    gate, name = kind.torch_layer.second_bias
    start = CELLS[kind.cell].gates.index(gate) * n
    return name, slice(start, start + n)


def biases_of(model: Any, end: str) -> np.ndarray:
    """Return the biases of a layer, (2, G H): of x and of h_{t-1}, whose other gates are zero."""
    first = model._views[f"bh{end}"]
    biases = np.stack([first, np.zeros_like(first)])
    second = second_biases(type(model), model.hidden_size)
    if second is not None:
        biases[1, second[1]] = model._views[f"{second[0]}{end}"]
    return biases


def write_rtneural(model: Any, path: str | os.PathLike[str], output: str) -> None:
    """Write a model to a file; see `Model.to_rtneural`."""
    import json  # which models do not need, whose classes name a layer of this module

    from ..saving import files

    path = validation.path("path", path)
    files.replace(path, json.dumps(content(model, output), allow_nan=False).encode())


def content(model: Any, output: str) -> dict[str, Any]:
    """Return the content of a file, as values of JSON.

    Raises
    ------
    TypeError, ValueError
        RTNeural has no such model or output, or a parameter is not finite.
    """
    check(model)
    activation = ""
    if validation.choice("output", output, OUTPUTS) != OUTPUTS[0]:
        loss = LOSSES[model.loss]
        if not loss.classifies:
            raise ValueError(f"output {output} is not for a model with loss {model.loss}")
        if model.skip:  # loaders add the input behind the activation
            raise ValueError(f"output {output} is not for a model with skip")
        activation = ACTIVATIONS[loss.activation]
    views, O = model._views, model._net.output_size
    parts = [layer_of(model, ending(layer)) for layer in range(model.num_layers)]
    parts.append(
        {
            "type": "dense",
            "activation": activation,
            "shape": [None, None, O],
            "weights": [views["Why"].T.tolist(), views["by"].tolist()],
        }
    )
    found: dict[str, Any] = {"in_shape": [None, None, model.input_size], "layers": parts}
    if model.skip:
        found["in_skip"] = O
    return found if activation else found | guitarml_parts(model)


def check(model: Any) -> None:
    """Raise ValueError if RTNeural has no such model, or a parameter is not finite."""
    if model.rtneural_layer is None:
        raise ValueError(f"RTNeural has no layer that computes as {type(model).__name__}")
    for name, value in model.torch_layer.needs.items():
        if getattr(model, name) != value:
            raise ValueError(f"RTNeural has no layer with {name}={getattr(model, name)}")
    for name in ("bidirectional", "embedding_size", "learn_initial_state"):
        if getattr(model, name):
            raise ValueError(f"RTNeural has no layer for {name}={getattr(model, name)}")
    for name, view in model._views.items():
        if not all_finite(view):
            raise ValueError(f"{name} has NaN or infinite numbers; such a model is not written")


def layer_of(model: Any, end: str) -> dict[str, Any]:
    """Return a recurrent layer for RTNeural."""
    H, order = model.hidden_size, gate_order(type(model))

    def turned(rows: np.ndarray) -> np.ndarray:
        return rows.reshape(len(order), H, -1)[order].reshape(len(rows), -1).T

    biases = turned(biases_of(model, end).T)
    if second_biases(type(model), H) is None:
        biases = biases[0]
    weights = [turned(model._views[f"Wxh{end}"]), turned(model._views[f"Whh{end}"]), biases]
    return {
        "type": model.rtneural_layer.name,
        "activation": "tanh",
        "shape": [None, None, H],
        "weights": [array.tolist() for array in weights],
    }


def guitarml_parts(model: Any) -> dict[str, Any]:
    """Return what GuitarML reads."""
    views, O = model._views, model._net.output_size
    state = {}
    for layer in range(model.num_layers):
        end = ending(layer)
        state[f"rec.weight_ih_l{layer}"] = views[f"Wxh{end}"]
        state[f"rec.weight_hh_l{layer}"] = views[f"Whh{end}"]
        state[f"rec.bias_ih_l{layer}"], state[f"rec.bias_hh_l{layer}"] = biases_of(model, end)
    state |= {"lin.weight": views["Why"], "lin.bias": views["by"]}
    sizes = {
        "model": "SimpleRNN",  # the name of a class there, for all kinds of layers
        "input_size": model.input_size,
        "skip": O if model.skip else 0,
        "output_size": O,
        "unit_type": model.torch_layer.name,
        "num_layers": model.num_layers,
        "hidden_size": model.hidden_size,
        "bias_fl": True,
    }
    return {
        "model_data": sizes,
        "state_dict": {name: array.tolist() for name, array in state.items()},
    }
