"""Threads: the same bits with any number of them, and nobody else disturbed."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time

import numpy as np
import pytest
from common import assert_same_bits, flat, run_python

from rnn_fast import GRU, LSTM, SGD, SimpleRNN
from rnn_fast.engine import threads
from rnn_fast.engine.workspace import spaces
from rnn_fast.layout.batch_records import TEAM
from rnn_fast.tuning import TUNING, tuned

CASES = {
    "rnn": (SimpleRNN, {}),
    "gru": (GRU, {"num_layers": 2, "bidirectional": True, "dropout": 0.3}),
    "lstm": (LSTM, {"return_sequences": True}),
    "embedded": (GRU, {"embedding_size": 5, "learn_initial_state": True}),
}
ODD = 167  # sequences to a batch: with 8 or 16 lanes many blocks, the last one short


def drawn(case, steps=9):
    rng = np.random.default_rng(0)
    kind, options = CASES[case]
    n = 2 * ODD + 31
    embedded = "embedding_size" in options
    X = rng.integers(0, 3, (n, steps)) if embedded else rng.standard_normal((n, steps, 3))
    y = rng.standard_normal((n, steps) if options.get("return_sequences") else n)
    return kind, options, X, y, rng.integers(1, steps + 1, n)


@pytest.fixture
def eager():
    """A team that works on every piece, however small."""
    pieces = {"piece_seconds": 1e-6, "trial_seconds": 1e-6}
    with tuned(worth_seconds=0.0, trusted_seconds=np.inf, **pieces):
        yield


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.sweep)])
@pytest.mark.parametrize("case", CASES)
def test_bits_do_not_depend_on_the_number_of_threads(case, dtype, eager):
    kind, options, X, y, lengths = drawn(case)
    found = []
    for n in (1, 2, 3, 4, 8):
        m = kind(3, 6, loss="mse", dtype=dtype, seed=0, **options)
        settings = {"lengths": lengths, "batch_size": ODD, "n_threads": n}
        h = m.fit(X, y, epochs=5, validation_split=0.1, optimizer=SGD(momentum=0.9), **settings)
        out = m.predict(X, lengths=lengths, n_threads=n)
        loss, gradients = m.loss_and_gradients(X, y, lengths=lengths, n_threads=n)
        measures = m.evaluate(X, y, lengths=lengths, n_threads=n)
        learned = [h.loss, h.val_loss, h.r2, loss, *measures.values()]
        found.append([flat(m), out, *gradients.values(), *map(np.array, learned)])
    for other in found[1:]:
        assert_same_bits(found[0], other)


def test_truncated_back_propagation_with_threads(eager):
    kind, options, X, y, lengths = drawn("lstm")
    found = []
    for n in (1, 3):
        m = kind(3, 6, loss="mse", seed=0, **options)
        m.fit(X, y, lengths=lengths, bptt=4, batch_size=ODD, epochs=2, n_threads=n)
        found.append(flat(m))
    np.testing.assert_array_equal(*found)


def test_rounds_of_blocks_do_not_change_the_gradient():
    """Where memory for the gradient of an embedding is short, blocks are run in rounds."""
    kind, options, X, y, _ = drawn("embedded")
    found = []
    for room in (TUNING.gradient_numbers, 1500):
        with tuned(gradient_numbers=room):
            m = kind(3, 6, loss="mse", dtype="f8", seed=0, **options)
            found.append(m.loss_and_gradients(X, y)[1])
        space = spaces.kept[False][0][1]
        rounds = -(-space.blocks // space.round)
        assert (rounds > 1) == (room == 1500)
    for name, one in found[0].items():
        np.testing.assert_allclose(one, found[1][name], rtol=1e-11, atol=1e-14)


# -------------------------------------------------------------------------------------- teams


def test_a_team_goes_on_without_helpers_that_do_not_come():
    def fail():
        raise RuntimeError("can't start new thread")

    with threads.Team(4, hire=fail) as team, team.taken(4) as n:
        assert n == 1


def test_helpers_start_with_the_first_work_and_end_with_the_team():
    before, ran = _thread._count(), []
    with threads.Team(3) as team:
        assert _thread._count() == before
        with team.taken(2) as n:
            assert n == 2
            team.run(lambda: None, [lambda: ran.append(threading.get_ident())])
        assert _thread._count() == before + 1
    assert len(ran) == 1 and ran != [threading.get_ident()]
    for _ in range(100):  # a thread that has ended takes some microseconds to be gone
        if _thread._count() == before:
            break
        time.sleep(0.01)
    assert _thread._count() == before


def test_a_leader_that_fails_sends_the_helpers_home():
    def wait():
        while team.sync[TEAM.ticket] >= 0:
            pass

    def fail():
        raise ZeroDivisionError

    with threads.Team(2) as team, team.taken(2), pytest.raises(ZeroDivisionError):
        team.run(fail, [wait])


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="POSIX signals")
def test_a_team_ends_with_its_helpers_after_an_interrupt():
    ended = []

    def work():
        time.sleep(0.05)  # until the leader waits
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.05)
        ended.append(1)

    with threads.Team(2) as team, team.taken(2), pytest.raises(KeyboardInterrupt):
        team.run(lambda: None, [work])
    assert ended == [1]


def test_teams_share_the_cores():
    cores = threads.Cores(available=lambda: 4)
    one, two, three = (threads.Team(4, cores) for _ in range(3))
    with one, two, three, one.taken(3) as n:
        assert n == 3
        with two.taken(4) as m:
            assert m == 1  # the fourth core
            with three.taken(4) as k:
                assert k == 1  # a team is never refused its first thread
    with threads.Team(9, cores) as team, team.taken(9) as n:
        assert n == 9  # no other team is at work, and it was asked for


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_in_the_midst_of_other_work():
    code = """
