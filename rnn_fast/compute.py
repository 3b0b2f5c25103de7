"""The bridge from NumPy arrays to compiled programs: choice of driver and tile, work memory.

Nothing here imports Numba.  The callers (`models`) have checked every array: shapes fit, arrays
are C-contiguous and of the network's dtype.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import _jit
from .layout import LOSSES, TASKS, lane_layout, offsets, round_up, unit_layout
from .params import aligned

SPACE = {"sizes": "integers", "offsets": "integers", "work": "reals"}
LANE_EPOCH = _jit.Program(
    "rnn_fast.train",
    "lane_epoch",
    **SPACE,
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
UNIT_EPOCH = _jit.Program(
    "rnn_fast.train",
    "unit_epoch",
    **SPACE,
    x="reals",
    y="reals",
    order="integers",
    n="int",
    batch="int",
    loss="int",
    parameters="reals",
    velocity="reals",
    learning_rate="double",
    momentum="double",
    result="doubles",
)
PREDICTIONS = _jit.Program(
    "rnn_fast.train",
    "predictions",
    **SPACE,
    x="reals",
    order="integers",
    n="int",
    samples="integers",
    parameters="reals",
    out="reals",
)
ONLINE_STEP = _jit.Program("rnn_fast.train", "online_step", block="integers")


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
        H, O = self.hidden_size, self.output_size
        return H * (self.input_size + 1 + H) + O * (1 + H)

    @property
    def target_size(self) -> int:
        """Numbers in a sample's target: its class, or one for each output."""
        return 1 if self.loss == "cross_entropy" else self.output_size


class Epoch(NamedTuple):
    """What an epoch reports."""

    loss: float  #: mean over the samples visited
    correct: int  #: samples predicted right
    finite: bool  #: False: the loss of a batch was not finite, and the epoch ended before it


# ------------------------------------------------------------------------------- work memory


class Workspace:
    """Work memory of one network for sequences of one length, and the code that fits it."""

    tile: tuple[int, int]  #: what the programs are specialised for besides dtype and cell

    def __init__(self, net: Network, layout: tuple[Any, Any]):
        sizes, buffers = layout
        self.net = net
        self.sizes = np.array(sizes, np.int64)
        self.offsets, length = offsets(buffers)
        self.work = aligned(length, net.dtype)

    def program(self, program: _jit.Program) -> Callable[..., None]:
        """`program` for this network, with the work memory as its first arguments."""
        function = program(self.net.dtype.name, self.net.nonlinearity, *self.tile)
        space = addresses(self.sizes, self.offsets, self.work)

        def run(*arguments: Any) -> None:
            function(*space, *addresses(*arguments))

        return run


