"""The tutorial's interface: forward and backward, one sequence or one batch at a time."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from rnn_fast import SimpleRNN
from rnn_fast.training.online import checks

RNG = np.random.default_rng(0)

# The tutorial's script, its class replaced by the import.
TUTORIAL = """
import numpy as np
from rnn_fast import SimpleRNN

input_size = 1
hidden_size = 32
output_size = 1
sequence_length = 10
num_samples = 1000
num_epochs = 10
learning_rate = 0.01

def generate_data(num_samples):
    X = np.random.randn(num_samples, sequence_length, input_size)
    y = (np.sum(X, axis=1) > 0).astype(float).reshape(num_samples, 1)
    return X, y

X, y = generate_data(num_samples)

X = X.reshape(num_samples, sequence_length, input_size, 1)
y = y.reshape(num_samples, 1, 1)

model = SimpleRNN(input_size, hidden_size, output_size)

for epoch in range(num_epochs):
    total_loss = 0
    for i in range(num_samples):
        pred = model.forward(X[i])
        loss = -np.mean(y[i] * np.log(pred + 1e-8) + (1 - y[i]) * np.log(1 - pred + 1e-8))
        total_loss += loss
        model.backward(y[i])

    avg_loss = total_loss / num_samples
    print(f'Epoch [{epoch+1}/{num_epochs}], Avg Loss: {avg_loss:.4f}')

