"""An optimizer at work on a vector of parameters: its settings and its state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..jit import Program
from ..layout.batch_records import SUMS
from ..layout.constraints import Bounds
from ..layout.descent import DESCENT as PLACES
from ..layout.descent import DESCENT_WORDS, PART, Part
from ..layout.memory import ALIGN, aligned, round_up
from ..layout.network import Network, parameter_offsets
from ..optimizers import Optimizer
from ..optimizers.optimizer import Limits
from .constraints import CONSTRAINED, Places, Projections
from .outside import foreign
from .workspace import address, addresses

DESCENT = Program("rnn_fast.kernels.descent", "descent", job="integers")
CLIP_NORM, CLIP_VALUE = map(Limits._fields.index, ("clip_norm", "clip_value"))
REGISTER = 64  #: elements, at least one vector register


class Update(NamedTuple):
    """A prepared update."""

    program: Any
    record: np.ndarray  #: a `DescentJob`, the most of which the driver fills
    projections: Projections | None  #: alive as long as their addresses


class Descent:
    """An optimizer and its state, for n parameters.

    Attributes
    ----------
    optimizer : Optimizer
    knobs : ndarray of float64
        As `Optimizer.knobs` makes them; updated in place.
    moments : (rows * n,) array
        Rows are as long as the parameters.
    penalties : (2 * n,) array or None
        l1 and l2 of each parameter.
    gradients : (n,) array
        Of the last update; an embedding's are zero between updates.
    bounds : Bounds or None
        Constraints; may be replaced before the next `update`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        n: int,
        dtype: np.dtype,
        *,
        penalties: np.ndarray | None = None,
        clip_norm: float = 0.0,
        clip_value: float = 0.0,
    ):
        self.optimizer, self.knobs = optimizer, optimizer.knobs(clip_norm, clip_value)
        self.penalties, self._start = penalties, self.knobs.copy()
        rows = len(optimizer.state)
        parts = [round_up(rows * n, ALIGN), round_up(n, ALIGN), (2 + rows) * REGISTER]
        memory = aligned(sum(parts), dtype)
        self.moments = memory[: rows * n]
        self.gradients = memory[parts[0] : parts[0] + n]
        self.spare = memory[parts[0] + parts[1] :]
        self.bounds: Bounds | None = None

    def update(self, space: Any) -> Update:
        """Return the update of a driver, whose program is compiled on first use.

        space : BatchSpace, UnitSpace, SingleSpace or FlatSpace
            Memory of the driver.
        """
        dtype, record = self.gradients.dtype.name, np.zeros(DESCENT_WORDS, np.int64)
        record[PLACES.knobs], record[PLACES.spare] = address(self.knobs), address(self.spare)
        program: Any = DESCENT(
            dtype, self.optimizer.name, sources=foreign(self.optimizer.sources())
        )
        if self.bounds is None:
            return Update(program, record, None)
        projections = Projections(self.bounds, space.parts())
        record[PLACES.descend] = program.inner
        record[PLACES.constraints] = address(projections.record)
        return Update(CONSTRAINED(dtype), record, projections)

    def reset(self) -> None:
        """Put the state back to before the first update."""
        self.knobs[:] = self._start
        self.moments[:] = 0

    def limit(self, clip_norm: float, clip_value: float) -> None:
        """Set the limits of the gradient; 0 is none."""
        self.knobs[CLIP_NORM], self.knobs[CLIP_VALUE] = clip_norm, clip_value

    def sparse(self, net: Network) -> bool:
        """Return whether a gradient of zero leaves a row of the embedding as it is."""
        if not net.embedding:
            return False
        start = parameter_offsets(net).embedding
        free = self.penalties is None or not self.penalties.reshape(2, -1)[:, start:].any()
        free = free and (self.bounds is None or self.bounds.leaves_free(start))
        return self.optimizer.is_plain and free


class FlatSpace(NamedTuple):
    """Parameters that are updated where they are."""

    n: int

    def parts(self) -> list[Places]:
        """Return the one part."""
        return [(np.arange(self.n), self.n)]


class FlatUpdate:
    """Updates of the flat parameters, from gradients that were computed before.

    Parameters
    ----------
    descent : Descent
        Its state is updated.
    parameters : (n,) array
        Updated in place.
    """

    def __init__(self, descent: Descent, parameters: np.ndarray) -> None:
        self.descent, self._parameters, n = descent, parameters, parameters.size
        self.bounds = descent.bounds
        self._update, self._n = descent.update(FlatSpace(n)), n
        self._rate, self._result = np.zeros(1), np.zeros(len(SUMS))
        record = self._update.record
        record[PLACES.rate], record[PLACES.result] = addresses(self._rate, self._result)
        record[PLACES.n_parts], self._address = 1, address(record)

    def run(self, gradients: np.ndarray, rate: float) -> None:
        """Make an update; the gradients are changed."""
        part = Part(
            parameters=address(self._parameters),
            gradients=address(gradients),
            moments=address(self.descent.moments),
            penalties=address(self.descent.penalties),
            stride=self._n,
            n=self._n,
            n_gradients=self._n,
        )
        self._rate[0] = rate
        self._update.record[len(PLACES) : len(PLACES) + PART] = part
        self._update.program(self._address)