class LaneSpace(Workspace):
    """For `batch` samples in lanes."""

    def __init__(self, net: Network, T: int, batch: int):
        self.tile = rows, vecs = lane_tile(net, batch)
        lanes = vecs * vector_lanes(net)
        slot = round_up(net.hidden_size, rows) * lanes
        I, H, O = net.input_size, net.hidden_size, net.output_size
        chunk = max(1, min(T, 64, 65536 // (slot * net.dtype.itemsize)))
        super().__init__(net, lane_layout(T, I, H, O, net.target_size, chunk, rows, vecs, lanes))
        self.samples = np.zeros(lanes, np.int64)


class UnitSpace(Workspace):
    """For one sample at a time, units in lanes."""

    def __init__(self, net: Network, T: int):
        lanes = vector_lanes(net)
        vecs = 1
        while vecs < 4 and vecs * lanes < net.hidden_size:
            vecs *= 2
        self.tile = 8 // vecs, vecs  # eight sums: the latency of an FMA times its throughput
        I, H, O = net.input_size, net.hidden_size, net.output_size
        super().__init__(net, unit_layout(T, I, H, O, net.target_size, vecs, lanes))


def vector_lanes(net: Network) -> int:
    """Numbers in a vector register."""
    return _jit.vector_bytes() // net.dtype.itemsize


def runs_singly(net: Network, batch: int) -> bool:
    """Whether samples run one after another, with units in lanes.

    It pays for a batch that does not fill the lanes, of not too small a network: measured on
    AVX2, at 7 samples and H = 64 it takes 0.72 of the time.
    """
    return batch == 1 or (batch < min(vector_lanes(net), 8) and 3 * batch <= net.hidden_size)


#: (rows, vecs, relative cost of a number) of register tiles that leave room for operands.  One
#: vector wide, a tile loads a number for each multiplication: 1.17 times slower, measured on AVX2.
#: The first is favoured by 3 %, for each further one is compiled on its first use.  On AVX-512
#: the shapes are those that compile without a spill; their cost is not measured.
TILES = {
    16: ((4, 2, 0.97), (5, 2, 0.98), (8, 1, 1.17), (10, 1, 1.17)),
    32: ((8, 2, 0.97), (10, 2, 0.98), (16, 1, 1.17)),
}


def lane_tile(net: Network, batch: int) -> tuple[int, int]:
    """(rows, vecs) of the register tile for mini-batches: what wastes least on padding."""

    def cost(tile: tuple[int, int, float]) -> float:
        rows, vecs, relative = tile
        lanes = vecs * vector_lanes(net)
        return round_up(net.hidden_size, rows) * round_up(batch, lanes) * relative

    rows, vecs, _ = min(TILES[_jit.vector_registers()], key=cost)
    return rows, vecs


def addresses(*arguments: Any) -> tuple[Any, ...]:
    """Arguments for C: an array's address, a number as it is."""
    return tuple(a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments)


class _Spaces(threading.local):
    """The work memory last used in a thread, kept for the next epoch."""

    def __init__(self) -> None:
        self.last: tuple[Any, Workspace | None] = (None, None)

    def get(self, kind: type, *key: Any) -> Any:
        if self.last[0] != (kind, *key):
            self.last = (kind, *key), kind(*key)
        return self.last[1]


_spaces = _Spaces()

# ---------------------------------------------------------------------------------- operations


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
    """Visit the samples ``order`` in batches, with a step of descent after each.

    Parameters
    ----------
    x : (N, T, I) array
    y : (N, O) array, or (N, 1) class indices for cross entropy
    order : (n,) int64 array
        Samples to visit, in this order.
    batch_size : int
    parameters, velocity : (n_parameters,) arrays
        Updated in place.
    learning_rate, momentum : float

    Returns
    -------
    Epoch
    """
    result = np.zeros(3)
    data = (x, y, order, len(order))
    step = (learning_rate, momentum, result)
    loss = LOSSES.index(net.loss)
    if runs_singly(net, min(batch_size, len(order))):
        run = _spaces.get(UnitSpace, net, x.shape[1]).program(UNIT_EPOCH)
        run(*data, batch_size, loss, parameters, velocity, *step)
    else:
        _lane_epoch(net, data, batch_size, parameters, np.empty_like(parameters), velocity, *step)
    total, correct, visited = result.tolist()
    return Epoch(total / visited, int(correct), math.isfinite(total))


def loss_and_gradients(
    net: Network, x: np.ndarray, y: np.ndarray, parameters: np.ndarray, gradients: np.ndarray
) -> float:
    """The mean loss over all samples; its gradient is written to `gradients`."""
    result = np.zeros(3)
    data = (x, y, np.arange(len(x)), len(x))
    _lane_epoch(net, data, len(x), parameters, gradients, None, 0.0, 0.0, result)
    return result[0] / len(x)


def _lane_epoch(
    net: Network,
    data: tuple[np.ndarray, np.ndarray, np.ndarray, int],
    batch: int,
    parameters: np.ndarray,
    gradients: np.ndarray,
    velocity: np.ndarray | None,
    learning_rate: float,
    momentum: float,
    result: np.ndarray,
) -> None:
    """`LANE_EPOCH`, without updates if `velocity` is None."""
    space = _spaces.get(LaneSpace, net, data[0].shape[1], batch)
    space.program(LANE_EPOCH)(
        *data,
        space.samples,
        batch,
        LOSSES.index(net.loss),
        parameters,
        gradients,
        gradients if velocity is None else velocity,
        0 if velocity is None else net.n_parameters,
        learning_rate,
        momentum,
        result,
    )


def logits(net: Network, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Logits (N, O) of the sequences x (N, T, I).

    A sample's have the same bits alone and in any company: samples never meet, and the order of
    each sum is that of its terms, whatever the tile.
    """
    space = _spaces.get(LaneSpace, net, x.shape[1], len(x))
    out = np.empty((len(x), net.output_size), net.dtype)
    space.program(PREDICTIONS)(x, np.arange(len(x)), len(x), space.samples, parameters, out)
    return out


class OnlineStep:
    """One sequence of T steps at a time, forward and then backward, as a hand-written script would.

    What C needs is set down once, so that a call costs little more than its arithmetic.

    Attributes
    ----------
    x : (T, I) float64 array
        To be filled before `forward`.
    y : (target_size,) array
        To be filled before `backward`.
    outputs : (O,) float64 array
        Written by `forward`: probabilities, or values for mse.
    """

    def __init__(self, net: Network, parameters: np.ndarray, T: int):
        space = UnitSpace(net, T)
        self.x = np.zeros((T, net.input_size))
        self.y = np.zeros(net.target_size, net.dtype)
        self.outputs = np.zeros(net.output_size)
        self._rate = np.zeros(1)
        self._gradients = np.zeros_like(parameters)
        self._run = ONLINE_STEP(net.dtype.name, net.nonlinearity, *space.tile)
        self._arrays = (  # as the fields of `OnlineBlock`; alive as long as their addresses
            space.sizes,
            space.offsets,
            space.work,
            self.x,
            self.y,
            parameters,
            self._gradients,
            self.outputs,
            self._rate,
        )
        places = addresses(*self._arrays)
        loss = LOSSES.index(net.loss)
        blocks = (np.array([*places, loss, task, 0], np.int64) for task in range(len(TASKS)))
        prepare, self._forward_block, self._backward_block = blocks
        self._forward, self._backward = addresses(self._forward_block, self._backward_block)
        self._run(prepare.ctypes.data)

    def forward(self) -> bool:
        """Outputs of the sequence `x`.

        False if it is not finite in the network's dtype: then `x` is the last one again.
        """
        self._run(self._forward)
        return bool(self._forward_block[-1])

    def backward(self, learning_rate: float) -> None:
        """A step of descent on the loss of the last sequence, whose target is `y`."""
        self._rate[0] = learning_rate
        self._run(self._backward)
