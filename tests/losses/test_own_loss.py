"""A loss that only its own file names trains, evaluates and predicts as the built-in ones."""

from __future__ import annotations

from collections import namedtuple

import log_cosh
import numpy as np
import pytest
from registered import registered

from rnn_fast import GRU, SimpleRNN
from rnn_fast.jit import compiled
from rnn_fast.losses import LOSSES
from rnn_fast.losses.loss import LossNumbers

registration = registered(LOSSES, log_cosh.LOSS)
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((23, 5, 2)), 2 * RNG.standard_normal((23, 3))


def model(kind=GRU, **options):
    return kind(2, 7, 3, loss=log_cosh.LOSS.name, **{"dtype": "f8", "seed": 0, **options})


def test_the_reported_loss_is_the_formulas():
    m = model()
    loss, _ = m.loss_and_gradients(X, Y)
    wanted = np.log(np.cosh(m.predict(X) - Y)).mean()
    assert loss == pytest.approx(wanted, rel=1e-12)
    assert m.evaluate(X, Y)["loss"] == pytest.approx(wanted, rel=1e-12)


def test_the_gradient_is_that_of_the_loss():
    """Of every step, of sequences of different lengths, weighted."""
    m, step = model(return_sequences=True), 1e-6
    data = {
        "y": 2 * RNG.standard_normal((23, 5, 3)),
        "lengths": RNG.integers(1, 6, 23),
        "sample_weight": RNG.random(23),
    }
    _, gradients = m.loss_and_gradients(X, **data)
    for name, gradient in gradients.items():
        at = tuple(RNG.integers(n) for n in gradient.shape)
        value, found = m.parameters[name][at], []
        for sign in (1, -1):
            m.parameters[name][at] = value + sign * step
            found.append(m.loss_and_gradients(X, **data)[0])
        m.parameters[name][at] = value
        assert gradient[at] == pytest.approx((found[0] - found[1]) / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("kind", "batch_size", "dtype"), [(GRU, 8, "f4"), (SimpleRNN, 1, "f8")])
def test_it_trains(kind, batch_size, dtype):
    m = model(kind, dtype=dtype)
    before = m.evaluate(X, Y)["loss"]
    h = m.fit(X, Y, epochs=30, batch_size=batch_size, learning_rate=0.1, verbose=False)
    assert m.evaluate(X, Y)["loss"] < 0.9 * before
    assert h.mse is not None and h.accuracy is None


def test_it_learns_from_one_sequence():
    m, same = (model(SimpleRNN, learning_rate=0.1) for _ in range(2))
    _, gradients = same.loss_and_gradients(X[:1], Y[:1])
    np.testing.assert_allclose(m.forward(X[0]), same.predict(X[:1])[0], rtol=0, atol=1e-14)
    m.backward(Y[0])
    for name, p in same.parameters.items():
        np.testing.assert_allclose(m.parameters[name], p - 0.1 * gradients[name], atol=1e-14)


def test_other_losses_are_as_before():
    """A program that holds one loss more computes the same bits."""
    m = GRU(2, 7, 3, loss="mse", dtype="f8", seed=0)
    with_it = m.loss_and_gradients(X, Y)
    del LOSSES[log_cosh.LOSS.name]
    try:
        without = m.loss_and_gradients(X, Y)
    finally:
        LOSSES.add(log_cosh.LOSS)
    assert with_it[0] == without[0]
    for name, gradient in without[1].items():
        np.testing.assert_array_equal(with_it[1][name], gradient)


def test_the_number_of_no_loss_is_not_a_number():
    from rnn_fast.losses.kernels import Choice, loss_and_gradient
    from rnn_fast.simd import Shape

    kind = namedtuple("kind", "targets weights losses hits")
    shape, choice = Shape("float64", 1, 1), Choice()

    def program(loss, logits, targets, weights, losses, hits):
        buffers = kind(targets, weights, losses, hits)
        loss_and_gradient(shape, choice, loss, logits, buffers, 1.0, 1)

    reals = {name: "reals" for name in ("logits", *kind._fields)}
    run = compiled(program, "float64", loss="doubles", **reals)
    for number in (len(LOSSES) - 1, len(LOSSES)):
        loss = np.array(LossNumbers(place=number, outputs=1, skips=0, labels=0), float)
        arrays = [np.ones(shape.lanes) for _ in reals]
        run(loss.ctypes.data, *(array.ctypes.data for array in arrays))
        assert np.isnan(arrays[3]).all() == np.isnan(arrays[4]).all() == (number == len(LOSSES))


def test_programs_are_keyed_by_all_of_its_code():
    assert log_cosh.LOSS.sources == (log_cosh.LOSS.kernel, log_cosh.LOSS.output_kernel)
