"""Training on sequences, in one compiled call for some batches.

Nothing here imports Numba.  Callers have checked every array: shapes fit, arrays are C-contiguous
and of the network's dtype.
"""

from __future__ import annotations

from threading import get_ident
from typing import Any

import numpy as np

from ..data.rows import Sequences, Targets
from ..layout.network import Network
from ..tuning import TUNING
from .chance import NOTHING, Chance
from .guide import Guide
from .loss import loss_fields
from .operations import (
    RESULTS,
    SINGLE_EPOCH,
    Epoch,
    by_length,
    epoch_space,
    inputs,
    reported,
)
from .optimizer_state import Descent
from .passes import keeps_states
from .plain import demand_compiler
from .threads import Team
from .tiling import runs_singly
from .workspace import Job, SingleSpace, Spaces, spaces


class Epochs:
    """Training on the same sequences again and again, at little more than the kernels' cost.

    Parameters
    ----------
    net : Network
    parameters : (n_parameters,) array
        Updated in place.
    descent : Descent
        Its state is updated; its penalties and bounds may be replaced before `load`.
    bptt : int
        Steps of a window of truncated back-propagation, with an update after each window; 0 for
        whole sequences.  May change before `load`.
    chance : Chance
        Dropout and noise.
    spaces : Spaces
        Work memory.  Default: the memory that this thread last used.

    Raises
    ------
    CompilerMissing
        No compiled program can be had.

    Attributes
    ----------
    space : BatchSpace, UnitSpace or SingleSpace
        Work memory in use, after `load`.
    job : Job
        The call on it.
    batch_size : int
        Samples of an update, after `load`.
    """

    space: Any = None
    guide: Guide | None = None  #: for losses from elsewhere; may change before `load`
    activity: np.ndarray | None = None  #: coefficients of states, `Activity`; may change likewise

    def __init__(
        self,
        net: Network,
        parameters: np.ndarray,
        descent: Descent,
        *,
        bptt: int = 0,
        chance: Chance = NOTHING,
        spaces: Spaces = spaces,
    ) -> None:
        demand_compiler(net, "training")
        self.net, self.parameters, self.descent = net, parameters, descent
        self.bptt, self.chance, self._spaces = bptt, chance, spaces
        self._key: tuple[Any, ...] | None = None  # of the job
        self.job: Any = None
        self.batch_size, self._few = 0, False

    def load(
        self,
        data: Sequences,
        targets: Targets,
        batch_size: int,
        state: np.ndarray | None = None,
    ) -> None:
        """Take the data of the next runs.

        Parameters
        ----------
        data : Sequences
        targets : Targets
        batch_size : int
        state : (N, states, runs, H) array or None
            Initial states.
        """
        net, lengths = self.net, data.lengths
        longest, self._unequal = int(lengths[0]), None
        if len(lengths) > 1:
            longest = int(lengths.max())  # of all, for a part must do what the whole does
            self._unequal = None if (lengths == longest).all() else lengths
        plain = self._unequal is None and targets.weights is None and state is None
        plain = plain and not (self.chance.is_noisy or self.chance.readout_dropout)
        plain = plain and not 0 < self.bptt < longest and len(data.x) == len(lengths) * longest
        if batch_size != self.batch_size:
            self.batch_size, self._few = batch_size, runs_singly(net, batch_size)
        single = plain and self._few
        single = single and self.guide is None and self.activity is None
        self._single = single
        T = min(self.bptt or longest, longest)
        fields = {"y": targets.y, "batch": batch_size, "penalties": self.descent.penalties}
        if single:
            fields["x"] = data.x
        else:
            sparse = int(self.descent.sparse(net))
            fields |= inputs(net, data)
            fields |= {"weights": targets.weights, "state": state, "sparse": sparse}
            fields["activity"] = self.activity
        # work memory is of this thread
        driver = single, longest, T, batch_size, self.chance, self.descent.bounds
        key = TUNING.changes, get_ident(), *driver, self.guide is None
        if key != self._key:
            self._key = None
            self.job = self._single_job(T) if single else self._batch_job(T, longest, batch_size)
            self._key = key
        self.job.set({**fields, **loss_fields(self.space, net, targets.skips)})
        if self.guide is not None:
            self.guide.load(net, data, targets, T)

    def unprepare(self) -> None:
        """Let the work memory go."""
        self._key = self.job = self.space = None

    def forget(self) -> None:
        """Let the memory of the data go."""
        if self.job is not None:
            self.job.forget("x", "tokens", "y", "weights", "state")

    def _common(self) -> dict[str, Any]:
        descent = self.descent
        self._update = descent.update(self.space)
        return {
            "parameters": self.parameters,
            "descend": self._update.program.inner,
            "descent": self._update.record,
            "moments": descent.moments,
            "rows": len(descent.optimizer.state),
        }

    def _single_job(self, T: int) -> Job:
        rows = len(self.descent.optimizer.state)
        self.space = self._spaces.get(SingleSpace, self.net, T, rows)
        fields = {**self._common(), "n_parameters": len(self.parameters)}
        return self.space.job(SINGLE_EPOCH, **fields)

    def _batch_job(self, T: int, longest: int, batch_size: int) -> Job:
        net, descent = self.net, self.descent
        shape = (batch_size, net.states, net.runs, net.hidden_size)
        options = self.chance.masks(net)
        if self.guide is not None:
            options["keeps"] = keeps_states(net, T, batch_size)
        self.space, program = epoch_space(
            self._spaces, net, T, batch_size, len(descent.optimizer.state), **options
        )
        return self.space.job(
            program,
            **self._common(),
            gradients=descent.gradients,
            update=len(self.parameters),
            carry=np.zeros(shape, net.dtype) if T < longest else None,
            **self.chance.fields(),
        )

    def ordered(self, order: np.ndarray) -> np.ndarray:
        """Return the samples of an epoch in the order in which the program visits them."""
        if self._unequal is None:
            return order
        return by_length(order, self._unequal, self.batch_size)

    def run(
        self,
        order: np.ndarray,
        schedule: np.ndarray,
        result: np.ndarray,
        *,
        seed: int = 0,
        team: Team | None = None,
    ) -> Epoch:
        """Train on the samples ``order`` in batches, with a step of descent after each.

        Parts of an epoch have the bits of the whole epoch, if all parts except the last consist of
        whole batches.

        Parameters
        ----------
        order : (n,) int64 array
            Samples, in this order.
        schedule : (batches,) float64 array
            Learning rate of each batch.
        result : (`RESULTS`,) float64 array
            Sums of the epoch so far, added to.
        seed : int
            Seed of dropout and noise, in [0, 2**62).
        team : Team or None
            Threads to work with.  Default: this thread alone.

        Returns
        -------
        Epoch
            Measures of everything summed up in `result`.
        """
        order = self.ordered(order)
        if self.guide is not None:
            self.guide.run(self, order, schedule, result, seed, team)
            return reported(result)
        fields = {"order": order, "n": len(order), "schedule": schedule, "result": result}
        if not self._single:
            fields["seed"] = seed
        self.job.set(fields)
        self.space.lead(self.job, team)
        return reported(result)


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
    state: np.ndarray | None = None,
    seed: int = 0,
    team: Team | None = None,
    result: np.ndarray | None = None,
    **options: Any,
) -> Epoch:
    """Train once on the samples ``order``, with the arguments of `Epochs` and its methods."""
    epochs = Epochs(net, parameters, descent, **options)
    epochs.load(data, targets, batch_size, state)
    result = np.zeros(RESULTS) if result is None else result
    return epochs.run(order, schedule, result, seed=seed, team=team)
