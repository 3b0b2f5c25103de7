"""Fixed points of trained networks, and how their dynamics move around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import validation
from .data.arrays import real
from .data.states import public_state
from .models.jacobian import Step

if TYPE_CHECKING:
    from .validation import Seed

#: damping of the first step, and where a point is left: no step makes it slower any more
DAMPING, LEAST, MOST = 1e-3, 1e-12, 1e8
STILL = 1e-28  #: speed at which rounding is all that is left to minimise


@dataclass(frozen=True)
class FixedPoints:
    """States that a step leaves where they are, or nearly, under a constant input.

    Attributes
    ----------
    points : (n, S) ndarray
        States, the least speed first, each flat: h of each layer, then c of each layer of an
        LSTM.
    speeds : (n,) ndarray
        ``q = |F(h) - h|**2 / 2`` of each.
    jacobians : (n, S, S) ndarray
        dF / dh at each.
    eigenvalues : (n, S) ndarray of complex
        Of the Jacobians, the largest magnitude first.
    """

    points: np.ndarray
    speeds: np.ndarray
    jacobians: np.ndarray
    eigenvalues: np.ndarray
    _shape: tuple[int, ...] = field(repr=False)  # (states, layers, H) of a state

    @property
    def stable(self) -> np.ndarray:
        """True where every eigenvalue is inside the unit circle, (n,) bool."""
        return np.abs(self.eigenvalues[:, 0]) < 1

    @property
    def state(self) -> Any:
        """The points in PyTorch's form, as `initial_state` takes them."""
        return public_state(self.points.reshape(-1, *self._shape))

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        n_stable = int(self.stable.sum())
        return f"<FixedPoints: {len(self)} of {self.points.shape[1]} numbers, {n_stable} stable>"


def fixed_points(
    model: Any,
    x: Any,
    starts: Any,
    *,
    n_starts: int = 256,
    noise: float = 0.0,
    max_speed: float = 1e-12,
    distance: float = 1e-3,
    max_iterations: int = 100,
    seed: Seed = 0,
    n_threads: int | None = None,
) -> FixedPoints:
    """Find the fixed and slow points of a network under a constant input.

    From each start, ``q(h) = |F(h, x) - h|**2 / 2`` is minimised, where F is a step, by damped
    Gauss-Newton steps with exact Jacobians, in float64 (Levenberg and Marquardt).  The method is
    that of Sussillo and Barak, "Opening the black box", Neural Computation 25 (2013).

    Parameters
    ----------
    model : SimpleRNN, GRU, LSTM or Stack
        Of one direction.
    x : (I,) array-like
        The constant input.
    starts : array-like, or a pair (h, c) of them
        States that the network visits: (num_layers, N, H), or (num_layers, N, T, H) as
        ``model.states(X)`` returns them, for the LSTM with ``cell_state=True``.
    n_starts : int
        Number of starts; of more states than these, some are drawn.
    noise : float
        Standard deviation of normal noise that is added to the starts.
    max_speed : float
        Largest q of a point that is returned.  Raise it to have slow points too.
    distance : float
        Points that are nearer to each other than this are one.
    max_iterations : int
        Most steps of a start.
    seed : None, int, SeedSequence, Generator, ...
        Of the starts that are drawn, and of the noise.
    n_threads : int, optional
        As in `fit`.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit, or the model is bidirectional or has an embedding.
    """
    step, generator = Step(model, n_threads), validation.generator(seed)
    input_ = step.inputs(x, 1)
    h = _drawn(step, starts, validation.whole("n_starts", n_starts), generator)
    h = h + validation.rate("noise", noise) * generator.standard_normal(h.shape)
    max_speed = validation.rate("max_speed", max_speed)
    distance = validation.rate("distance", distance)
    h, q = _minimised(step, h, input_, validation.whole("max_iterations", max_iterations))
    points = _distinct(h[np.argsort(q)][: int((q <= max_speed).sum())], distance)
    new, J, _ = step.derivatives(points, np.repeat(input_, len(points), axis=0))
    values = np.linalg.eigvals(J).astype(complex)
    order = np.argsort(-np.abs(values), axis=1, kind="stable")
    shape = (step.net.states, step.net.layers, step.net.hidden_size)
    speeds = np.square(new - points).sum(axis=1) / 2
    return FixedPoints(points, speeds, J, np.take_along_axis(values, order, axis=1), shape)


def _drawn(step: Step, starts: Any, n: int, generator: np.random.Generator) -> np.ndarray:
    """Return n starts, or all if there are fewer, (n, S)."""
    is_pair = step.net.states > 1 and isinstance(starts, (list, tuple))
    parts = [real("starts", part) for part in (starts if is_pair else [starts])]
    parts = [
        part.reshape(part.shape[0], -1, part.shape[3]) if part.ndim == 4 else part for part in parts
    ]
    states = step.flat("starts", tuple(parts) if is_pair else parts[0])
    if len(states) <= n:
        return states
    return states[np.sort(generator.choice(len(states), n, replace=False))]


def _minimised(
    step: Step, h: np.ndarray, x: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, S) where q has a minimum, and their q (n,)."""

    def linearised(h: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        new, J, _ = step.derivatives(h, np.broadcast_to(x, (len(h), x.shape[1])))
        r = new - h
        with np.errstate(over="ignore", invalid="ignore"):  # of a step that went too far
            q = np.square(r).sum(axis=1) / 2
        return q, r, J - unit

    unit = np.eye(step.size)
    q, r, A = linearised(h)
    damping, going = np.full(len(h), DAMPING), np.arange(len(h))
    for _ in range(most):
        going = going[(q[going] > STILL) & (damping[going] < MOST)]
        if not len(going):
            break
        B = A[going]
        gradient = np.einsum("nij,ni->nj", B, r[going])
        curvature = B.transpose(0, 2, 1) @ B + damping[going, None, None] * unit
        trial = h[going] - np.linalg.solve(curvature, gradient[..., None])[..., 0]
        q_trial, r_trial, A_trial = linearised(trial)
        better = q_trial < q[going]
        at = going[better]
        h[at], q[at], r[at], A[at] = (
            trial[better],
            q_trial[better],
            r_trial[better],
            A_trial[better],
        )
        damping[going] *= np.where(better, 0.1, 10.0)
        damping = np.maximum(damping, LEAST)
    return h, q


def _distinct(points: np.ndarray, distance: float) -> np.ndarray:
    """Return points of which no two are nearer to each other than `distance`; the first counts."""
    found = []
    while len(points):
        found.append(points[0])
        apart = np.linalg.norm(points - points[0], axis=1)
        points = points[(apart >= distance) & (apart > 0)]
    return np.array(found).reshape(-1, points.shape[1])
