"""The bridge from NumPy arrays to compiled programs: choice of driver and tile, work memory.

Nothing here imports Numba.  The callers (`models`) have checked every array: shapes fit, arrays
are C-contiguous and of the network's dtype.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import _jit
from .layout import (
    CELLS,
    LOSSES,
    OPTIMIZERS,
    STATE_ROWS,
    TASKS,
    Knobs,
    LaneJob,
    LaneLayout,
    Network,
    bytes_per_step,
    offsets,
    parameter_offsets,
    round_up,
    unit_layout,
)
from .params import aligned
from .threads import Team

LANE_EPOCH = _jit.Program("rnn_fast.train", "lane_epoch", job="integers")
PREDICTIONS = _jit.Program("rnn_fast.train", "predictions", job="integers")
UNIT_EPOCH = _jit.Program(
    "rnn_fast.train",
    "unit_epoch",
    sizes="integers",
    offsets="integers",
    work="reals",
    x="reals",
    y="reals",
    order="integers",
    n="int",
    batch="int",
    loss="int",
    parameters="reals",
    moments="reals",
    length="int",
    schedule="doubles",
    knobs="doubles",
    penalties="reals",
    penalized="int",
    spare="reals",
    result="doubles",
)
ONLINE_STEP = _jit.Program("rnn_fast.train", "online_step", block="integers")


class Sequences(NamedTuple):
    """N sequences: rows of all, one behind the other, or padded to equal length."""

    x: np.ndarray  #: (rows, I) of the network's dtype, or with an embedding (rows,) int64
    starts: np.ndarray  #: (N,) int64: the row where each starts
    lengths: np.ndarray  #: (N,) int64: rows of each, at least 1


class Targets(NamedTuple):
    """What the outputs of N sequences, or of all their rows, are compared with."""

    y: np.ndarray  #: (N or rows, target_size) of the network's dtype, class indices as well
    weights: np.ndarray | None  #: (N or rows,), not negative; None for equal ones


def padded(x: np.ndarray) -> Sequences:
    """Sequences of equal length, from (N, T, I), or (N, T) indices; no copy is made."""
    N, T = x.shape[:2]
    return Sequences(
        x.reshape(N * T, *x.shape[2:]),
        np.arange(0, N * T, T, dtype=np.int64),
        np.full(N, T, np.int64),
    )


class Descent:
    """An optimizer at work on n parameters: what it is told, and its state.

    Attributes
    ----------
    name : str
        Key in `layout.OPTIMIZERS`.
    knobs : (len(Knobs),) float64 array
    moments : (rows * n,) array
        Rows are as long as the parameters.
    penalties : (2 * n,) array or None
        l1 and l2 of each parameter.
    gradients : (n,) array
        Of the last update; those by an embedding are zero between updates.
    """

    def __init__(
        self,
        name: str,
        knobs: Knobs,
        n: int,
        dtype: np.dtype,
        penalties: np.ndarray | None = None,
    ):
        self.name, self.knobs = name, np.array(knobs, np.float64)
        self.penalties = penalties
        self.moments = aligned(OPTIMIZERS[name] * n, dtype)
        self.gradients = aligned(n, dtype)
        self.spare = aligned((2 + STATE_ROWS) * 64, dtype)

    def sparse(self, net: Network) -> bool:
        """Whether a gradient of zero leaves a row of the embedding as it is."""
        knobs, start = Knobs(*self.knobs.tolist()), parameter_offsets(net).embedding
        plain = self.name == "sgd" and not (knobs.momentum or knobs.weight_decay)
        free = self.penalties is None or not self.penalties.reshape(2, -1)[:, start:].any()
        return plain and free


class Epoch(NamedTuple):
    """What an epoch reports."""

    loss: float  #: weighted mean over what was visited
    correct: float  #: weighted share of it that was right; of values the mean squared error
    finite: bool  #: False: the loss of a batch was not finite, and the epoch ended before it
    penalty: float = 0.0  #: mean over the updates of what l1 and l2 add to the loss


# ------------------------------------------------------------------------------- work memory


#: groups of blocks that a batch is divided into, at most: threads that can work on it
GROUPS = 32
#: numbers that may accumulate gradients in all groups; and that keep an embedding's
ROOM = 1 << 24


def seconds_per_row(net: Network) -> float:
    """About what a step of one sequence takes to train on one core; for want of a measurement."""
    gates = net.runs * net.hidden_size * (1 + net.gates)
    weights = net.n_parameters - net.input_size * net.embedding
    return 6 * weights / 50e9 + gates * 0.5e-9


#: cache lines by which the work memories of threads are shifted against one another.  Two that go
#: through the same places of their pages in step were seen to take 1.2 times as long.
APART = 33


class LaneSpace:
    """Work memory of the samples-in-lanes driver, and the code that fits it.

    Threads share the packed weights, and vectors for the gradients of each group of blocks; for the
    block at work each has memory of its own.

    Parameters
    ----------
    net : Network
    T : int
        Steps there must be room for.
    batch : int
        Samples of a batch.
    **options : bool
        As for `LaneLayout`.

    Attributes
    ----------
    groups : int
        Threads that can work on a batch.
    """

    def __init__(self, net: Network, T: int, batch: int, **options: bool):
        self.net, self.tile = net, lane_tile(net, T, batch)
        lanes = self.tile[1] * vector_lanes(net)
        row = CELLS[net.cell].grads * net.hidden_size * lanes * net.dtype.itemsize
        chunk = max(1, min(T, 64, 65536 // row))
        self.layout = LaneLayout(net, T, self.tile, lanes, chunk, **options)
        blocks = self.blocks = -(-batch // lanes)
        self.offsets, work = self._memory(self.layout.buffers())
        starts, packed = self._memory(self.layout.weights())
        self.sizes = np.array(self.layout.place(self.offsets, starts), np.int64)
        self._members = [(work, np.zeros(6 * lanes, np.int64))]
        shared: dict[str, Any] = {"sizes": self.sizes, "offsets": self.offsets, "packed": packed}
        self.groups, round_ = blocks, blocks
        if not options.get("forward_only"):
            stride = round_up(parameter_offsets(net).embedding, 64)  # lines of their own
            self.groups = min(blocks, GROUPS, max(1, ROOM // stride))
            embedded = net.embedding * T * lanes
            if embedded:
                round_ = min(blocks, self.groups * max(1, ROOM // (embedded * self.groups)))
            shared["flats"] = aligned(self.groups * stride, net.dtype)
            shared["stride"] = stride
            shared["partial"] = np.zeros(8 * self.groups)
            shared["tokens"] = aligned(round_ * embedded, net.dtype)
        self._shared = shared | {"groups": self.groups, "round": round_}
        self._block = np.zeros(len(LaneJob._fields), np.int64)  # of the job, but for what changes
        _fill(self._block, self._shared)

    def _memory(self, sizes: list[int], lines: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Where each buffer starts, and memory for all."""
        starts, length = offsets(sizes)
        return starts, aligned(length, self.net.dtype, lines)

    def run(self, program: _jit.Program, *key: str, team: Team | None = None, **job: Any) -> None:
        """Run `program`, further specialised by `key`, on a `LaneJob` of arrays, numbers, None."""
        function = program(self.net.dtype.name, self.net.cell, *self.tile, *key)
        team = team or Team()
        with team.taken(self.groups) as n:
            while len(self._members) < n:
                _, work = self._memory(self.layout.buffers(), APART * len(self._members))
                self._members.append((work, np.zeros_like(self._members[0][1])))
            shared = self._block.copy()
            _fill(shared, {"team": team.sync, **job})
            jobs = []
            for helps, (work, ids) in enumerate(self._members[:n]):
                jobs.append(shared.copy())
                _fill(jobs[-1], {"work": work, "ids": ids, "helps": helps})
            lead, *helps_ = (partial(_call, function, own, job) for own in jobs)
            team.run(lead, helps_)


