"""Work memory of the two drivers, and calls of compiled programs on it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..cells.specs import CELLS, Cell
from ..jit import Program
from ..layout.batch import BatchLayout
from ..layout.batch_records import BatchJob
from ..layout.memory import aligned, offsets, round_up
from ..layout.network import Network, parameter_offsets
from ..layout.single import SingleJob, single_layout
from ..losses import LOSSES, Loss
from ..optimizers import OPTIMIZERS, Optimizer
from ..tuning import TUNING
from ..validation import DTYPES
from .threads import Team
from .tiling import batch_tile, vector_lanes


class Memory:
    """A source of zeroed memory."""

    def vector(self, n: int, dtype: np.dtype, lines: int = 0) -> np.ndarray:
        """Return an aligned vector of `n` zeros, shifted by `lines` cache lines."""
        return aligned(n, dtype, lines)

    def buffers(
        self, sizes: list[int], dtype: np.dtype, lines: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the start of each buffer in a vector, and this vector."""
        starts, length = offsets(sizes)
        return starts, self.vector(length, dtype, lines)


MEMORY = Memory()


def function_of(program: Program, net: Network, *key: Any) -> Callable[[int], None]:
    """Return the compiled function of a program for a network, further specialised by `key`."""
    optimizers = tuple(OPTIMIZERS[name] for name in key if isinstance(name, str))
    sources = _outside(CELLS[net.cell], tuple(LOSSES.values()), optimizers)
    return program(_NAMES[net.dtype], net.cell, *key, sources=sources)


_NAMES = {dtype: dtype.name for dtype in DTYPES}  # NumPy takes 2 us to make a dtype's name


@functools.cache
def _outside(
    cell: Cell, losses: tuple[Loss, ...], optimizers: tuple[type[Optimizer], ...]
) -> tuple[str, ...]:
    """Compiled maths from outside the package that a program holds, as ``module:function``."""
    sources = list(cell.sources)
    for loss in losses:
        sources += loss.sources
    for optimizer in optimizers:
        sources += optimizer.sources()
    return tuple(source for source in sources if not source.startswith("rnn_fast."))


