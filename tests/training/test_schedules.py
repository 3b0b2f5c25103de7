"""Learning-rate schedules: PyTorch's where it has them, and what fit makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast import Cosine, Exponential, History, ReduceOnPlateau, SimpleRNN, Step, WarmUp
from rnn_fast.training.rates import Plateau
from rnn_fast.training.schedules import chosen_schedule

EPOCHS = np.arange(12.0)


def pytorchs(torch, name, losses=None, **options):
    """Learning rates of PyTorch's scheduler in twelve epochs, from 1."""
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    found = []
    for k in range(12):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([] if losses is None else [losses[k]]))
    return np.array(found)


@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (Step(every=5, factor=0.5), "StepLR", {"step_size": 5, "gamma": 0.5}),
        (Exponential(0.8), "ExponentialLR", {"gamma": 0.8}),
        (Cosine(end=0.1), "CosineAnnealingLR", {"T_max": 12, "eta_min": 0.1}),
        (WarmUp(4), "LinearLR", {"start_factor": 0.25, "total_iters": 3}),
    ],
)
def test_by_epoch_they_are_pytorchs(ours, name, options):
    torch = pytest.importorskip("torch")
    wanted = pytorchs(torch, name, **options)
    np.testing.assert_allclose(ours.factors(EPOCHS, 12), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("monitor", "mode", "sign"),
    [(None, "auto", 1), ("accuracy", "auto", -1), ("loss", "max", -1), ("accuracy", "min", 1)],
)
def test_a_plateau_is_pytorchs(monitor, mode, sign):
    torch = pytest.importorskip("torch")
    values = np.array([3, 2, 2.5, 1.99999, 2, 2, 1, 1, np.nan, 1, 1, 0.5])
    values = values if sign > 0 else 1 / values
    options = {"factor": 0.5, "patience": 2, "threshold": 1e-3}
    rule = ReduceOnPlateau(**options, monitor=monitor, mode=mode)
    options["mode"] = "min" if sign > 0 else "max"
    wanted = pytorchs(torch, "ReduceLROnPlateau", values.tolist(), **options)
    for schedule in (rule, WarmUp(0.5, then=rule)):
        plateau, found = Plateau.of(schedule, SimpleRNN(2, 3)._net, validates=False), []
        assert plateau.monitor.sign == sign
        for value in values:
            found.append(plateau.factor)
            plateau = plateau.after(History(loss=[value], accuracy=[value]))
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert wanted[-1] < 0.5


def halves(epoch):
    return 0.5**epoch


def test_a_function_is_pytorchs():
    torch = pytest.importorskip("torch")
    wanted = pytorchs(torch, "LambdaLR", lr_lambda=halves)
    np.testing.assert_array_equal(chosen_schedule("schedule", halves).factors(EPOCHS, 12), wanted)


def test_fit_calls_a_function_of_the_epoch():
    X, y = data()
    seen = []

    def table(epoch):
        seen.append(epoch)
        return [1.0, 0.25, 0, np.float32(0.5)][epoch]

    one, two = (SimpleRNN(2, 3, loss="mse", dtype="f8", seed=0) for _ in range(2))
    settings = {"batch_size": 7, "shuffle": False}
    h = one.fit(X, y, epochs=4, schedule=table, learning_rate=0.1, **settings)
    assert h.learning_rate == [0.1, 0.025, 0.0, 0.05]
    assert seen[:2] == [0, 3] and seen[2:] == [0, 1, 2, 3]  # before, and once an epoch
    assert all(type(epoch) is int for epoch in seen)
    for rate in h.learning_rate:
        two.fit(X, y, epochs=1, learning_rate=rate, **settings)
    np.testing.assert_array_equal(one.Whh, two.Whh)
    with pytest.raises(IndexError):  # before any work
        one.fit(X, y, epochs=5, schedule=table)
    np.testing.assert_array_equal(one.Whh, two.Whh)


def test_a_function_after_a_warm_up():
    x = 1 + np.arange(4) / 4
    found = WarmUp(2, then=halves).factors(x, 5, 0.25)
    np.testing.assert_allclose(found, 0.5 * WarmUp(2).factors(x, 5, 0.25))


@pytest.mark.parametrize(
    ("result", "error", "got"),
    [
        (-1, ValueError, "must be finite and not negative; got -1"),
        (np.nan, ValueError, "must be finite and not negative; got nan"),
        (np.inf, ValueError, "must be finite and not negative; got inf"),
        (None, TypeError, "must be a real number; got None"),
        (np.ones(2), TypeError, "must be a real number; got array"),
    ],
)
def test_results_of_a_function_are_checked(result, error, got):
    X, y = data()
    m = SimpleRNN(2, 3, loss="mse", seed=0)
    before, drawn = m.Whh.copy(), str(m._generator.bit_generator.state)
    with pytest.raises(error, match=rf"^schedule\(4\) {got}"):  # the last epoch: before any work
        m.fit(X, y, epochs=5, schedule=lambda epoch: result if epoch == 4 else 1.0)
    np.testing.assert_array_equal(m.Whh, before)
    assert str(m._generator.bit_generator.state) == drawn
    with pytest.raises(error, match=rf"^schedule\(2\) {got}"):
        m.fit(X, y, epochs=5, schedule=lambda epoch: result if epoch == 2 else 1.0)