_PLACES = {name: i for i, name in enumerate(LaneJob._fields)}


def _fill(block: np.ndarray, fields: dict[str, Any]) -> None:
    """Write fields of a `LaneJob`: addresses of arrays, numbers, 0 for None."""
    for name, value in fields.items():
        block[_PLACES[name]] = _address(value)


def _call(function: Callable[[int], None], block: np.ndarray, alive: object) -> None:
    """Run a program on a job; `alive` holds what the job has addresses of."""
    function(block.ctypes.data)


class UnitSpace:
    """Work memory of the units-in-lanes driver, for sequences of T steps.

    `rows` are those of the optimizer's state.
    """

    def __init__(self, net: Network, T: int, rows: int = 0):
        lanes = vector_lanes(net)
        vecs = 1
        while vecs < 4 and vecs * lanes < net.hidden_size:
            vecs *= 2
        self.net = net
        self.tile = 8 // vecs, vecs  # eight sums: the latency of an FMA times its throughput
        I, H, O = net.input_size, net.hidden_size, net.output_size
        sizes, buffers = unit_layout(T, I, H, O, net.target_size, vecs, lanes, rows)
        self.sizes = np.array(sizes, np.int64)
        self.offsets, length = offsets(list(buffers))
        self.work = aligned(length, net.dtype)


