"""Interrupts at any moment of a training: a resumed one has the bits of one that never stopped."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import signal
import threading
import time
from asyncio import CancelledError

import numpy as np
import pytest
from common import assert_same_bits, flat, without_times
from interrupter import Interrupter

import rnn_fast
from rnn_fast import GRU, LSTM, SGD, DivergedError, EarlyStopping, SimpleRNN
from rnn_fast.training.signals import DEFAULTS
from rnn_fast.tuning import tuned

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 5, 2))
Y = X.sum((1, 2))


def adam():
    m = GRU(2, 5, num_layers=2, dropout=0.3, loss="mse", seed=4)
    settings = {"optimizer": "adam", "schedule": "cosine", "validation_split": 0.2}
    return m, lambda **more: m.fit(X, Y, epochs=3, batch_size=7, **settings, **more)


def plateau():
    m = LSTM(2, 5, loss="mse", dtype="f8", seed=np.random.Generator(np.random.MT19937(1)))
    settings = {
        "optimizer": SGD(momentum=0.9),
        "schedule": rnn_fast.ReduceOnPlateau(patience=1, threshold=0.1),
        "early_stopping": EarlyStopping(2, min_delta=0.05),
        "learning_rate": 0.05,
        "bptt": 2,
    }
    return m, lambda **more: m.fit(X, Y, epochs=4, batch_size=10, **settings, **more)


def stream():
    m = SimpleRNN(2, 5, loss="mse", seed=3)
    items = [(X[i : i + 10], Y[i : i + 10]) for i in (0, 10, 20)]
    return m, lambda **more: m.fit_stream(items, epochs=3, batch_size=7, **more)


def nested():
    """A callback trains the same model, which changes parameters and generator."""
    m = SimpleRNN(2, 5, loss="mse", seed=3)

    def again(model, history):
        model.fit(X[:9], Y[:9], epochs=1, batch_size=4, verbose=0)
        model.Whh *= 0.9

    return m, lambda **more: m.fit(X, Y, epochs=3, batch_size=8, callbacks=[again], **more)


def diverging():
    m = SimpleRNN(2, 5, nonlinearity="relu", loss="mse", seed=3)
    return m, lambda **more: m.fit(X * 30, Y, epochs=40, batch_size=7, learning_rate=0.5, **more)


# an exception between the opening of a file and its ``with`` leaves it to the collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CASES = {f.__name__: f for f in (adam, plateau, stream, nested, diverging)}


@pytest.fixture(autouse=True)
def short_pieces():
    """Every piece of an epoch is one batch."""
    with tuned(piece_seconds=1e-12, trial_seconds=1e-12):
        yield


def outcome(make, **settings):
    """Train; return parameters, history and next random number of the model, as they end."""
    model, fit = make()
    try:
        bits = list(without_times(fit(verbose=0, **settings).arrays()).values())
    except DivergedError as error:
        bits = [np.array(error.history.loss)]
    return [flat(model), *bits, model._generator.random()]


NUMBERS = [*DEFAULTS, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])]


@pytest.fixture(autouse=True)
def handlers():
    """Let SIGTERM, which may come after a training, be an exception; put handlers back."""
    before = {number: signal.getsignal(number) for number in NUMBERS}

    def end(number, frame):
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, end)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    gc.collect()  # here, where what it warns of is expected


def count(make, path):
    """Return the number of lines of a training."""
    with Interrupter() as interrupter:
        outcome(make, checkpoint=path)
    return interrupter.n


def check(make, path, wanted, moments):
    """Interrupt a training, resume it, and compare."""
    try:
        with Interrupter(moments):
            outcome(make, checkpoint=path)
    except (KeyboardInterrupt, CancelledError, SystemExit):
        pass
    gc.collect()
    with pytest.raises(KeyboardInterrupt):  # as before the training
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_same_bits(outcome(make, checkpoint=path, resume=True), wanted)


def sweep(case, tmp_path, n, seed):
    """Interrupt at n random moments, once or twice in a row."""
    make, draw = CASES[case], random.Random(seed)
    wanted, total = outcome(make), count(make, tmp_path / "whole")
    for i in range(n):
        first = draw.randrange(total)
        moments = {first: draw.choice([KeyboardInterrupt, SystemExit, CancelledError])}
        if i % 3 == 0:
            moments[first + draw.randrange(1, 100)] = KeyboardInterrupt
        check(make, tmp_path / f"{i}", wanted, moments)


@pytest.mark.parametrize("case", CASES)
def test_interrupted_anywhere_the_bits_are_the_same(case, tmp_path):
    sweep(case, tmp_path, 7, seed=1)


@pytest.mark.sweep
@pytest.mark.parametrize("case", CASES)
def test_interrupted_everywhere_the_bits_are_the_same(case, tmp_path):
    sweep(case, tmp_path, 300, seed=2)


# ------------------------------------------------------------------------ by the system's means


def later(seconds, action):
    """Let a handler run `action` in this thread; a `Timer` would be interrupted as it starts."""
    signal.signal(signal.SIGALRM, lambda number, frame: action())
    signal.setitimer(signal.ITIMER_REAL, seconds)


def by_alarm(seconds):
    """Let a handler of the program raise an exception."""

    def act():
        raise KeyboardInterrupt

    later(seconds, act)


def by_signals(seconds):
    """Let SIGINT and SIGTERM come at once."""

    def act():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

    later(seconds, act)


def by_a_thread(seconds):
    """Set an exception as another thread does."""
    me = ctypes.c_ulong(threading.main_thread().ident)
    error = ctypes.py_object(KeyboardInterrupt)
    later(seconds, lambda: ctypes.pythonapi.PyThreadState_SetAsyncExc(me, error))


def at_random_moments(tmp_path, how, n, seed):
    draw, names = random.Random(seed), list(CASES)
    wanted = {name: outcome(CASES[name]) for name in names}
    for i in range(n):
        make, path = CASES[name := names[i % len(names)]], tmp_path / f"{i}"

        try:
            try:
                how(draw.uniform(0.0005, 0.03))
                outcome(make, checkpoint=path)
                time.sleep(0.05)
            except (KeyboardInterrupt, SystemExit):
                time.sleep(0.02)  # the second of two comes here, if not before
        except (KeyboardInterrupt, SystemExit):
            pass
        assert_same_bits(outcome(make, checkpoint=path, resume=True), wanted[name])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX signals")
@pytest.mark.parametrize("how", [by_alarm, by_signals, by_a_thread])
def test_interrupted_by_the_system(how, tmp_path):
    at_random_moments(tmp_path, how, 10, seed=3)


@pytest.mark.sweep
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX signals")
@pytest.mark.parametrize("how", [by_alarm, by_signals, by_a_thread])
def test_interrupted_by_the_system_often(how, tmp_path):
    at_random_moments(tmp_path, how, 300, seed=4)


# -------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("kind", [SystemExit, CancelledError, TimeoutError])
def test_a_checkpoint_is_written_for_all_that_are_no_errors(kind, tmp_path):
    def stop(model, history):
        if len(history) == 2:
            raise kind

    path = tmp_path / "c"
    m = SimpleRNN(2, 5, loss="mse", seed=3)
    with pytest.raises(kind):
        m.fit(X, Y, epochs=4, callbacks=[stop], checkpoint=path, checkpoint_every=9, verbose=0)
    again = SimpleRNN(2, 5, loss="mse", seed=3)
    again.fit(X, Y, epochs=4, checkpoint=path, checkpoint_every=9, resume=True, verbose=0)
    whole = SimpleRNN(2, 5, loss="mse", seed=3)
    whole.fit(X, Y, epochs=4, verbose=0)
    np.testing.assert_array_equal(flat(again), flat(whole))


def test_a_checkpoint_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    m = SimpleRNN(2, 5, loss="mse", seed=3)
    folder = tmp_path / "folder"
    folder.mkdir()

    def stop(model, history):
        if len(history) == 2:
            folder.rename(tmp_path / "elsewhere")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="after 2 of 5 epochs; no checkpoint could be"):
        m.fit(X, Y, epochs=5, callbacks=[stop], checkpoint=folder / "c", verbose=0)
