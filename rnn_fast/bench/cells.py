"""One step of each cell, forward and backward, for NumPy and for JAX arrays.

Arguments
    `xp` is `numpy` or `jax.numpy`. `axis` is the axis of length G H; it is 0 if samples come last.
    ax (B, G H) is ``Wxh x_t + bh``. ah (B, G H) is ``Whh h_{t-1}``; a GRU adds bhn to its last
    third. A state is (h,), or (h, c) for an LSTM, each of shape (B, H).
`forward`
    Returns the next state, and the values that `backward` needs.
`backward`
    Takes the gradient with respect to the next state. Returns the gradients with respect to ax, ah
    and the previous state. The last one leaves out the path through ah.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Array = Any
State = tuple[Array, ...]


def sigmoid(xp: Any, z: Array) -> Array:
    """``1 / (1 + exp(-z))``, computed by tanh so that nothing overflows."""
    return 0.5 * xp.tanh(0.5 * z) + 0.5


class Tanh:
    """``h = tanh(ax + ah)``."""

    gates, states = 1, 1

    @staticmethod
    def forward(xp: Any, ax: Array, ah: Array, state: State, axis: int = -1) -> tuple[State, Any]:
        h = xp.tanh(ax + ah)
        return (h,), h

    @staticmethod
    def backward(xp: Any, h: Any, d: State) -> tuple[Array, Array, State]:
        da = d[0] * (1 - h * h)
        return da, da, (0.0,)


class KeptGRU(NamedTuple):
    """Values that a forward step of `GRU` keeps for the backward pass."""

    r: Array
    z: Array
    n: Array
    h: Array
    ahn: Array


class GRU:
    """Gates r z n; ``n = tanh(ax_n + r ah_n)``, ``h = n + z (h' - n)``."""

    gates, states = 3, 1

    @staticmethod
    def forward(xp: Any, ax: Array, ah: Array, state: State, axis: int = -1) -> tuple[State, Any]:
        (h,) = state
        (ar, az, an), (br, bz, bn) = xp.split(ax, 3, axis), xp.split(ah, 3, axis)
        r, z = sigmoid(xp, ar + br), sigmoid(xp, az + bz)
        n = xp.tanh(an + r * bn)
        return (n + z * (h - n),), KeptGRU(r, z, n, h, bn)

    @staticmethod
    def backward(xp: Any, kept: KeptGRU, d: State) -> tuple[Array, Array, State]:
        r, z, n, h, ahn = kept
        da_n = d[0] * (1 - z) * (1 - n * n)
        da_z = d[0] * (h - n) * z * (1 - z)
        da_r = da_n * ahn * r * (1 - r)
        dax = xp.concatenate([da_r, da_z, da_n], -1)
        return dax, xp.concatenate([da_r, da_z, da_n * r], -1), (d[0] * z,)


class KeptLSTM(NamedTuple):
    """Values that a forward step of `LSTM` keeps for the backward pass."""

    i: Array
    f: Array
    g: Array
    o: Array
    c: Array
    tanh_c: Array


class LSTM:
    """Gates i f g o; ``c = f c' + i g``, ``h = o tanh(c)``."""

    gates, states = 4, 2

    @staticmethod
    def forward(xp: Any, ax: Array, ah: Array, state: State, axis: int = -1) -> tuple[State, Any]:
        i, f, g, o = xp.split(ax + ah, 4, axis)
        i, f, g, o = sigmoid(xp, i), sigmoid(xp, f), xp.tanh(g), sigmoid(xp, o)
        c = f * state[1] + i * g
        tanh_c = xp.tanh(c)
        return (o * tanh_c, c), KeptLSTM(i, f, g, o, state[1], tanh_c)

    @staticmethod
    def backward(xp: Any, kept: KeptLSTM, d: State) -> tuple[Array, Array, State]:
        i, f, g, o, c, tanh_c = kept
        dc = d[1] + d[0] * o * (1 - tanh_c * tanh_c)
        gates = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g))
        da = xp.concatenate([*gates, d[0] * tanh_c * o * (1 - o)], -1)
        return da, da, (0.0, dc * f)


CELLS: dict[str, Any] = {"rnn": Tanh, "gru": GRU, "lstm": LSTM}
