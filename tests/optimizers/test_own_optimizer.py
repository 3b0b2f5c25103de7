"""An optimizer that only its own file names steps as its formula says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import signum
from registered import registered

from rnn_fast import GRU, SimpleRNN
from rnn_fast.optimizers import OPTIMIZERS

registration = registered(OPTIMIZERS, signum.Signum)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((12, 5, 2)), RNG.standard_normal(12)


@pytest.mark.parametrize(("kind", "n"), [(GRU, 12), (SimpleRNN, 1)])
def test_steps_are_the_formulas(kind, n):
    """Both drivers, all samples in one batch: against a loop of gradients in NumPy."""
    m, own = (kind(2, 7, loss="mse", dtype="f8", seed=0) for _ in range(2))
    x, y = X[:n], Y[:n]
    means = {name: np.zeros(p.shape) for name, p in own.parameters.items()}
    for _ in range(5):
        _, gradients = own.loss_and_gradients(x, y)
        for name, p in own.parameters.items():
            means[name] += (1 - 0.8) * (gradients[name] - means[name])
            p -= 0.01 * np.sign(means[name])
    optimizer = signum.Signum(beta=0.8)
    m.fit(x, y, epochs=5, batch_size=n, optimizer=optimizer, learning_rate=0.01, verbose=False)
    for name, p in own.parameters.items():
        np.testing.assert_allclose(m.parameters[name], p, rtol=1e-12, atol=1e-14)


def test_it_is_chosen_by_name():
    m = GRU(2, 7, loss="mse", seed=0)
    history = m.fit(X, Y, epochs=20, optimizer="signum", learning_rate=0.01, verbose=False)
    assert history.loss[-1] < history.loss[0]


def test_programs_are_keyed_by_its_code_and_its_knobs():
    @dataclass(frozen=True)
    class More(signum.Signum):
        decay: float = 0.5

    for kind, settings in ((signum.Signum, ["beta"]), (More, ["beta", "decay"])):
        step, begin = kind.sources()
        assert step.startswith(signum.Signum.kernel) and begin.startswith(kind.begin_kernel)
        assert all(name in step and name in begin for name in settings)
    assert not {*signum.Signum.sources()} & {*More.sources()}
