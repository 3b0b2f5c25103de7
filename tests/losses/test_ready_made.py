"""Nash-Sutcliffe weights and measure, and the error-to-signal ratio, beside slow formulas."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast.losses import ErrorToSignal, nash_sutcliffe, nse_weights

RNG = np.random.default_rng(0)
BASINS = np.array(["a", "b", "a", "c", "b"])
Y = RNG.standard_normal((5, 7, 2)) * np.array([1, 5, 1, 0, 5.0])[:, None, None]
Y[0, 2:4, 0] = np.nan


def test_weights_make_each_basin_count_alike():
    weights = nse_weights(Y, BASINS)
    for i, label in enumerate(BASINS):
        own = Y[label == BASINS]
        wanted = 1 / (np.std(own[~np.isnan(own)]) + 0.1) ** 2
        assert weights[i] == pytest.approx(wanted, rel=1e-13)
    assert weights[3] == pytest.approx(100)
    assert nse_weights(Y[:, 0], BASINS, eps=0.5)[3] == pytest.approx(4)


def test_nash_sutcliffe():
    z = Y + RNG.standard_normal(Y.shape) / 2
    found = nash_sutcliffe(Y, z, BASINS)
    assert list(found) == ["a", "b", "c"] and np.isnan(found["c"])
    for label in "ab":
        y, p = (part[label == BASINS].ravel() for part in (Y, z))
        y, p = y[~np.isnan(y)], p[~np.isnan(y)]
        wanted = 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()
        assert found[label] == pytest.approx(wanted, rel=1e-13)


def test_what_basins_refuse():
    with pytest.raises(ValueError, match=r"basins must have shape \(5,\).*got \(4,\)"):
        nse_weights(Y, BASINS[1:])
    with pytest.raises(ValueError, match="eps must be above 0"):
        nse_weights(Y, BASINS, eps=0)
    with pytest.raises(ValueError, match="y has no targets of basin 'c'"):
        nash_sutcliffe(np.where(np.isin(BASINS, "c")[:, None, None], np.nan, Y), Y, BASINS)


def ratio(z, y, w, a, floor):
    """The formula, step by step."""
    error = energy = 0.0
    for n, t, o in np.ndindex(y.shape):
        before = t > 0 and w[n, t - 1] > 0
        filtered = [s[n, t, o] - a * (s[n, t - 1, o] if before else 0) for s in (z, y)]
        error += w[n, t] * (filtered[0] - filtered[1]) ** 2 if w[n, t] else 0
        energy += w[n, t] * filtered[1] ** 2 if w[n, t] else 0
    return error / (energy + floor)


@pytest.mark.parametrize(("a", "floor"), [(0.85, 1e-5), (0.0, 0.5)])
@pytest.mark.parametrize("weighted", [False, True])
def test_error_to_signal(a, floor, weighted):
    z, y = RNG.standard_normal((2, 3, 6, 2))
    w = np.ones((3, 6))
    if weighted:
        w = RNG.random((3, 6)) * (np.arange(6) < [[6], [4], [1]])
        y[2, 3:], z[2, 3:] = np.nan, np.inf  # padding
    loss = ErrorToSignal(a, floor)
    value, gradient = loss(z, y, w if weighted else None)
    assert value == pytest.approx(ratio(z, y, w, a, floor), rel=1e-12)
    step = 1e-5  # the loss is quadratic: central differences are exact
    for at in np.ndindex(z.shape):
        if not w[at[:2]]:
            assert gradient[at] == 0
            continue
        up, down = z.copy(), z.copy()
        up[at], down[at] = z[at] + step, z[at] - step
        wanted = (loss(up, y, w)[0] - loss(down, y, w)[0]) / (2 * step)
        assert gradient[at] == pytest.approx(wanted, rel=1e-6, abs=1e-9)
    flat = loss(z[..., 0].astype("f4"), y[..., 0].astype("f4"), w)
    assert flat[1].dtype == np.float32 and flat[1].shape == (3, 6)


def test_what_error_to_signal_refuses():
    with pytest.raises(
        ValueError, match=r"targets must have the shape .* got \(2, 3\) for \(2, 4\)"
    ):
        ErrorToSignal()(np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="floor must be above 0"):
        ErrorToSignal(floor=0)
    with pytest.raises(TypeError, match="pre_emphasis must be a real number"):
        ErrorToSignal("high")
