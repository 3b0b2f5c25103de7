"""Forward and backward passes over the same sequences, for gradients from outside.

The forward pass gives outputs and final states; the backward pass takes gradients with respect to
these, whatever they come from.  In between, the states of all sequences are kept, or else the
backward pass runs forward again, block by block.

Nothing here imports Numba.  Callers have checked every array: shapes fit, arrays are C-contiguous
and of the network's dtype.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from ..data.rows import Sequences
from ..layout.batch import bytes_per_step
from ..layout.network import Network
from ..layout.stages import STAGES
from ..tuning import TUNING
from .chance import NOTHING, Chance
from .guide import given, linear
from .loss import loss_fields
from .operations import (
    BATCH_EPOCH,
    RESULTS,
    UNIT_EPOCH,
    by_length,
    hidden_fields,
    inputs,
    wanted_layer,
)
from .plain import demand_compiler
from .threads import Team
from .tiling import runs_in_units
from .workspace import MEMORY, BatchSpace, Job, Memory, UnitSpace


def keeps_states(net: Network, T: int, n: int) -> bool:
    """Return whether the states of n sequences are kept between the stages."""
    return bytes_per_step(net) * T * n <= TUNING.pass_bytes


class Work(NamedTuple):
    """Work memory of passes, and the job that they run on it."""

    space: BatchSpace | UnitSpace
    job: Job
    order: np.ndarray  #: (n,): sequences of equal length
    result: np.ndarray  #: (`RESULTS`,)
    rooms: dict[str, np.ndarray]  #: see `Passes.room`

    @property
    def n_bytes(self) -> int:
        """Bytes of memory."""
        return self.space.n_bytes + sum(room.nbytes for room in self.rooms.values())


class Pool:
    """Work memory that no pass uses, for the next pass of its kind.

    Fresh memory costs a fault for each page, together as much as the kernels.  Any thread may take
    and give; the operations of lists and dicts are whole.
    """

    def __init__(self, memory: Memory = MEMORY) -> None:
        self.memory = memory
        self._free: dict[Any, list[Work]] = {}  # the last used kind last

    def take(self, key: Any) -> Work | None:
        """Return work memory of a kind; None if there is none."""
        try:
            return self._free[key].pop()
        except (KeyError, IndexError):
            return None

    def give(self, key: Any, work: Work) -> None:
        """Keep work memory, as long as all together take at most `TUNING.pass_bytes`."""
        work.job.forget(*FIELDS, *STAGE_FIELDS)
        own = self._free.pop(key, [])
        own.append(work)
        self._free[key] = own
        while self._free and self.n_bytes > TUNING.pass_bytes:
            self._free.pop(next(iter(self._free)), None)

    @property
    def n_bytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(work.n_bytes for kind in list(self._free.values()) for work in list(kind))


POOL = Pool()


def _work(net: Network, T: int, n: int, memory: Memory, options: dict[str, bool]) -> Work:
    """Return new work memory for n sequences of T steps."""
    space: BatchSpace | UnitSpace
    if runs_in_units(net, T, n):
        program, space = UNIT_EPOCH, UnitSpace(net, T, n, memory=memory, **options)
    else:
        keeps = keeps_states(net, T, n)
        program, space = BATCH_EPOCH, BatchSpace(net, T, n, memory, keeps=keeps, **options)
    result = np.zeros(RESULTS)
    job = space.job(
        program,
        **loss_fields(space, net),
        n=n,
        batch=n,
        given=given(divisor=1.0),
        update=0,
        result=result,
    )
    return Work(space, job, np.arange(n), result, rooms={})


def _taken(
    net: Network, T: int, n: int, chance: Chance, input_gradients: bool, pool: Pool
) -> tuple[Any, Work]:
    """Return the kind of work memory for n sequences of T steps, and such memory."""
    options = {**chance.masks(net), "input_gradients": input_gradients}
    key = (TUNING.changes, net, T, n, *options.values())
    return key, pool.take(key) or _work(net, T, n, pool.memory, options)


def numbers_kept(
    net: Network, T: int, n: int, chance: Chance, input_gradients: bool, pool: Pool = POOL
) -> int:
    """Return the length of `kept` for `Passes` over n sequences of T steps; 0: it cannot be."""
    key, work = _taken(linear(net), T, n, chance, input_gradients, pool)
    pool.give(key, work)
    return 0 if work.space.kept is None else work.space.kept.size


class Passes:
    """A forward pass, and backward passes for gradients with respect to its outputs.

    Parameters
    ----------
    net : Network
        Its loss has no part in this.
    parameters : (n_parameters,) array
        Not to change between the passes.
    data : Sequences
    state : (N, states, runs, H) array or None
        Initial states.
    chance : Chance
        Dropout and noise.
    seed : int
        Of these, in [0, 2**62).
    input_gradients : bool
        Whether there is to be a gradient with respect to `data.x`.
    kept : (`numbers_kept`,) array or None
        Memory for the states; other passes over the same data can go backward from it.  Default:
        work memory.
    pool : Pool
        Where work memory comes from, and where it goes with the end of this object.

    Raises
    ------
    CompilerMissing
        No compiled program can be had.

    Attributes
    ----------
    space : BatchSpace or UnitSpace
        It says whether it `keeps` the states.
    """

    def __init__(
        self,
        net: Network,
        parameters: np.ndarray,
        data: Sequences,
        *,
        state: np.ndarray | None = None,
        chance: Chance = NOTHING,
        seed: int = 0,
        input_gradients: bool = False,
        kept: np.ndarray | None = None,
        pool: Pool = POOL,
    ) -> None:
        demand_compiler(net, "a gradient")
        self.net = net = linear(net)
        self.data, self.n, T = data, len(data.starts), int(data.lengths.max())
        key, work = _taken(net, T, self.n, chance, input_gradients, pool)
        self.space, self._job, self._work = work.space, work.job, work
        self._given_back = weakref.finalize(self, pool.give, key, work)
        self._given_back.atexit = False
        fields = {"parameters": parameters, "state": state, "seed": seed, **chance.fields()}
        fields["kept"] = self.space.kept if kept is None else kept
        order = by_length(work.order, data.lengths, self.n)
        self._job.set({**inputs(net, data), **fields, "order": order})

    @property
    def n_rows(self) -> int:
        """Rows of outputs: of `data`, or one for each sequence."""
        return len(self.data.x) if self.net.sequences else self.n

    def room(self, name: str, columns: int) -> np.ndarray:
        """Return an array (rows, columns) that goes back to the pool with the work memory."""
        rooms, n = self._work.rooms, len(self.data.x)
        if name not in rooms or rooms[name].size < n * columns:
            rooms[name] = np.empty(n * columns, self.net.dtype)
        return rooms[name][: n * columns].reshape(n, columns)

    def forward(
        self,
        *,
        out: np.ndarray | None = None,
        final: np.ndarray | None = None,
        team: Team | None = None,
    ) -> np.ndarray:
        """Return the outputs (rows or N, O); write the last states to `final`.

        Parameters
        ----------
        out : (rows or N, O) array or None
            Written, except for rows of padding, and returned.  Default: zeros before that.
        final : (N, states, runs, H) array or None
            Written.
        team : Team or None
            Threads to work with.  Default: this thread alone.
        """
        net = self.net
        if out is None:
            out = np.zeros((self.n_rows, net.outputs), net.dtype)
        fields: dict[str, Any] = {"out": out}
        if not net.output_size:
            fields = hidden_fields(out, wanted_layer(net, net.layers - 1))
        self._run(STAGES.forward, team, final=final, **fields)
        return out

    def backward(
        self,
        doutputs: np.ndarray,
        gradients: np.ndarray,
        *,
        dfinal: np.ndarray | None = None,
        dstate: np.ndarray | None = None,
        dx: np.ndarray | None = None,
        team: Team | None = None,
    ) -> None:
        """Write the gradients of the inner product of outputs and `doutputs`, plus that of states.

        Parameters
        ----------
        doutputs : (rows or N, O) array
            Any numbers; those of padding have no effect.
        gradients : (n_parameters,) array
            Written.
        dfinal : (N, states, runs, H) array or None
            Gradient with respect to the last states.
        dstate : (N, states, runs, H) array or None
            Written: the gradient with respect to `state`.
        dx : (rows, I) array or None
            Written, except for rows of padding: the gradient with respect to `data.x`.
        """
        gradients[:] = 0
        fields = {"y": doutputs, "gradients": gradients, "dfinal": dfinal, "dstate": dstate}
        self._run(STAGES.backward, team, dx=dx, **fields)

    def _run(self, stage: int, team: Team | None, **fields: Any) -> None:
        """Run the program for a stage; arrays of the other stage are let go."""
        self._work.result[:] = 0
        self._job.forget(*STAGE_FIELDS)
        self._job.set({**fields, "stage": stage})
        self.space.lead(self._job, team)


#: arrays of a `BatchJob` that come from outside: of both stages, and of one
FIELDS = ("x", "tokens", "starts", "lengths", "order", "parameters", "state", "kept")
STAGE_FIELDS = (
    *("out", "hidden", "final"),
    *("y", "gradients", "dfinal", "dstate", "dx"),
)
