"""Cells that a script declares pass the tests of the built-in ones."""

from __future__ import annotations

import leaky
import minimal_gated
import numpy as np
import pytest
from cases import DRIVERS, Case, assert_as_oracle
from registered import registered

from rnn_fast.cells.specs import CELLS
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")
registration = registered(CELLS, leaky.CELL, minimal_gated.CELL)
OWN_CELLS = pytest.mark.parametrize("cell", [leaky.CELL.name, minimal_gated.CELL.name])


@pytest.mark.parametrize("driver", DRIVERS)
@OWN_CELLS
def test_gradients_equal_the_oracle(cell, driver):
    """Layers, directions, lengths, states, weights, every loss."""
    with tuned(**DRIVERS[driver]):
        for seed in range(50):
            assert_as_oracle(Case(seed, cell), 1e-12)


@OWN_CELLS
def test_plain_gradients_equal_the_oracle_at_odd_sizes(cell):
    for seed in range(100, 120):
        assert_as_oracle(Case(seed, cell, plain=True), 1e-12)


def test_float32_agrees_with_the_oracle():
    with tuned(**DRIVERS["batch"]):
        for seed in range(200, 215):
            assert_as_oracle(Case(seed, minimal_gated.CELL.name, dtype="float32"), 1e-4)


@OWN_CELLS
def test_an_epoch_is_descent(cell):
    case = Case(3, cell, batch=37)
    before, wanted = case.flat.copy(), case.expected()
    epoch, velocity = case.train(np.arange(37), 37, 1.0, 0.5)
    assert epoch.loss == pytest.approx(wanted.loss, rel=1e-12)
    case.check(velocity, wanted.gradients, 1e-12)
    np.testing.assert_allclose(case.flat, before - velocity, rtol=1e-11, atol=1e-13)


def test_logits_equal_the_oracle():
    with tuned(**DRIVERS["batch"]):
        for seed in range(300, 310):
            case = Case(seed, minimal_gated.CELL.name)
            wanted = np.concatenate([np.atleast_2d(out) for out in case.expected().outputs])
            np.testing.assert_allclose(case.logits(), wanted, rtol=0, atol=1e-12)