def vector_lanes(net: Network) -> int:
    """Numbers in a vector register."""
    return _jit.vector_bytes() // net.dtype.itemsize


def runs_online(net: Network) -> bool:
    """Whether the units-in-lanes driver has all that the network needs."""
    plain = net.cell in ("tanh", "relu") and net.runs == 1
    return plain and not (net.sequences or net.embedding or net.learned_state)


def runs_singly(net: Network, batch: int) -> bool:
    """Whether samples run one after another, with units in lanes.

    It pays for a batch that does not fill the lanes, of not too small a network: measured on
    AVX2, at 7 samples and H = 64 it takes 0.72 of the time.
    """
    few = batch < min(vector_lanes(net), 8) and 3 * batch <= net.hidden_size
    return runs_online(net) and (batch == 1 or few)


#: (rows, vecs, relative cost of a number) of register tiles that leave room for operands.
#: Measured on Zen 3 with 16 registers, where a tile one vector wide loads a number for each
#: multiplication, and on Zen 4 with 32, where it loads it inside of the multiplication.  The first
#: is favoured, for each further one is compiled on its first use.
TILES = {
    16: ((4, 2, 0.97), (5, 2, 0.98), (8, 1, 1.17), (10, 1, 1.17)),
    32: ((16, 1, 0.96), (4, 4, 0.97), (5, 4, 0.99), (8, 2, 1.0)),
}
#: a block's states cost the more the less of them stays in cache: 1 % for so many bytes
CROWDED = 1.5e6


def lane_tile(net: Network, T: int, batch: int) -> tuple[int, int]:
    """(rows, vecs) of the register tile for mini-batches: what wastes least on padding."""
    H = net.hidden_size

    def cost(tile: tuple[int, int, float]) -> float:
        rows, vecs, relative = tile
        lanes = vecs * vector_lanes(net)
        height = round_up(net.gates * H, rows) + round_up(H, rows)
        crowded = 1 + 0.01 * lanes * T * bytes_per_step(net) / CROWDED
        return height * round_up(batch, lanes) * relative * crowded

    rows, vecs, _ = min(TILES[_jit.vector_registers()], key=cost)
    return rows, vecs


def addresses(*arguments: Any) -> tuple[Any, ...]:
    """Arguments for C: an array's address, 0 for None, a number as it is."""
    return tuple(map(_address, arguments))


def _address(a: Any) -> Any:
    return a.ctypes.data if isinstance(a, np.ndarray) else 0 if a is None else a


#: predictions of longer sequences are made in windows of so many steps, which bounds the memory
STEPS = 1024