class BatchSpace:
    """Work memory of the batch driver, and the code that fits it.

    Threads share the packed weights and the vectors for the gradients of each group of blocks.
    Each thread has memory for the block it works on.

    Parameters
    ----------
    net : Network
    T : int
        Steps there must be room for.
    batch : int
        Samples of a batch.
    memory : Memory
    **options : bool
        As for `BatchLayout`.

    Attributes
    ----------
    groups : int
        Threads that can work on a batch.
    n_bytes : int
        Bytes of work memory.
    """

    def __init__(
        self, net: Network, T: int, batch: int, memory: Memory = MEMORY, **options: bool
    ) -> None:
        self.net, self.tile, self._memory = net, batch_tile(net, T, batch), memory
        lanes = self.tile.lanes
        row = CELLS[net.cell].n_grads * net.hidden_size * lanes * net.dtype.itemsize
        chunk = max(1, min(T, 64, 65536 // row))
        self.layout = BatchLayout(net, T, self.tile[:2], lanes, chunk, **options)
        blocks = self.blocks = -(-batch // lanes)
        self.offsets, work = memory.buffers(self.layout.buffers(), net.dtype)
        starts, packed = memory.buffers(self.layout.weights(), net.dtype)
        self.sizes = np.array(self.layout.place(self.offsets, starts), np.int64)
        self._members = [(work, np.zeros(6 * lanes, np.int64))]
        shared: dict[str, Any] = {"sizes": self.sizes, "offsets": self.offsets, "packed": packed}
        self.groups = self.round = blocks
        if not options.get("forward_only"):
            room = TUNING.gradient_numbers
            stride = round_up(parameter_offsets(net).embedding, 64)  # lines of their own
            self.groups = min(blocks, TUNING.max_groups, max(1, room // stride))
            embedded = net.embedding * T * lanes
            if embedded:
                self.round = min(blocks, self.groups * max(1, room // (embedded * self.groups)))
            shared["flats"] = memory.vector(self.groups * stride, net.dtype)
            shared["stride"] = stride
            shared["partial"] = np.zeros(8 * self.groups)
            shared["dtokens"] = memory.vector(self.round * embedded, net.dtype)
        self._shared = shared | {"groups": self.groups, "round": self.round}
        arrays = [work, *self._shared.values()]
        self.n_bytes = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        self._block = np.zeros(
            len(BatchJob._fields), np.int64
        )  # of the job, without the fields that change
        _fill(BatchJob, self._block, self._shared)

    def run(self, program: Program, *key: str, team: Team | None = None, **job: Any) -> None:
        """Run `program`, further specialised by `key`, on a `BatchJob` of arrays, numbers, None."""
        function = function_of(program, self.net, *self.tile, *key)
        team = team or Team()
        with team.taken(self.groups) as n:
            while len(self._members) < n:
                lines = TUNING.thread_shift * len(self._members)
                _, work = self._memory.buffers(self.layout.buffers(), self.net.dtype, lines)
                self._members.append((work, np.zeros_like(self._members[0][1])))
                self.n_bytes += work.nbytes
            shared = self._block.copy()
            _fill(BatchJob, shared, {"team": team.sync, **job})
            jobs = []
            for helps, (work, ids) in enumerate(self._members[:n]):
                jobs.append(shared.copy())
                _fill(BatchJob, jobs[-1], {"work": work, "ids": ids, "helps": helps})
            lead, *helps_ = (partial(_call, function, own, job) for own in jobs)
            team.run(lead, helps_)


@functools.cache
def _places(record: Any) -> dict[str, int]:
    """Place of each field of a record."""
    return {name: place for place, name in enumerate(record._fields)}


def _fill(record: Any, block: np.ndarray, fields: dict[str, Any]) -> None:
    """Write fields of a job: addresses of arrays, numbers, 0 for None."""
    places = _places(record)
    for name, value in fields.items():
        block[places[name]] = address(value)


def _call(function: Callable[[int], None], block: np.ndarray, alive: object) -> None:
    """Run a program on a job; `alive` holds the arrays whose addresses it has."""
    function(block.ctypes.data)


class SingleSpace:
    """Work memory of the single driver, for sequences of T steps.

    `rows` are those of the optimizer's state.
    """

    def __init__(self, net: Network, T: int, rows: int = 0, memory: Memory = MEMORY):
        lanes = vector_lanes(net)
        vecs = 1
        while vecs < 4 and vecs * lanes < net.hidden_size:
            vecs *= 2
        self.net = net
        self.tile = 8 // vecs, vecs  # eight sums: the latency of an FMA times its throughput
        I, H, O = net.input_size, net.hidden_size, net.output_size
        sizes, buffers = single_layout(T, I, H, O, net.target_size, vecs, lanes, rows)
        self.sizes = np.array(sizes, np.int64)
        self.offsets, self.work = memory.buffers(list(buffers), net.dtype)
        self.n_bytes = self.work.nbytes

    def run(self, program: Program, *key: str, **job: Any) -> None:
        """Run `program`, further specialised by `key`, on a `SingleJob` of arrays and numbers."""
        block = np.zeros(len(SingleJob._fields), np.int64)
        shared = {"sizes": self.sizes, "offsets": self.offsets, "work": self.work}
        _fill(SingleJob, block, {**shared, **job})
        function_of(program, self.net, *self.tile, *key)(block.ctypes.data)


def addresses(*arguments: Any) -> tuple[Any, ...]:
    """Return arguments for C: an array's address, 0 for None, a number as it is."""
    return tuple(map(address, arguments))


def address(a: Any) -> Any:
    """The address of an array, 0 for None, a number as it is."""
    return a.ctypes.data if isinstance(a, np.ndarray) else 0 if a is None else a


class Spaces(threading.local):
    """Work memory that a thread last used to train and to predict, kept for the next epoch."""

    def __init__(self, memory: Memory = MEMORY) -> None:
        self.memory = memory
        self.kept: dict[bool, tuple[Any, Any]] = {}

    def get(self, kind: type, *key: Any, forward_only: bool = False, **options: bool) -> Any:
        """Return the space of a kind for a key, the last one if it fits, else a new one."""
        whole = (TUNING.changes, kind, *key, *options.items())
        if forward_only:
            options["forward_only"] = True
        if self.kept.get(forward_only, (None,))[0] != whole:
            self.kept.pop(forward_only, None)  # free before the next is made
            try:
                self.kept[forward_only] = whole, kind(*key, memory=self.memory, **options)
            except MemoryError as error:
                net, T, *_ = key
                raise MemoryError(
                    f"no work memory for {T} steps of {net.hidden_size} units: {error}; training "
                    "with bptt needs memory for that many steps alone"
                ) from error
        return self.kept[forward_only][1]

    def trim(self) -> None:
        """Free spaces that are too large to keep for a next call that may never come."""
        for forward_only, (_, space) in list(self.kept.items()):
            if space.n_bytes > TUNING.kept_bytes:
                del self.kept[forward_only]


spaces = Spaces()
