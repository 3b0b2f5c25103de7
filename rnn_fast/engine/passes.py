"""Forward and backward passes over the same sequences, for gradients from outside.

The forward pass gives outputs and final states; the backward pass takes gradients with respect to
these, whatever they come from.  In between, the states of all sequences are kept, or else the
backward pass runs forward again, block by block.

Nothing here imports Numba.  Callers have checked every array: shapes fit, arrays are C-contiguous
and of the network's dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.rows import Sequences
from ..layout.batch import bytes_per_step
from ..layout.batch_records import STAGES
from ..layout.network import Network
from ..losses import LOSSES
from ..optimizers import SGD
from ..tuning import TUNING
from .operations import (
    BATCH_EPOCH,
    RESULTS,
    UNIT_EPOCH,
    by_length,
    hidden_fields,
    inputs,
    wanted_layer,
)
from .threads import Team
from .tiling import runs_in_units
from .workspace import MEMORY, BatchSpace, Job, Memory, UnitSpace

LINEAR = "linear"  #: the loss whose targets are gradients


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
    dropout : float
        Probability of dropping an output of a layer below the top.
    seed : int
        Of dropout, in [0, 2**62).
    input_gradients : bool
        Whether there is to be a gradient with respect to `data.x`.
    memory : Memory

    Attributes
    ----------
    keeps : bool
        Whether the states are kept: if they take at most `TUNING.pass_bytes`.
    """

    def __init__(
        self,
        net: Network,
        parameters: np.ndarray,
        data: Sequences,
        *,
        state: np.ndarray | None = None,
        dropout: float = 0.0,
        seed: int = 0,
        input_gradients: bool = False,
        memory: Memory = MEMORY,
    ) -> None:
        self.net = net = net._replace(loss=LINEAR)
        self.data, self.n, T = data, len(data.starts), int(data.lengths.max())
        options = {"dropout": dropout > 0 and net.layers > 1, "input_gradients": input_gradients}
        self.keeps = bytes_per_step(net) * T * self.n <= TUNING.pass_bytes
        self.space: Any
        if runs_in_units(net, T, self.n):
            self.keeps, program = True, UNIT_EPOCH
            self.space = UnitSpace(net, T, self.n, memory=memory, **options)
        else:
            program = BATCH_EPOCH
            self.space = BatchSpace(net, T, self.n, memory, keeps=self.keeps, **options)
        self._job = self.space.job(
            program,
            SGD.name,
            **inputs(net, data),
            loss=LOSSES.place(LINEAR),
            order=by_length(np.arange(self.n), data.lengths, self.n),
            n=self.n,
            batch=self.n,
            total=np.ones(1),
            parameters=parameters,
            gradients=np.zeros(len(parameters), net.dtype),
            update=0,
            state=state,
            dropout=np.array([dropout]),
            knobs=SGD().knobs(),
            seed=seed,
            result=np.zeros(RESULTS),
        )

    @property
    def n_rows(self) -> int:
        """Rows of outputs: of `data`, or one for each sequence."""
        return len(self.data.x) if self.net.sequences else self.n

    def forward(
        self,
        *,
        final: np.ndarray | None = None,
        team: Team | None = None,
    ) -> np.ndarray:
        """Return the outputs (rows or N, O); write the last states to `final`.

        Parameters
        ----------
        final : (N, states, runs, H) array or None
            Written.
        team : Team or None
            Threads to work with.  Default: this thread alone.
        """
        net = self.net
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
        job: Job = self._job
        job.forget(*STAGE_FIELDS)
        job.set({**fields, "stage": stage})
        job.set({"result": np.zeros(RESULTS)})
        self.space.lead(job, team)


STAGE_FIELDS = (
    *("out", "hidden", "final"),
    *("y", "gradients", "dfinal", "dstate", "dx"),
)