import os, numpy as np
from rnn_fast import SimpleRNN
from rnn_fast.engine import threads
X = np.random.default_rng(0).standard_normal((512, 20, 2))
y = (X.sum((1, 2)) > 0).astype(int)
def run(n_threads=2):
    m = SimpleRNN(2, 16, seed=0)
    m.fit(X, y, epochs=3, batch_size=256, n_threads=n_threads, verbose=False)
    return m.Whh.sum()
wanted = run()
with threads.Team(2) as team, team.taken(2):  # what another thread might be at
    child = os.fork()
    if child == 0:
        os._exit(0 if run() == wanted and threads.CORES.n_busy == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    run_python(code, "-W", "ignore")


def test_python_threads_may_each_train_a_model(eager):
    kind, options, X, y, lengths = drawn("gru")

    def run(seed, found):
        m = kind(3, 6, loss="mse", seed=seed, **options)
        m.fit(X, y, lengths=lengths, batch_size=ODD, epochs=4, n_threads=3)
        found[seed] = flat(m)

    alone, together = {}, {}
    for seed in range(4):
        run(seed, alone)
    workers = [threading.Thread(target=run, args=(seed, together)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in range(4):
        np.testing.assert_array_equal(alone[seed], together[seed])


# ------------------------------------------------------------------------------------ how many


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, 6),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "2,1"}, 2),
        ({"OMP_NUM_THREADS": "64"}, 6),
        ({"OMP_NUM_THREADS": "many"}, 6),
        ({"OMP_NUM_THREADS": "2", "RNN_FAST_NUM_THREADS": "8"}, 8),
    ],
)
def test_available(environ, wanted):
    assert threads.available(environ, lambda: 6, quota=lambda: 1000) == wanted


def test_available_in_a_container():
    assert threads.available({}, lambda: 6, quota=lambda: 3) == 3
    assert threads.wanted(None) == threads.available() >= 1


def test_n_threads_is_checked():
    m, X = SimpleRNN(1, 2, seed=0), np.zeros((2, 3, 1))
    for call in (lambda n: m.fit(X, [0, 1], n_threads=n), lambda n: m.predict(X, n_threads=n)):
        with pytest.raises(ValueError, match="^n_threads must be at least 1; got 0"):
            call(0)
        with pytest.raises(TypeError, match="^n_threads must be an integer"):
            call(2.0)
