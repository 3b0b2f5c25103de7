"""The parameters of a network: one flat vector, named views into it, and how they start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import settings
from .layout import CELLS, Network, parameter_offsets

ALIGNMENT = 64  #: bytes, a cache line and the widest vector register; NumPy promises only 16


def aligned(n: int, dtype: np.dtype | type, lines: int = 0) -> np.ndarray:
    """Return a vector of `n` zeros that starts at a multiple of `ALIGNMENT`, `lines` further on."""
    size, skip = n * np.dtype(dtype).itemsize, lines * ALIGNMENT
    buffer = np.zeros(size + skip + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT + skip
    return buffer[start : start + size].view(dtype)


def views(flat: np.ndarray, net: Network) -> dict[str, np.ndarray]:
    """Name the parts of a network's flat vector, which `layout` lays out for the kernels.

    Those of layer k > 0 end in ``_l{k}``, then those of the reverse direction in ``_reverse``.

    Returns
    -------
    dict of str to ndarray
        Writeable views: Wxh (G H, I), Whh (G H, H), bh (G H,); of the GRU that resets after the
        product bhn (H,), of the LSTM with peepholes peephole (3, H), those of i, f, o; Why
        (O, D H), by (O,); learned initial states h0, and c0 of the LSTM, (layers * D, H);
        embedding (vocabulary, E).
    """
    at, H, DH = parameter_offsets(net), net.hidden_size, net.directions * net.hidden_size
    found: dict[str, np.ndarray] = {}
    for run in range(net.runs):
        layer, reverse = divmod(run, net.directions)
        end = (f"_l{layer}" if layer else "") + ("_reverse" if reverse else "")
        I, start, beside = net.run_input(run), at.W[run], at.beside[run]
        W = flat[start:beside].reshape(net.gates * H, I + 1 + H)
        found |= {f"Wxh{end}": W[:, :I], f"Whh{end}": W[:, I + 1 :], f"bh{end}": W[:, I]}
        n = CELLS[net.cell].beside
        if n == 1:
            found[f"bhn{end}"] = flat[beside : beside + H]
        elif n:
            found[f"peephole{end}"] = flat[beside : beside + n * H].reshape(n, H)
    V = flat[at.V : at.state].reshape(net.output_size, 1 + DH)
    found |= {"Why": V[:, 1:], "by": V[:, 0]}
    if net.learned_state:
        state = flat[at.state : at.embedding].reshape(net.states, net.runs, H)
        found |= dict(zip(("h0", "c0"), state, strict=False))
    if net.embedding:
        found["embedding"] = flat[at.embedding :].reshape(net.input_size, net.embedding)
    return found


def initialise(
    parameters: Mapping[str, np.ndarray],
    generator: np.random.Generator,
    forget_bias: float = 0.0,
) -> None:
    """Fill `parameters` with a start that learns well.

    ``Wxh`` and ``Why`` are uniform with the variance 2 / (rows + columns) of Glorot and Bengio
    (2010), a gate's rows of ``Wxh`` being a matrix of their own; each gate's square of ``Whh`` is a
    random orthogonal matrix (Saxe et al., 2014), which neither shrinks nor blows up what it
    carries over many steps; an embedding is normal, its rows of length 1 in the mean; biases,
    peepholes and initial states are zero, but for the LSTM's forget gate, whose bias is
    `forget_bias` (Jozefowicz et al., 2015, recommend 1).  On the tutorial's task and on the
    digits, read row by row, this learned as well as or better than the uniform draws of PyTorch
    and the normal ones of the tutorial.

    All is drawn in float64 and then rounded, so that both dtypes start from the same numbers.
    """
    for name, array in parameters.items():
        kind = name.partition("_")[0]
        H = array.shape[-1]
        if kind in ("Wxh", "Whh"):
            H = parameters[name.replace("Wxh", "Whh")].shape[1]
            for gate in np.split(array, len(array) // H):
                gate[...] = orthogonal(H, generator) if kind == "Whh" else glorot(gate, generator)
        elif kind == "Why":
            array[...] = glorot(array, generator)
        elif kind == "embedding":
            array[...] = generator.standard_normal(array.shape) / np.sqrt(H)
        else:
            array[...] = 0
        if kind == "bh" and forget_bias:
            array[H // 4 : H // 2] = forget_bias


MATRICES = ("Wxh", "Whh", "Why")  #: what is penalised if nothing is named


def penalties(l1: Any, l2: Any, net: Network) -> np.ndarray | None:
    """Coefficients of each parameter, (2 * P,): those of |p|, then those of ``p**2 / 2``.

    Parameters
    ----------
    l1, l2 : float, or dict of name to float, or None
        A number is for the matrices Wxh, Whh and Why of all layers and directions; a dict names
        parameters, one such as ``Whh_l1``, or by ``Whh`` those of all layers and directions.
    net : Network

    Raises
    ------
    TypeError, ValueError
        No such parameter, no number, below 0.
    """
    flat = aligned(2 * net.n_parameters, net.dtype)
    for argument, value, own in zip(("l1", "l2"), (l1, l2), np.split(flat, 2), strict=True):
        named = views(own, net)
        if value is not None and not isinstance(value, Mapping):
            value = dict.fromkeys(MATRICES, settings.rate(argument, value))
        for name, factor in (value or {}).items():
            chosen = [key for key in named if name in (key, key.partition("_")[0])]
            if not chosen:
                raise ValueError(
                    f"{argument} names {name!r}, but the parameters are {', '.join(named)}"
                )
            for key in chosen:
                named[key][...] = settings.rate(f"{argument}[{name!r}]", factor)
    return flat if flat.any() else None


def glorot(array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw an array of the shape of `array`, uniform with variance 2 / (rows + columns)."""
    bound = np.sqrt(6 / sum(array.shape))
    return generator.uniform(-bound, bound, array.shape)


def orthogonal(n: int, generator: np.random.Generator) -> np.ndarray:
    """Draw an orthogonal matrix (n, n) in float64, uniform over all of them (Mezzadri, 2007)."""
    q, r = np.linalg.qr(generator.standard_normal((n, n)))
    return q * np.copysign(1.0, np.diag(r))