def test_a_checkpoint_knows_a_function_by_its_name(tmp_path):
    X, y = data()
    make = lambda: SimpleRNN(2, 3, loss="mse", seed=0)  # noqa: E731
    settings = {"schedule": halves, "learning_rate": 0.1}
    whole, m = make(), make()
    wanted = whole.fit(X, y, epochs=4, **settings)
    make().fit(X, y, epochs=2, checkpoint=tmp_path / "c", **settings)
    found = m.fit(X, y, epochs=4, checkpoint=tmp_path / "c", resume=True, **settings)
    assert found.learning_rate == wanted.learning_rate and found.loss == wanted.loss
    np.testing.assert_array_equal(m.Whh, whole.Whh)
    settings["schedule"] = lambda epoch: 0.5**epoch
    with pytest.raises(ValueError, match="schedule=halves.*, not .*schedule=test_a_.*<lambda>"):
        make().fit(X, y, checkpoint=tmp_path / "c", resume=True, **settings)


class Table:
    def __call__(self, epoch):
        return 1.0


def test_how_a_function_is_called_in_messages():
    assert repr(chosen_schedule("schedule", halves)) == "halves"
    assert repr(WarmUp(2, then=Table())) == "WarmUp(epochs=2.0, then=Table)"


def test_within_an_epoch():
    x = 1 + np.arange(4) / 4
    np.testing.assert_allclose(WarmUp(2).factors(x, 5, 0.25), [0.625, 0.75, 0.875, 1.0])
    np.testing.assert_allclose(
        WarmUp(1.5, then="cosine").factors(x, 4, 0.25)[2:], Cosine().factors(x, 4)[2:]
    )
    np.testing.assert_allclose(Cosine().factors(x, 2), (1 + np.cos(np.pi * x / 2)) / 2)
    assert (Step(every=1).factors(x, 5) == 0.1).all()
    assert WarmUp(0.5).factors(np.zeros(1), 3) == 1.0


def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 4, 2))
    return X, X.sum((1, 2))


@pytest.mark.parametrize("batch_size", [1, 7])
def test_fit_takes_the_rate_of_each_update(batch_size):
    """As fits of one batch each, at the rates of the schedule."""
    X, y = data()
    one, two = (SimpleRNN(2, 3, loss="mse", dtype="f8", seed=0) for _ in range(2))
    settings = {"batch_size": batch_size, "shuffle": False}
    schedule = WarmUp(0.5, then="cosine")
    h = one.fit(X, y, epochs=2, schedule=schedule, learning_rate=0.1, **settings)
    starts = range(0, 20, batch_size)
    for epoch in range(2):
        x = epoch + np.arange(len(starts)) / len(starts)
        for start, rate in zip(starts, 0.1 * schedule.factors(x, 2, 1 / len(starts)), strict=True):
            chosen = slice(start, start + batch_size)
            two.fit(X[chosen], y[chosen], epochs=1, learning_rate=rate, **settings)
        assert h.learning_rate[epoch] == pytest.approx(rate)
    np.testing.assert_allclose(one.Whh, two.Whh, rtol=1e-9)


def test_fit_watches_the_loss_for_a_plateau():
    X, y = data()
    m = SimpleRNN(2, 3, loss="mse", seed=0)
    rule = ReduceOnPlateau(patience=1, factor=0.5, threshold=0.9)
    h = m.fit(X, y, epochs=6, schedule=rule, learning_rate=1e-3)
    assert h.learning_rate == pytest.approx([1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4])
    wanted = m.fit(X, y, epochs=6, schedule=rule, learning_rate=1e-3, validation_data=(X, y))
    assert wanted.learning_rate == pytest.approx(h.learning_rate)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Step(every=0), ValueError, "every must be at least 1"),
        (lambda: Exponential(0), ValueError, "factor must be above 0"),
        (lambda: Cosine(end=1.5), ValueError, "end must be at most 1"),
        (lambda: ReduceOnPlateau(factor=1), ValueError, r"factor must be in \[0, 1\)"),
        (lambda: WarmUp(0), ValueError, "epochs must be above 0"),
        (lambda: WarmUp(then="up"), ValueError, "then must be one of"),
        (
            lambda: chosen_schedule("schedule", Step),
            TypeError,
            "schedule must be a name, an object",
        ),
        (
            lambda: chosen_schedule("schedule", 0.1),
            TypeError,
            "schedule must be a name, an object",
        ),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
