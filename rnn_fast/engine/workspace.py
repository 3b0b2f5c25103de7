"""Work memory of the drivers, and calls of compiled programs on it."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..cells.specs import CELLS
from ..jit import Program
from ..layout.batch import BatchLayout
from ..layout.batch_records import BatchBuffers, BatchJob
from ..layout.memory import aligned, offsets, round_up
from ..layout.network import Network, parameter_offsets
from ..layout.single import SingleJob, single_layout, single_places
from ..layout.units import UnitLayout
from ..tuning import TUNING
from ..validation import DTYPES
from .outside import outside
from .plain import needed
from .threads import CORES, Team
from .tiling import batch_tile, single_tile, unit_tile, vector_lanes


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
    return program(NAMES[net.dtype], net.cell, *key, sources=outside(CELLS[net.cell]))


NAMES = {dtype: dtype.name for dtype in DTYPES}  # NumPy takes 2 us to make a dtype's name


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
    keeps : bool
        Whether the states of all blocks of a batch are kept from stage to stage.
    **options : bool
        As for `BatchLayout`.

    Attributes
    ----------
    numbers : int
        In a vector.
    groups : int
        Threads that can work on a batch.
    n_bytes : int
        Bytes of work memory.
    keeps : bool
    """

    def __init__(
        self,
        net: Network,
        T: int,
        batch: int,
        memory: Memory = MEMORY,
        *,
        keeps: bool = False,
        **options: bool,
    ) -> None:
        self.net, self.tile, self._memory = net, batch_tile(net, T, batch), memory
        self.keeps = keeps
        lanes, self.numbers = self.tile.lanes, self.tile.numbers
        row = CELLS[net.cell].n_grads * net.hidden_size * lanes * net.dtype.itemsize
        chunk = max(1, min(T, 64, 65536 // row))
        self.layouts = [BatchLayout(net, T, self.tile[:2], lanes, chunk, **options)]
        if self.tile.tail:
            narrow, lanes_of_tail = (self.tile.rows, self.tile.tail), self.tile.tail_lanes
            self.layouts.append(BatchLayout(net, T, narrow, lanes_of_tail, chunk, **options))
        blocks = self.blocks = -(-batch // lanes)
        work, shared = self._placed()
        self._members = [(work, np.zeros(6 * lanes, np.int64))]
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
        if keeps:
            shared |= self._kept_states()
        self._shared = shared | {"groups": self.groups, "round": self.round}
        arrays = [work, *self._shared.values()]
        self.n_bytes = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        self._team = Team()  # of a thread that works alone
        self._fixed = Job(BatchJob, None, {**self._shared, **self._of_thread(0, self._team)})

    @property
    def kept(self) -> np.ndarray | None:
        """Memory for the states of all blocks, if it `keeps` them: field of a job."""
        return self._shared.get("kept")

    def _buffers(self) -> list[int]:
        """Return the elements of each buffer of a thread, of both tiles."""
        return [n for layout in self.layouts for n in layout.buffers()]

    def _placed(self) -> tuple[np.ndarray, dict[str, Any]]:
        """Return a thread's work memory, and fields of a job that say where things lie in it."""
        dtype, names = self.net.dtype, ("", "tail_")
        offsets, work = self._memory.buffers(self._buffers(), dtype)
        self._starts = offsets
        counts = [len(layout.weights()) for layout in self.layouts]
        sizes = [n for layout in self.layouts for n in layout.weights()]
        starts, packed = self._memory.buffers(sizes, dtype)
        fields: dict[str, Any] = {"packed": packed}
        for k, (name, layout) in enumerate(zip(names, self.layouts, strict=False)):
            n = len(layout.buffers())
            own = np.ascontiguousarray(offsets[k * n : (k + 1) * n])
            fields[f"{name}offsets"] = own
            weights = starts[k * counts[0] : k * counts[0] + counts[k]]
            fields[f"{name}sizes"] = np.array(layout.place(own, weights), np.int64)
        return work, fields

    def _kept_states(self) -> dict[str, Any]:
        """Fields of a job for the states of all blocks of a batch."""
        n = len(BatchBuffers._fields)
        ends = [*self._starts[len(self.layouts[0].buffers()) :], len(self._members[0][0])]
        step = round_up(int(ends[0] - self._starts[n]), 64)
        memory = self._memory.vector(self.blocks * step, self.net.dtype)
        return {"kept": memory, "kept_step": step}

    def _of_thread(self, helps: int, team: Team) -> dict[str, Any]:
        """Fields of a job that each thread of a team has of its own, and the team."""
        work, ids = self._members[helps]
        return {"work": work, "ids": ids, "helps": helps, "team": team.sync}

    def job(self, program: Program, **fields: Any) -> Job:
        """Return a job of `program` for arrays, numbers, None."""
        function = function_of(program, self.net, *self.tile)
        return self._fixed.but(function, fields)

    def parts(self) -> list[tuple[np.ndarray, int]]:
        """Return the place of each flat parameter in an update, and the numbers there."""
        n = self.net.n_parameters
        return [(np.arange(n), n)]

    def lead(self, job: Job, team: Team | None = None) -> None:
        """Run a job that `job` has made, with the threads of a team.

        One thread works on the job itself: a copy takes 10 us.
        """
        if team is None or team.size == 1:
            CORES.take(self, 1)
            try:
                self._team.run(job.run, ())
            finally:
                CORES.free(self)
            return
        with team.taken(self.groups) as n:
            while len(self._members) < n:
                lines = TUNING.thread_shift * len(self._members)
                _, work = self._memory.buffers(self._buffers(), self.net.dtype, lines)
                self._members.append((work, np.zeros_like(self._members[0][1])))
                self.n_bytes += work.nbytes
            lead, *helps = (job.but(job.function, self._of_thread(i, team)).run for i in range(n))
            team.run(lead, helps)

    def run(self, program: Program, team: Team | None = None, **fields: Any) -> None:
        """Run `program` once, see `job` and `lead`."""
        self.lead(self.job(program, **fields), team)


class Job:
    """A program and the record it works on, to be run again and again.

    Parameters
    ----------
    record : type
        A NamedTuple of the fields.
    function : callable or None
        Takes the address of the record.
    fields : dict
        Arrays, which live as long as their addresses are in the record; numbers; None.

    Attributes
    ----------
    block : (n_fields,) int64 array
        The record.
    address : int
        Of the record.
    """

    def __init__(self, record: Any, function: Any, fields: Mapping[str, Any]) -> None:
        self.record, self.function = record, function
        self._places, self._fields = _places(record), {}  # type: ignore[var-annotated]
        self.block = np.zeros(len(record._fields), np.int64)
        self.address = self.block.ctypes.data
        self.set(fields)

    def but(self, function: Any, fields: Mapping[str, Any]) -> Job:
        """Return another job, with some other fields."""
        other = Job(self.record, function, {})
        other.block[:] = self.block
        other._fields.update(self._fields)
        other.set(fields)
        return other

    def set(self, fields: Mapping[str, Any]) -> None:
        """Change fields; an array or number that is there already costs nothing."""
        kept = self._fields
        for name, value in fields.items():
            if name not in kept or kept[name] is not value:
                kept.pop(name, None)  # first: an interrupt must not leave an address without array
                self.block[self._places[name]] = address(value)
                kept[name] = value

    def get(self, name: str) -> Any:
        """Return the array or number of a field; None if there is none."""
        return self._fields.get(name)

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays whose addresses are in the record."""
        return [value for value in self._fields.values() if isinstance(value, np.ndarray)]

    def forget(self, *names: str) -> None:
        """Let arrays go, before they are set anew."""
        for name in names:
            if self._fields.pop(name, None) is not None:
                self.block[self._places[name]] = 0

    def run(self) -> None:
        """Run the program."""
        self.function(self.address)


@functools.cache
def _places(record: Any) -> dict[str, int]:
    """Place of each field of a record."""
    return {name: place for place, name in enumerate(record._fields)}


class SingleSpace:
    """Work memory of the single driver, for sequences of T steps.

    `rows` are those of the optimizer's state.
    """

    def __init__(self, net: Network, T: int, rows: int = 0, memory: Memory = MEMORY):
        lanes = self.numbers = vector_lanes(net)
        self.net, self.tile = net, single_tile(net)
        vecs = self.tile[1]
        I, H, O = net.input_size, net.hidden_size, net.output_size
        sizes, buffers = single_layout(T, I, H, O, net.target_size, vecs, lanes, rows)
        self._sizes, self._lanes, self.sizes = sizes, lanes, np.array(sizes, np.int64)
        self.offsets, self.work = memory.buffers(list(buffers), net.dtype)
        self.n_bytes = self.work.nbytes

    def job(self, program: Program, **fields: Any) -> Job:
        """Return a job of `program` for arrays and numbers."""
        own = {"sizes": self.sizes, "offsets": self.offsets, "work": self.work}
        function = function_of(program, self.net, *self.tile)
        return Job(SingleJob, function, {**own, **fields})

    def parts(self) -> list[tuple[np.ndarray, int]]:
        """Return the place of each flat parameter in an update, and the numbers there."""
        return [(single_places(self._sizes, self._lanes), self._sizes.parameters)]

    def lead(self, job: Job, team: Team | None = None) -> None:
        """Run a job in this thread."""
        job.run()


class UnitSpace:
    """Work memory of the units driver, for batches of so many samples and windows of T steps.

    `moments` are the rows of the optimizer's state.
    """

    keeps = True  #: states, from stage to stage
    kept = None  #: they are among its other work memory

    def __init__(
        self,
        net: Network,
        T: int,
        batch: int,
        moments: int = 0,
        memory: Memory = MEMORY,
        **options: bool,
    ) -> None:
        self.net, self.tile, self.numbers = net, unit_tile(batch), vector_lanes(net)
        self.layout = UnitLayout(net, T, batch, self.tile, self.numbers, moments, **options)
        self.offsets, self.work = memory.buffers(self.layout.buffers(), net.dtype)
        self.dtokens = memory.vector(batch * T * net.embedding, net.dtype)
        self.sizes = np.array(self.layout.place(self.offsets), np.int64)
        self.ids = np.zeros(6 * self.layout.samples, np.int64)
        arrays = {name: getattr(self, name) for name in ("sizes", "offsets", "work")}
        arrays |= {"dtokens": self.dtokens, "ids": self.ids}
        self.n_bytes = sum(array.nbytes for array in arrays.values())
        self._fixed = Job(BatchJob, None, arrays)

    def record(self, **fields: Any) -> Job:
        """Return a job without a program."""
        return self._fixed.but(None, fields)

    def job(self, program: Program, **fields: Any) -> Job:
        """Return a job of `program` for arrays, numbers, None."""
        return self._fixed.but(function_of(program, self.net, *self.tile), fields)

    def parts(self) -> list[tuple[np.ndarray, int]]:
        """Return the place of each flat parameter in an update, and the numbers there."""
        n = self.net.input_size * self.net.embedding
        return [(self.layout.places(), self.layout.tables.n_parameters), (np.arange(n), n)]

    def lead(self, job: Job, team: Team | None = None) -> None:
        """Run a job in this thread."""
        job.run()

    def run(self, program: Program, team: Team | None = None, **fields: Any) -> None:
        """Run `program` once."""
        self.job(program, **fields).run()


def addresses(*arguments: Any) -> tuple[Any, ...]:
    """Return arguments for C: an array's address, 0 for None, a number as it is."""
    return tuple(map(address, arguments))


def address(a: Any) -> Any:
    """The address of an array, 0 for None, a number as it is.

    A buffer tells it in 0.3 us, `ndarray.ctypes` in 1 us.
    """
    if not isinstance(a, np.ndarray):
        return 0 if a is None else a
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(a))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # read-only, or empty
        return a.ctypes.data


SMALL_SPACES = 4  #: that a thread keeps to train, and to predict


class Spaces(threading.local):
    """Work memory that a thread last used to train and to predict, kept for the next epoch.

    Small ones are kept in turn: a study measures two parts of its data for each model, and to lay
    out memory takes 0.4 ms.

    Parameters
    ----------
    memory : Memory
    is_plain : callable
        Returns whether NumPy predicts with a network.
    """

    def __init__(
        self, memory: Memory = MEMORY, is_plain: Callable[[Network], bool] = needed
    ) -> None:
        self.memory, self.is_plain = memory, is_plain
        self.kept: dict[bool, list[tuple[Any, Any]]] = {}  # by `forward_only`, the last used first

    def get(self, kind: type, *key: Any, forward_only: bool = False, **options: bool) -> Any:
        """Return the space of a kind for a key, a kept one if it fits, else a new one."""
        whole = (TUNING.changes, kind, *key, *options.items())
        kept = self.kept.setdefault(forward_only, [])
        if not (kept and kept[0][0] == whole):
            found = next((pair for pair in kept if pair[0] == whole), None)
            small = [p for p in kept if p is not found and p[1].n_bytes <= TUNING.model_bytes]
            kept[:] = small[: SMALL_SPACES - 1]  # free before the next is made
            if found is None:
                if forward_only:
                    options["forward_only"] = True
                found = whole, self._made(kind, *key, **options)
            kept.insert(0, found)
        return kept[0][1]

    def _made(self, kind: type, *key: Any, **options: bool) -> Any:
        """Return a new space."""
        try:
            return kind(*key, memory=self.memory, **options)
        except MemoryError as error:
            net, T, *_ = key
            raise MemoryError(
                f"no work memory for {T} steps of {net.hidden_size} units: {error}; training "
                "with bptt needs memory for that many steps alone"
            ) from error

    def trim(self) -> None:
        """Free spaces that are too large to keep for a next call that may never come."""
        for kept in self.kept.values():
            kept[:] = [pair for pair in kept if pair[1].n_bytes <= TUNING.kept_bytes]


spaces = Spaces()