class _Spaces(threading.local):
    """The work memory last used in a thread to train and to predict, kept for the next epoch."""

    def __init__(self) -> None:
        self.kept: dict[bool, tuple[Any, Any]] = {}

    def get(self, kind: type, *key: Any, forward_only: bool = False, **options: bool) -> Any:
        whole = (kind, *key, *options.items())
        if forward_only:
            options["forward_only"] = True
        if self.kept.get(forward_only, (None,))[0] != whole:
            self.kept.pop(forward_only, None)  # free before the next is made
            self.kept[forward_only] = whole, kind(*key, **options)
        return self.kept[forward_only][1]


_spaces = _Spaces()

# ---------------------------------------------------------------------------------- operations


def by_length(order: np.ndarray, lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """`order` with the samples of each batch sorted, long ones first.

    So the sequences of a block of lanes are about as long as one another, and the work is that of
    the sum of the lengths.
    """
    own = lengths[order]
    if not len(own) or (own == own[0]).all():
        return order
    return order[np.lexsort((-own, np.arange(len(order)) // batch_size))]


def train_epoch(
    net: Network,
    data: Sequences,
    targets: Targets,
    order: np.ndarray,
    batch_size: int,
    parameters: np.ndarray,
    descent: Descent,
    schedule: np.ndarray,
    *,
    bptt: int = 0,
    dropout: float = 0.0,
    seed: int = 0,
    state: np.ndarray | None = None,
    team: Team | None = None,
    result: np.ndarray | None = None,
) -> Epoch:
    """Visit the samples ``order`` in batches, with a step of descent after each.

    Parts of an epoch have the bits of the whole, if all but the last are of whole batches.

    Parameters
    ----------
    net : Network
    data : Sequences
    targets : Targets
    order : (n,) int64 array
        Samples to visit, in this order.
    batch_size : int
    parameters : (n_parameters,) array
        Updated in place.
    descent : Descent
        Its state is updated.
    schedule : (batches,) float64 array
        Learning rate of each batch.
    bptt : int
        Truncated back-propagation in windows of so many steps, with an update after each; 0 for
        whole sequences.
    dropout : float
        Probability with which an output of a layer below the top is dropped.
    seed : int
        Of the dropout; not negative, below 2**62.
    state : (N, states, runs, H) array or None
        Initial states.
    team : Team or None
        Threads to work with; this one alone without.
    result : (`RESULTS`,) float64 array or None
        What an epoch has summed up so far, added to.

    Returns
    -------
    Epoch
        With what was in `result` before.
    """
    result = np.zeros(RESULTS) if result is None else result
    longest = int(data.lengths.max())  # of all, for a part must do what the whole does
    equal = runs_singly(net, batch_size) and (data.lengths == longest).all()
    if equal and targets.weights is None and state is None and not 0 < bptt < longest:
        space = _spaces.get(UnitSpace, net, longest, OPTIMIZERS[descent.name])
        x = data.x if len(data.x) == len(data.starts) * longest else None
        if x is not None:
            arguments = (data.x, targets.y, order, len(order), batch_size, LOSSES.index(net.loss))
            UNIT_EPOCH(net.dtype.name, net.cell, *space.tile, descent.name)(
                *addresses(space.sizes, space.offsets, space.work, *arguments),
                *addresses(parameters, descent.moments, len(parameters), schedule),
                *addresses(descent.knobs, descent.penalties, descent.penalties is not None),
                *addresses(descent.spare, result),
            )
            return reported(result)
    T = min(bptt or longest, longest)
    shape = (batch_size, net.states, net.runs, net.hidden_size)
    space = _spaces.get(LaneSpace, net, T, batch_size, dropout=dropout > 0 and net.layers > 1)
    space.run(
        LANE_EPOCH,
        descent.name,
        team=team,
        **_job(net, data, targets),
        order=by_length(order, data.lengths, batch_size),
        n=len(order),
        batch=batch_size,
        parameters=parameters,
        gradients=descent.gradients,
        moments=descent.moments,
        knobs=descent.knobs,
        schedule=schedule,
        spare=descent.spare,
        update=len(parameters),
        penalties=descent.penalties,
        sparse=int(descent.sparse(net)),
        state=state,
        carry=np.zeros(shape, net.dtype) if T < longest else None,
        dropout=np.array([dropout]),
        seed=seed,
        result=result,
    )
    return reported(result)


#: numbers that an epoch sums up, see `LaneJob.result`
RESULTS = 6


def reported(result: np.ndarray) -> Epoch:
    """What an epoch has summed up, as means."""
    loss, right, weight, penalty, updates, _ = result.tolist()
    weight, penalty = weight or 1.0, penalty / (updates or 1.0)
    return Epoch(loss / weight, right / weight, math.isfinite(loss), penalty)


def _job(net: Network, data: Sequences, targets: Targets) -> dict[str, Any]:
    return {
        **data._asdict(),
        **targets._asdict(),
        "loss": LOSSES.index(net.loss),
    }


def loss_and_gradients(
    net: Network,
    data: Sequences,
    targets: Targets,
    parameters: np.ndarray,
    gradients: np.ndarray,
    *,
    state: np.ndarray | None = None,
    dstate: np.ndarray | None = None,
    dx: np.ndarray | None = None,
    team: Team | None = None,
) -> float:
    """The mean loss over all samples; its gradient is written to `gradients`.

    Parameters
    ----------
    net, data, targets, parameters, state, team
        As for `train_epoch`.
    gradients : (n_parameters,) array
        Written.
    dstate : (N, states, runs, H) array or None
        Written: the gradient by `state`.
    dx : (rows, I) array or None
        Written, but for rows of padding: the gradient by `data.x`.
    """
    result, n = np.zeros(RESULTS), len(data.starts)
    gradients[:] = 0
    options = {} if dx is None else {"input_gradients": True}
    space = _spaces.get(LaneSpace, net, int(data.lengths.max()), n, **options)
    space.run(
        LANE_EPOCH,
        "sgd",
        team=team,
        **_job(net, data, targets),
        order=by_length(np.arange(n), data.lengths, n),
        n=n,
        batch=n,
        parameters=parameters,
        gradients=gradients,
        update=0,
        state=state,
        dstate=dstate,
        dx=dx,
        dropout=np.zeros(1),
        knobs=np.array(Knobs()),
        seed=0,
        result=result,
    )
    return reported(result).loss


def logits(
    net: Network,
    data: Sequences,
    parameters: np.ndarray,
    *,
    state: np.ndarray | None = None,
    final: np.ndarray | None = None,
    team: Team | None = None,
) -> np.ndarray:
    """Logits (N, O) of the sequences or, with an output after every step, of all rows.

    A sample's have the same bits alone and in any company: samples never meet, and the order of
    each sum is that of its terms, whatever the tile.

    Parameters
    ----------
    net, data, parameters, state, team
        As for `train_epoch`.
    final : (N, states, runs, H) array or None
        Written: the states after the last step, of reverse runs after step 0.
    """
    n, longest = len(data.starts), int(data.lengths.max())
    out = np.zeros((len(data.x) if net.sequences else n, net.output_size), net.dtype)
    window = longest
    if net.directions == 1 and longest > STEPS:
        window = STEPS
        if final is None:
            final = np.zeros((n, net.states, net.runs, net.hidden_size), net.dtype)
    space = _spaces.get(LaneSpace, net, window, n, forward_only=True)
    for first in range(0, longest, window):
        going = np.flatnonzero(data.lengths > first)
        lengths = np.minimum(data.lengths - first, window)
        space.run(
            PREDICTIONS,
            team=team,
            dropout=np.zeros(1),
            **data._replace(starts=data.starts + first, lengths=lengths)._asdict(),
            order=by_length(going, lengths, n),
            n=len(going),
            parameters=parameters,
            state=final if first else state,
            out=out,  # of a sequence that goes on: overwritten when it has ended
            final=final,
        )
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
        self._run = ONLINE_STEP(net.dtype.name, net.cell, *space.tile)
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
