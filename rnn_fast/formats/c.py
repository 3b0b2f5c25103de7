"""Models as C: one header with the weights and the next step of a sequence."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import validation
from ..data.checks import all_finite
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..saving import files
from .c_layers import LANES, Layer, array, padded, units_of
from .c_maths import functions_for, in_dtype
from .c_outputs import Output, output_of

NAME = "[A-Za-z_][A-Za-z0-9_]*"


def write_c(
    path: str | os.PathLike[str],
    name: str | None,
    title: str,
    net: Network,
    flat: np.ndarray,
    output: str,
) -> None:
    """Write a network as a header; see `to_c` of models.

    Parameters
    ----------
    path : path
    name : str or None
        What all names in the header begin with; None: the file's name without its ending.
    title : str
        What the network is, for the comment at the top.
    net : Network
    flat : (P,) array
        Parameters.
    output : str
        Method of a model whose results a step has, if the network has a head.

    Raises
    ------
    TypeError, ValueError
        `path` is no path, `name` no name in C, C has no such network or output, or a parameter is
        not finite.
    OSError
        The file cannot be written; an old file is then untouched.
    """
    path = validation.path("path", path)
    name = checked_name(name, path)
    check_steps(net)
    views = parameter_views(flat, net)
    for parameter, view in views.items():
        if not all_finite(view):
            raise ValueError(
                f"{parameter} has NaN or infinite numbers; such a model is not written"
            )
    ends = output_of(net, output) if net.output_size else Output(net.hidden_size, "")
    text = header(title, net, views, ends)
    files.replace(path, text.replace("NAME", name).encode())


def checked_name(name: Any, path: str) -> str:
    """Return what names in C begin with: `name`, or the name of the file without its ending.

    Raises
    ------
    TypeError, ValueError
        It is no identifier.
    """
    if name is None:
        name = os.path.splitext(os.path.basename(path))[0]
    if not isinstance(name, str):
        raise TypeError(f"name must be text; got {validation.shown(name)}")
    if not re.fullmatch(NAME, name):
        raise ValueError(f"name must be an identifier in C; got {validation.shown(name)}")
    return name


def check_steps(net: Network) -> None:
    """Make sure that a network can be run step by step; ValueError if not."""
    if net.directions > 1:
        raise ValueError("a bidirectional model has no next step: it reads from the end")


def header(title: str, net: Network, views: dict[str, np.ndarray], output: Output) -> str:
    """Return the header of a network, with NAME in the place of a name."""
    layers = [Layer(net, views, k) for k in range(net.layers)]
    code = "\n".join(
        [
            sizes_of(net, output),
            layers[0].maths(),
            *(text for layer in layers for text in layer.arrays()),
            *ends_of(net, views),
            *(layer.function() for layer in layers),
            reset_of(net),
            step_of(net, output),
        ]
    )
    code = in_dtype(f"{functions_for(code)}\n{code}", net.dtype)
    return f"{opening(title, net, output)}\n{code}\n#endif\n"


def opening(title: str, net: Network, output: Output) -> str:
    """Return the comment at the top, and what must stand before all code."""
    layers = f"{net.layers} layer{'s' * (net.layers > 1)} of {net.hidden_size} units"
    memory = f"{(net.n_parameters * net.dtype.itemsize + 999) // 1000} kB of parameters"
    x = "1 index" if net.embedding else f"{net.input_size} of x"
    return f"""\
/* {title}: {layers}, {net.dtype.name}, {memory}.  Written by rnn_fast.

       NAME_state state; // of one sequence; it may be copied
       NAME_reset(&state);
       NAME_step(&state, x, y); // {x} in, {output.size} of y out

   C99, or C++ from 2011 on; nothing is allocated.  Numbers in x are finite; the array y may be x.
   For vector code compile with -O3 -march=native, or the like; GCC without FMA needs
   -fno-trapping-math, too. */

#ifndef NAME_H
#define NAME_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define NAME_RESTRICT __restrict
#else
#define NAME_RESTRICT restrict
#endif

#ifdef __GNUC__ /* -O2 alone would call the functions, and loops with calls are no vector code */
#define NAME_INLINE static inline __attribute__((always_inline))
#else
#define NAME_INLINE static inline
#endif
"""


def sizes_of(net: Network, output: Output) -> str:
    """Return the sizes, and the type of a state."""
    sizes = {"inputs": net.input_size, "outputs": output.size, "units": units_of(net)}
    if net.output_size:
        sizes["logits"] = net.output_size
    lines = ",\n".join(f"    NAME_{name} = {size}" for name, size in sizes.items())
    states = "".join(f"    REAL {s}[{net.layers}][NAME_units];\n" for s in "hc"[: net.states])
    about = f"{net.hidden_size} units, padded to whole vectors"
    return f"enum {{ /* {about} */\n{lines}\n}};\n\ntypedef struct {{\n{states}}} NAME_state;\n"


def ends_of(net: Network, views: dict[str, np.ndarray]) -> Iterator[str]:
    """Yield the arrays before the first layer and behind the last one."""
    units = units_of(net)
    if net.embedding:
        yield array("embedding", views["embedding"], f"{net.embedding} numbers for each index")
    if net.output_size:
        yield array("by", views["by"], "read-out: biases")
        yield array("wy", padded(views["Why"], units), "read-out: a row for each logit")
    if net.learned_state:
        for name in ("h0", "c0")[: net.states]:
            yield array(name, padded(views[name], units), "initial state, a row for each layer")


def reset_of(net: Network) -> str:
    """Return the function that begins a sequence."""
    lines = ["    memset(state, 0, sizeof *state);"]
    if net.learned_state:
        states = "hc"[: net.states]
        lines = [f"    memcpy(state->{s}, NAME_{s}0, sizeof state->{s});" for s in states]
    head = "static inline void NAME_reset(NAME_state *state)"
    return "\n".join(["/* begins a sequence */", head, "{", *lines, "}\n"])


def step_of(net: Network, output: Output) -> str:
    """Return the function of a step."""
    x, lines = "const REAL *x", []
    if net.embedding:
        x = "int index"
        lines.append(f"    const REAL *x = NAME_embedding + (size_t)index * {net.embedding};")
    for k in range(net.layers):
        lines.append(f"    NAME_layer_{k}(state, {f'state->h[{k - 1}]' if k else 'x'});")
    top = f"state->h[{net.layers - 1}]"
    if net.output_size:
        z = "*z = y" if output.size == net.output_size else "z[NAME_logits]"
        lines += [f"    REAL {z};", (read_out(net, top) + output.code).rstrip("\n")]
    else:
        lines.append(f"    memcpy(y, {top}, NAME_outputs * sizeof *y);")
    head = f"static inline void NAME_step(NAME_state *state, {x}, REAL *y)"
    return "\n".join(["/* the next step of a sequence */", head, "{", *lines, "}\n"])


def read_out(net: Network, top: str) -> str:
    """Return the code of the logits z, which sums in lanes."""
    lanes, skip = min(LANES, units_of(net)), " + x[o]" if net.skip else ""
    return f"""\
    for (int o = 0; o < NAME_logits; o++) {{
        const REAL *w = NAME_wy + o * NAME_units, *h = {top};
        REAL sum[{lanes}] = {{ZERO}}, logit = NAME_by[o];
        for (int k = 0; k < NAME_units; k += {lanes})
            for (int j = 0; j < {lanes}; j++)
                sum[j] = NAME_fma(w[k + j], h[k + j], sum[j]);
        for (int j = 0; j < {lanes}; j++)
            logit += sum[j];
        z[o] = logit{skip};
    }}
"""
