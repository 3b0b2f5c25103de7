"""The bridge from NumPy arrays to compiled programs: memory, sizes, choice of tile.

Nothing here imports Numba.  Callers (`models`) have checked every array: here shapes fit, arrays
are contiguous and of the network's dtype.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from . import _jit
from .layout import LOSSES, lane_layout, offsets

LANE_EPOCH = _jit.Program(
    "train",
    "lane_epoch",
    sizes="integers",
    offsets="integers",
    work="reals",
    x="reals",
    y="reals",
    order="integers",
    n="int",
    samples="integers",
    batch="int",
    loss="int",
    parameters="reals",
    gradients="reals",
    velocity="reals",
    n_parameters="int",
    learning_rate="double",
    momentum="double",
    result="doubles",
)
PREDICTIONS = _jit.Program(
    "train",
    "predictions",
    sizes="integers",
    offsets="integers",
    work="reals",
    x="reals",
    order="integers",
    n="int",
    samples="integers",
    parameters="reals",
    out="reals",
)


class Network(NamedTuple):
    """What is computed: everything about a model but its parameters."""

    nonlinearity: str
    dtype: np.dtype
    input_size: int
    hidden_size: int
    output_size: int
    loss: str

    @property
    def n_parameters(self) -> int:
        """Length of the flat vector: W (H, I + 1 + H) and V (O, 1 + H), see `layout`."""
        H, O = self.hidden_size, self.output_size  # noqa: E741
        return H * (self.input_size + 1 + H) + O * (1 + H)

    @property
    def target_size(self) -> int:
        """Numbers in a sample's target: its class, or one for each output."""
        return 1 if self.loss == "cross_entropy" else self.output_size


class Epoch(NamedTuple):
    """What an epoch reports."""

    loss: float  # mean over the samples visited
    correct: int
    finite: bool


def aligned(n: int, dtype: np.dtype | type) -> np.ndarray:
    """`n` zeros, 64-byte aligned: worth 10-20 % in the kernels, and NumPy does not promise it."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros(n * item + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n * item].view(dtype)


def tile_shape(dtype: np.dtype, hidden_size: int, batch: int) -> tuple[int, int]:
    return 4, 2


def chunk_steps(T: int, slot: int, itemsize: int) -> int:
    """Steps between weight gradients: as many as keep da in half of a small L2 cache."""
    return max(1, min(T, 64, 65536 // (slot * itemsize)))


class Workspace:
    """Work memory of one network for sequences of one length, and its tile."""

    def __init__(self, net: Network, T: int, batch: int):
        self.tile = tile_shape(net.dtype, net.hidden_size, batch)
        rows, vecs = self.tile
        lanes = vecs * _jit.vector_bytes() // net.dtype.itemsize
        I, H, O = net.input_size, net.hidden_size, net.output_size  # noqa: E741
        chunk = chunk_steps(T, -(-H // rows) * rows * lanes, net.dtype.itemsize)
        sizes, buffers = lane_layout(T, I, H, O, net.target_size, chunk, rows, vecs, lanes)
        self.sizes = np.array(sizes, np.int64)
        self.offsets, length = offsets(buffers)
        self.work = aligned(length, net.dtype)
        self.samples = np.zeros(lanes, np.int64)


@functools.lru_cache(maxsize=8)
def _workspace(net: Network, T: int, batch: int) -> Workspace:
    return Workspace(net, T, batch)


def addresses(*arguments):
    return [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]


def _run(net, x, y, order, batch_size, parameters, gradients, velocity, n, learning_rate, momentum):
    space = Workspace(net, x.shape[1], batch_size)
    result = np.zeros(3)
    LANE_EPOCH(net.dtype.name, net.nonlinearity, *space.tile)(
        *addresses(
            space.sizes,
            space.offsets,
            space.work,
            x,
            y,
            order,
            len(order),
            space.samples,
            batch_size,
            LOSSES.index(net.loss),
            parameters,
            gradients,
            velocity,
            n,
            learning_rate,
            momentum,
            result,
        )
    )
    return result


def train_epoch(
    net: Network,
    x: np.ndarray,
    y: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    parameters: np.ndarray,
    velocity: np.ndarray,
    learning_rate: float,
    momentum: float,
) -> Epoch:
    gradients = np.empty_like(parameters)
    r = _run(
        net,
        x,
        y,
        order,
        batch_size,
        parameters,
        gradients,
        velocity,
        net.n_parameters,
        learning_rate,
        momentum,
    )
    return Epoch(r[0] / r[2], int(r[1]), bool(np.isfinite(r[0])))


def loss_and_gradients(net, x, y, parameters, gradients) -> float:
    order = np.arange(len(x))
    r = _run(net, x, y, order, len(x), parameters, gradients, gradients, 0, 0.0, 0.0)
    return r[0] / len(x)


def logits(net: Network, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    space = Workspace(net, x.shape[1], 32)
    out = np.empty((len(x), net.output_size), net.dtype)
    order = np.arange(len(x))
    PREDICTIONS(net.dtype.name, net.nonlinearity, *space.tile)(
        *addresses(
            space.sizes, space.offsets, space.work, x, order, len(x), space.samples, parameters, out
        )
    )
    return out