test_seq = np.random.randn(sequence_length, input_size, 1)
prediction = model.forward(test_seq)
print(f'Prediction: {prediction.flatten()[0]:.4f}')
"""


def test_the_tutorial_runs_and_learns(capsys):
    exec(compile(TUTORIAL, "tutorial", "exec"), {})
    *epochs, prediction = capsys.readouterr().out.splitlines()
    losses = [float(line.rpartition(" ")[2]) for line in epochs]
    assert len(losses) == 10 and losses[0] < 0.6 and losses[-1] < 0.3
    assert 0 <= float(prediction.removeprefix("Prediction: ")) <= 1


def model(loss="bce", I=2, O=1, **settings):
    return SimpleRNN(I, 6, O, **{"loss": loss, "dtype": "f8", "seed": 0, **settings})


def target(loss, O, *N):
    if loss == "cross_entropy":
        return RNG.integers(0, O, N or (1,))
    return RNG.uniform(0, 1, (*N, O))


def flat(m):
    return np.concatenate([array.ravel() for array in m.parameters.values()])


CASES = [("bce", 1), ("bce", 3), ("cross_entropy", 2), ("cross_entropy", 5), ("mse", 1), ("mse", 3)]


# ----------------------------------------------------------------------------------- forward


@pytest.mark.parametrize(("loss", "O"), CASES)
@pytest.mark.parametrize("I", [1, 2])
def test_forward_gives_outputs_in_each_form(loss, O, I):
    m = model(loss, I, O)
    X = RNG.standard_normal((4, 7, I))
    expected = (m.predict(X) if loss == "mse" else m.predict_proba(X)).reshape(4, O)
    one = m.forward(X[0])
    columns = m.forward(X[0][:, :, None])
    batch = m.forward(X)
    assert one.shape == (O,) and columns.shape == (O, 1) and batch.shape == (4, O)
    assert one.dtype == columns.dtype == batch.dtype == m.dtype
    np.testing.assert_allclose(one, expected[0], rtol=1e-12)
    np.testing.assert_array_equal(columns[:, 0], one)
    np.testing.assert_array_equal(batch, expected)


def test_one_feature_one_step_is_a_column():
    m = model(I=1)
    assert m.forward(np.zeros((5, 1, 1))).shape == (1, 1)
    assert m.forward(np.zeros((5, 2, 1))).shape == (5, 1)
    assert m.forward(np.zeros((5, 1))).shape == (1,)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_other_arrays_give_the_same(dtype):
    m = model(dtype=dtype)
    x = RNG.integers(-2, 3, (7, 2))
    expected = m.forward(x.astype(dtype))
    wide = np.zeros((7, 4))
    wide[:, ::2] = x
    for same in (x, x.tolist(), np.asfortranarray(x), wide[:, ::2], x.astype("f2"), x.astype("g"),
                 x.astype("f4"), x.astype("f8"), x.astype(">f8"), x.astype("i1")):  # fmt: skip
        before = np.array(same)
        np.testing.assert_array_equal(m.forward(same), expected)
        np.testing.assert_array_equal(before, same)
    assert m.forward(x[:, :, None].tolist()).shape == (1, 1)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(7, 2), (7, 2, 1), (3, 7, 2)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_forward_refuses_what_is_not_finite(shape, dtype, bad):
    m = model()
    x = np.zeros(shape, dtype)
    m.forward(x)
    x[2, 1] = bad
    with pytest.raises(ValueError, match=r"^x\[2, 1.* is not finite$"):
        m.forward(x)


def test_forward_refuses_what_float32_cannot_hold():
    with pytest.raises(ValueError, match=r"^x\[0, 0\] = 1e\+39 is too large for float32$"):
        model(dtype="f4").forward(np.full((3, 2), 1e39))
    assert np.isfinite(model(dtype="f4").forward(np.full((3, 2), 1e38))).all()


def test_forward_refuses_other_shapes_and_kinds():
    m = model()
    m.forward(np.zeros((7, 2)))
    for shape in [(7,), (7, 3), (0, 2), (0, 2, 1), (2, 7, 3), (1, 1, 7, 2), ()]:
        with pytest.raises(ValueError, match="^x must have shape"):
            m.forward(np.zeros(shape))
    with pytest.raises(TypeError, match="^x must hold real numbers"):
        m.forward(np.zeros((7, 2), complex))
    with pytest.raises(TypeError, match="^x is a masked array"):
        m.forward(np.ma.zeros((7, 2)))


def test_outputs_are_the_callers():
    m = model()
    x = RNG.standard_normal((7, 2))
    first = m.forward(x)
    kept = first.copy()
    m.forward(-x)
    np.testing.assert_array_equal(first, kept)


# ---------------------------------------------------------------------------------- backward


@pytest.mark.parametrize(("loss", "O"), CASES)
def test_backward_descends_the_exact_gradient(loss, O):
    for x_form in (lambda x: x, lambda x: x[:, :, None]):
        m = model(loss, O=O, learning_rate=0.1)
        x, y = RNG.standard_normal((7, 2)), target(loss, O)
        _, gradients = m.loss_and_gradients(x[None], y[None])
        before = {name: array.copy() for name, array in m.parameters.items()}
        m.forward(x_form(x))
        assert m.backward(y) is None
        for name, array in m.parameters.items():
            np.testing.assert_allclose(
                array, before[name] - 0.1 * gradients[name], rtol=1e-12, atol=1e-15
            )


@pytest.mark.parametrize(("loss", "O"), CASES)
def test_backward_of_a_batch_descends_the_gradient_of_the_mean(loss, O):
    m = model(loss, O=O, learning_rate=0.1)
    X, y = RNG.standard_normal((4, 7, 2)), target(loss, O, 4)
    _, gradients = m.loss_and_gradients(X, y)
    before = {name: array.copy() for name, array in m.parameters.items()}
    m.forward(X)
    m.backward(y)
    for name, array in m.parameters.items():
        np.testing.assert_array_equal(array, before[name] - 0.1 * gradients[name])


def test_forward_and_backward_are_fit_of_one_sequence():
    one, two = model(dtype="f4", learning_rate=0.05), model(dtype="f4", learning_rate=0.05)
    X, y = RNG.standard_normal((20, 7, 2)).astype("f4"), RNG.integers(0, 2, 20)
    one.fit(X, y, epochs=1, batch_size=1, shuffle=False)
    for x, label in zip(X, y, strict=True):
        two.forward(x)
        two.backward(label)
    np.testing.assert_allclose(flat(one), flat(two), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "y",
    [1, 1.0, True, np.float32(1), [1], [[1]], np.ones(1), np.ones((1, 1)), np.ones((1, 1), "f4")],
)
def test_forms_of_a_target(y):
    one, two = model(), model()
    x = RNG.standard_normal((7, 2))
    one.forward(x)
    one.backward(np.array([1.0]))
    two.forward(x)
    two.backward(y)
    np.testing.assert_array_equal(flat(one), flat(two))


@pytest.mark.parametrize(
    ("y", "error"),
    [
        (2, ValueError),
        (-0.5, ValueError),
        (np.array([[1.5]]), ValueError),
        (np.nan, ValueError),
        (np.array([np.nan]), ValueError),
        ([0, 1], ValueError),
        (np.zeros((1, 1, 1)), ValueError),
        ("1", TypeError),
        (None, TypeError),
        (1j, TypeError),
        (np.ma.ones(1), TypeError),
    ],
)
def test_bad_targets_change_nothing(y, error):
    m = model()
    m.forward(RNG.standard_normal((7, 2)))
    before = flat(m)
    with pytest.raises(error, match="^y"):
        m.backward(y)
    np.testing.assert_array_equal(flat(m), before)
    m.forward(RNG.standard_normal((3, 7, 2)))
    with pytest.raises(error, match="^y"):
        m.backward(y)


def test_backward_needs_forward():
    m = model()
    with pytest.raises(RuntimeError, match="needs a forward pass"):
        m.backward(1)
    m.forward(np.ones((7, 2)))
    m.backward(1)
    with pytest.raises(RuntimeError, match="needs a forward pass"):
        copy.deepcopy(m).backward(1)


@pytest.mark.parametrize("shape", [(7, 2), (7, 2, 1), (4, 7, 2)])
def test_the_input_may_be_overwritten_before_backward(shape):
    one, two = model(), model()
    x = RNG.standard_normal(shape)
    y = np.ones(4) if shape == (4, 7, 2) else 1
    one.forward(x)
    one.backward(y)
    mine = x.copy()
    two.forward(mine)
    mine[...] = np.nan
    two.backward(y)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_a_refused_input_leaves_the_last_one():
    one, two = model(), model()
    x = RNG.standard_normal((7, 2))
    for m in (one, two):
        m.forward(x)
    for bad in (np.full((7, 2), np.nan), np.full((9, 2), np.inf), np.zeros((7, 3))):
        with pytest.raises(ValueError, match="^x"):
            two.forward(bad)
    one.backward(1)
    two.backward(1)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_the_gradient_is_that_of_the_parameters_as_they_are():
    """Assigned, written to, trained or stepped since forward."""
    x = RNG.standard_normal((7, 2))

    def assign(m):
        m.Whh = np.eye(6) / 2

    def write(m):
        m.Whh[0] = 1

    def write_by_name(m):
        m.parameters["bh"][:] = 1

    def train(m):
        m.fit(x[None], [0], epochs=3)

    def step(m):
        m.backward(1)

    for change in (assign, write, write_by_name, train, step):
        one, two = model(learning_rate=0.1), model(learning_rate=0.1)
        one.forward(x)
        change(one)
        one.backward(1)
        two.forward(x)
        change(two)
        two.forward(x)
        two.backward(1)
        np.testing.assert_array_equal(flat(one), flat(two), err_msg=change.__name__)


def test_learning_rate_may_change_at_any_time():
    m = model(learning_rate=0.0)
    before = flat(m)
    m.forward(np.ones((7, 2)))
    m.backward(1)
    np.testing.assert_array_equal(flat(m), before)
    m.learning_rate = 0.5
    m.forward(np.ones((7, 2)))
    m.backward(1)
    assert (flat(m) != before).any()


def test_lengths_may_change_at_any_time():
    m = model()
    expected = {T: m.forward(np.ones((T, 2))) for T in (1, 5, 100)}
    for T in (100, 1, 5, 5, 100):
        np.testing.assert_array_equal(m.forward(np.ones((T, 2))), expected[T])
        np.testing.assert_array_equal(m.forward(np.ones((T, 2, 1)))[:, 0], expected[T])


def test_the_short_path_takes_what_scripts_give(monkeypatch):
    """Else a script would be several times slower, and no other test would see it."""
    for dtype in ("f4", "f8"):
        m = model(I=1, dtype=dtype)
        for x in (
            np.ones((5, 1, 1)),
            np.ones((5, 1)),
            np.ones((5, 1), "f4"),
            np.ones((9, 5, 1))[0],
        ):
            m.forward(x)  # the first of a shape goes through the checks
            with monkeypatch.context() as patch:
                patch.setattr(checks, "sequence_or_batch", None)
                patch.setattr(checks, "target", None)
                for y in (np.ones((1, 1)), np.ones(1), np.ones((1, 1), "f4"), 1.0):
                    m.forward(x)
                    m.backward(y)
