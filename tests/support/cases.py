"""Random networks with data, compared with an oracle by the name of each parameter."""

from __future__ import annotations

import guarded
import numpy as np
import pytest
import reference

from rnn_fast.cells.specs import CELLS
from rnn_fast.data.rows import Sequences, Targets
from rnn_fast.engine import operations
from rnn_fast.engine.epochs import train_epoch
from rnn_fast.engine.optimizer_state import Descent
from rnn_fast.engine.workspace import Spaces
from rnn_fast.jit import vector_bytes
from rnn_fast.layout.network import Network
from rnn_fast.layout.parameters import parameter_views
from rnn_fast.optimizers import SGD

LANES = vector_bytes() // 8
ODD = (1, 2, 3, 5, 7, LANES - 1, LANES, LANES + 1, 2 * LANES, 13, 16, 17, 19, 31, 33)
FEW = (1, 2, 3, 4, 5, 7, LANES, LANES + 1)
#: tuned constants with which one driver runs batches of all sizes
DRIVERS = {
    "batch": {"unit_samples": 0, "unit_calls": np.inf},
    "units": {"unit_samples": 10**9},
}


class Case:
    """A random network, its parameters, data: odd sizes, every loss.

    `plain` ones have one layer, one direction, equal lengths and an output after the last step.
    Work memory lies between forbidden pages: an access out of bounds ends the test run.
    """

    def __init__(
        self, seed, cell="tanh", dtype="float64", batch=None, plain=False, T=None, H=None, **fixed
    ):
        rng, self.spaces = np.random.default_rng(seed), Spaces(guarded.GuardedMemory())
        loss = reference.LOSSES[seed % len(reference.LOSSES)]
        I, any_h, any_t = (int(rng.choice(ODD if plain else FEW)) for _ in range(3))
        H, T = H or any_h, T or any_t
        N = batch or int(rng.choice([*ODD, 40, 70] if plain else [1, 2, 3, LANES + 1, 9]))
        axes = dict(
            layers=int(rng.integers(1, 4)),
            directions=int(rng.integers(1, 3)),
            sequences=bool(rng.integers(2)),
            embedding=int(rng.integers(2) * rng.choice(FEW)),
            learned_state=bool(rng.integers(2)),
        )
        O = int(rng.integers(2 if loss == "cross_entropy" else 1, 6))
        axes = {**({} if plain else axes), **fixed}
        options = tuple(value for _, value in CELLS[cell].options)
        axes["cell_options"] = options
        self.net = net = Network(cell, np.dtype(dtype), I, H, O, loss, **axes)
        self.flat = guarded.array(net.n_parameters, dtype)
        scale = np.sqrt(H + net.features)  # not saturated: 1 - h**2 cancels
        self.flat[:] = rng.standard_normal(self.flat.size) / scale
        lengths = np.full(N, T) if plain else rng.integers(1, T + 1, N)
        starts, rows = np.cumsum(lengths) - lengths, int(lengths.sum())
        x = rng.integers(0, I, rows) if net.embedding else rng.standard_normal((rows, I))
        x = guarded.copy(x if net.embedding else x.astype(dtype))
        self.data = Sequences(x, guarded.copy(starts), guarded.copy(lengths))
        n = rows if net.sequences else N
        if loss == "cross_entropy":
            y = rng.integers(0, O, (n, 1))
        elif loss in ("bce", "poisson"):  # not below zero
            y = rng.random((n, O))
        else:
            y = 2 * rng.standard_normal((n, O))
        weights = None
        if not plain and rng.integers(2):
            weights = rng.random(n) * (rng.random(n) < 0.7)
            weights[0] = 1.0
            weights = guarded.copy(weights.astype(dtype))
        self.targets = Targets(guarded.copy(y.astype(dtype)), weights)
        self.state = None
        if not (plain or net.learned_state or rng.integers(2)):
            shape = (N, net.states, net.runs, H)
            self.state = guarded.copy(rng.standard_normal(shape).astype(dtype))

    def __len__(self):
        return len(self.data.starts)

    def split(self, rows):
        """Rows of all sequences as a list of those of each."""
        ends = zip(self.data.starts, self.data.lengths, strict=True)
        return [rows[start : start + length] for start, length in ends]

    def named(self, flat):
        return {k: v.astype(float) for k, v in parameter_views(flat, self.net).items()}

    def expected(self, flat=None, samples=None, oracle=reference.run, **options):
        """What the oracle says of some samples."""
        chosen = range(len(self)) if samples is None else samples
        net, (y, w, _) = self.net, self.targets
        y = y[:, 0].astype(int) if net.loss == "cross_entropy" else y.astype(float)
        y, w = (self.split(v) if net.sequences and v is not None else v for v in (y, w))
        x = self.split(self.data.x)
        pick = lambda values: None if values is None else [values[i] for i in chosen]  # noqa: E731
        state = None if self.state is None else self.state[list(chosen)].astype(float)
        flat = self.named(self.flat if flat is None else flat)
        return oracle(net, flat, pick(x), pick(y), pick(w), state, **options)

    def gradients(self, data=None, targets=None):
        """(loss, gradients with respect to parameters, state and input) of the compiled program."""
        net, data, targets = self.net, data or self.data, targets or self.targets
        flat, dstate, dx = guarded.array(self.flat.size, net.dtype), None, None
        if self.state is not None:
            dstate = guarded.copy(np.zeros_like(self.state))
        if not net.embedding:
            dx = guarded.copy(np.zeros_like(data.x))
        options = {"state": self.state, "dstate": dstate, "dx": dx, "spaces": self.spaces}
        loss = operations.loss_and_gradients(net, data, targets, self.flat, flat, **options)
        return loss, flat, dstate, dx

    def logits(self, data=None, **options):
        """Logits of the compiled program."""
        options = {"state": self.state, "spaces": self.spaces, **options}
        return operations.logits(self.net, data or self.data, self.flat, **options)

    def train(self, order, batch_size, rate, momentum, **options):
        """An epoch from zero velocity; (what it reports, velocity)."""
        descent = Descent(SGD(momentum=momentum), self.flat.size, self.net.dtype)
        velocity = descent.moments = guarded.array(self.flat.size, self.net.dtype)
        options = {"state": self.state, "spaces": self.spaces, **options}
        schedule = np.full(-(-len(order) // batch_size), rate)
        step = (order, batch_size, self.flat, descent, schedule)
        return train_epoch(self.net, self.data, self.targets, *step, **options), velocity

    def check(self, gradients, wanted, tolerance):
        """Compare each parameter's gradient with the oracle's, by name."""
        for name, gradient in parameter_views(gradients, self.net).items():
            assert_close(name, gradient, wanted[name], family(name, wanted), tolerance, self.net)


def family(name, wanted):
    """The largest gradient in the matrix [Wxh | bh | Whh] or [by | Why] of a parameter.

    A bias of one unit is a single sum of all samples and steps, and can cancel to nothing.
    """
    kind, _, end = name.partition("_")
    end = f"_{end}" if end else ""
    own = {"by": ("Why", "by"), "Why": ("Why", "by")}.get(kind, (f"Wxh{end}", f"Whh{end}", name))
    return max(np.abs(wanted[part]).max() for part in own if part in wanted)


def assert_close(name, got, wanted, scale, tolerance, net):
    scale = max(scale, 1e-4)  # sums that cancel to nothing keep the rounding of their terms
    error = np.abs(got - wanted).max() / scale
    assert error <= tolerance, f"{name}: {error:.1e} of {scale:.1e}, {net}"


def assert_as_oracle(case, tolerance, **options):
    loss, flat, dstate, dx = case.gradients()
    wanted = case.expected(**options)
    assert loss == pytest.approx(wanted.loss, rel=tolerance)
    case.check(flat, wanted.gradients, tolerance)
    if dstate is not None:
        scale = np.abs(wanted.dstate).max()
        assert_close("state", dstate, wanted.dstate, scale, tolerance, case.net)
    if dx is not None:
        wanted_dx = np.concatenate(wanted.dx)
        assert_close("x", dx, wanted_dx, np.abs(wanted_dx).max(), tolerance, case.net)
