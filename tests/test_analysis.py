"""Jacobians of a step, and the fixed points of a network."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import GRU, LSTM, LeakyRNN, SimpleRNN, Stack, fixed_points

pytestmark = pytest.mark.usefixtures("one_tile")

RNG = np.random.default_rng(0)
I, H, N = 3, 5, 40  # so many that the batch driver takes them


def test_the_jacobian_of_a_simple_step():
    m = SimpleRNN(I, H, return_sequences=True, skip=True, seed=0)
    h, x = RNG.standard_normal((1, N, H)), RNG.standard_normal((N, I))
    J, Jx = m.jacobian(h, x, inputs=True)
    Wxh, Whh, bh = (np.array(w, "f8") for w in (m.Wxh, m.Whh, m.bh))
    slope = (1 - np.tanh(x @ Wxh.T + h[0] @ Whh.T + bh) ** 2)[:, :, None]
    np.testing.assert_allclose(J, slope * Whh, rtol=0, atol=1e-14)
    np.testing.assert_allclose(Jx, slope * Wxh, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(m.jacobian(h, np.tile(x[0], (N, 1))), m.jacobian(h, x[0]))


def test_the_product_of_jacobians_is_the_gradient_through_many_steps():
    """Of an LSTM of two layers, whose states are h of both, then c of both."""
    m, T = LSTM(I, H, num_layers=2, dtype="f8", seed=0), 3
    X, state = RNG.standard_normal((N, T, I)), RNG.standard_normal((2, 2, N, H))
    cotangent = RNG.standard_normal((2, 2, N, H))

    def flat(pair):
        return np.stack(pair).transpose(2, 0, 1, 3).reshape(N, -1)

    outputs, pullback = m.vjp(X, initial_state=tuple(state), return_state=True)
    wanted = flat(pullback(np.zeros(outputs[0].shape), tuple(cotangent))["initial_state"])
    pulled, before, jacobians = flat(cotangent), tuple(state), []
    for t in range(T):
        jacobians.append(m.jacobian(before, X[:, t]))
        _, before = m.decision_function(X[:, t : t + 1], initial_state=before, return_state=True)
    for J in reversed(jacobians):
        pulled = np.einsum("ni,nij->nj", pulled, J)
    np.testing.assert_allclose(pulled, wanted, rtol=0, atol=1e-13)


def test_the_jacobian_of_a_leaky_step():
    m, h, x = LeakyRNN(I, H, alpha=0.1, seed=0), RNG.standard_normal((1, N, H)), np.ones(I)
    Wxh, Whh, bh = (np.array(w, "f8") for w in (m.Wxh, m.Whh, m.bh))
    slope = (1 - np.tanh(x @ Wxh.T + h[0] @ Whh.T + bh) ** 2)[:, :, None]
    wanted = 0.9 * np.eye(H) + 0.1 * slope * Whh
    np.testing.assert_allclose(m.jacobian(h, x), wanted, rtol=0, atol=1e-14)


def two_wells():
    """Two units that do not see each other, each with fixed points near -0.9, 0 and 0.9."""
    m = SimpleRNN(1, 2, seed=0)
    m.Whh, m.Wxh, m.bh = [[1.8, 0], [0, 1.6]], [[1], [0]], [0, 0]
    return m


def test_all_fixed_points_of_two_wells():
    found = fixed_points(two_wells(), [0], RNG.uniform(-1, 1, (1, 100, 2)))
    assert len(found) == 9 and found.stable.sum() == 4 and (found.speeds < 1e-28).all()
    one, two = (sorted(set(found.points[:, k].round(6) + 0.0)) for k in range(2))
    for w, roots in ((1.8, one), (1.6, two)):
        np.testing.assert_allclose(roots, np.tanh(w * np.array(roots)), atol=1e-6)
    middle = np.abs(found.points).sum(axis=1).argmin()
    np.testing.assert_allclose(found.eigenvalues[middle], [1.8, 1.6], atol=1e-6)
    np.testing.assert_array_equal(found.jacobians, two_wells().jacobian(found.state, [0]))
    assert repr(found) == "<FixedPoints: 9 of 2 numbers, 4 stable>"


def test_slow_points_are_asked_for():
    """An input that one well of the first unit does not outlast leaves a slow point there."""
    options = {"x": [0.5], "starts": RNG.uniform(-1, 1, (1, 100, 2))}
    fixed, slow = (fixed_points(two_wells(), max_speed=q, **options) for q in (1e-12, 1e-2))
    assert (len(fixed), len(slow)) == (3, 6)
    assert (fixed.points[:, 0] > 0).all() and (slow.points[3:, 0] < 0).all()
    assert (np.diff(slow.speeds) >= 0).all() or slow.speeds[:3].max() < 1e-12 < slow.speeds[
        3:
    ].min()


def test_there_may_be_none():
    found = fixed_points(two_wells(), [0], RNG.uniform(-1, 1, (1, 9, 2)), max_iterations=1)
    assert len(found) == len(found.stable) == 0 and found.state.shape == (1, 0, 2)


def test_starts_are_states_of_a_model():
    m = LSTM(I, H, dtype="f8", seed=0)
    X = RNG.standard_normal((3, 20, I))
    found = fixed_points(m, np.zeros(I), m.states(X, cell_state=True), n_starts=10, noise=0.1)
    h, c = found.state
    assert h.shape == c.shape == (1, len(found), H)
    _, (after, _) = m.decision_function(
        np.zeros((len(found), 1, I)), initial_state=(h, c), return_state=True
    )
    np.testing.assert_allclose(after, h, atol=1e-6)  # 1e-12 of speed
    again = fixed_points(m, np.zeros(I), m.states(X, cell_state=True), n_starts=10, noise=0.1)
    np.testing.assert_array_equal(found.points, again.points)


@pytest.mark.parametrize(
    "make, state, x, message",
    [
        (
            lambda: SimpleRNN(I, H, bidirectional=True),
            (2, 1, H),
            I,
            "a bidirectional model has no step from state to state: its reverse states come from",
        ),
        (
            lambda: GRU(I, H, embedding_size=2),
            (1, 1, H),
            I,
            "a model with an embedding has no step",
        ),
        (lambda: Stack("tanh", I, H), (1, 1, H), I + 1, r"x must have shape \(3,\) or \(1, 3\)"),
        (lambda: Stack("tanh", I, H), (1, 0, H), I, r"state must have shape \(1, N, 5\)"),
        (lambda: Stack("tanh", I, H), (H,), I, r"state must have shape \(1, N, 5\)"),
        (lambda: Stack("tanh", I, H), (2, 1, H), I, r"state must have shape \(1, 1, 5\)"),
        (lambda: Stack("lstm", I, H), (1, 1, H), I, r"state must be a pair \(h, c\)"),
    ],
)
def test_wrong_arguments(make, state, x, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make().jacobian(np.zeros(state), np.zeros(x))


def test_starts_that_are_no_states():
    with pytest.raises(ValueError, match="starts must have shape"):
        fixed_points(two_wells(), [0], np.zeros((1, 5, 3)))
    with pytest.raises(ValueError, match="n_starts must be at least 1"):
        fixed_points(two_wells(), [0], np.zeros((1, 5, 2)), n_starts=0)
    with pytest.raises(ValueError, match="x must be finite"):
        fixed_points(two_wells(), [np.nan], np.zeros((1, 5, 2)))
