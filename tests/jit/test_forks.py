"""A child of a fork can compile and train, whatever its parent's threads were at."""

from __future__ import annotations

import os
import threading
import time

import pytest

from rnn_fast.jit.forks import ForkGuard

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
TANH = "0.46211715726"  # tanh(0.5)

#: a thread compiles program after program, and the main thread forks at random moments
RANDOM = f"""
import gc, os, random, signal, sys, threading, time
import numpy as np
from rnn_fast.jit import Program

with open("many.py", "w") as file:
    file.write('''
def factory(dtype, number):
    from rnn_fast.simd import vector_math as vmath
    from rnn_fast.simd import load, store
    def program(x):
        store(x, vmath.tanh(load(x)) + number)
    return program
''')
sys.path.insert(0, os.getcwd())
program = Program("many", "factory", x="reals")

def use(number):
    x = np.full(16, 0.5)
    program("float64", number)(x.ctypes.data)
    assert round(x[0] - number, 11) == {TANH}

def child(number):
    signal.alarm(30)  # ends a child that hangs
    use(number)
    assert gc.isenabled()
    from numba import config, njit
    assert njit(lambda x: x + 1)(1) == 2
    assert config.DISABLE_JIT == int(os.environ.get("NUMBA_DISABLE_JIT", 0))

def work():
    for number in range(n_forks + 1):
        use(number)
        if done.is_set():
            return

n_forks = int(sys.argv[1])
random.seed(int(sys.argv[1]))
done, codes = threading.Event(), []
thread = threading.Thread(target=work)
thread.start()
for fork in range(n_forks):
    time.sleep(random.uniform(0, 1.0 if fork == 0 else 0.3))
    pid = os.fork()
    if pid == 0:
        try:
            child(1000 + fork)
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
done.set()
thread.join()
print(len(codes), *{{*codes}})
"""

#: the thread that compiles forks, or trains, in a signal handler
HANDLER = """
import os, signal, sys
import numpy as np
import small
from rnn_fast.jit import Program

program, real, codes = Program("small", "factory", x="reals"), small.factory, []

def use(dtype):
    x = np.full(16, 0.5, dtype)
    program(dtype)(x.ctypes.data)
    print(round(float(x[0]), 6))

def forks(*_):
    pid = os.fork()
    if pid == 0:
        codes.append("child")
        signal.alarm(60)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def trains(*_):
    use("float32")

def slow(dtype):
    if dtype == "float64":
        os.kill(os.getpid(), signal.SIGUSR1)
    return real(dtype)

small.factory = slow
signal.signal(signal.SIGUSR1, globals()[sys.argv[1]])
use("float64")
sys.stdout.flush()
if codes:
    os._exit(0)
use("float64")
"""


def with_argument(code, argument):
    return f"import sys; sys.argv.append({argument!r})\n" + code


def test_forks_while_another_thread_compiles(run):
    assert run(with_argument(RANDOM, "4")) == ["4", "0"]


@pytest.mark.sweep
def test_many_forks_while_another_thread_compiles(run):
    assert run(with_argument(RANDOM, "100")) == ["100", "0"]


def test_a_fork_in_the_thread_that_compiles(run):
    """The child ends the compilation too, and its parent's lock stays."""
    assert run(with_argument(HANDLER, "forks")) == ["0.462117", "0", "0.462117", "0.462117"]
    assert [file.suffix for file in run.cache.iterdir()] == [".o"]


def test_a_signal_handler_that_trains_while_a_program_is_compiled(run):
    assert run(with_argument(HANDLER, "trains")) == ["0.462117"] * 3
    assert [file.suffix for file in run.cache.iterdir()] == [".o"] * 2


class Owner:
    def __init__(self):
        self.lock = threading.RLock()


def test_a_lock_that_cannot_be_had_is_replaced_in_the_child():
    free, held = Owner(), Owner()
    taken, done = threading.Event(), threading.Event()

    def hold():
        with held.lock:
            taken.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    guard = ForkGuard(lambda: [(free, "lock"), (held, "lock")], patience=0.1)
    before = held.lock
    begun = time.monotonic()
    guard.before()
    assert 0.1 < time.monotonic() - begun < 5.0
    guard.in_parent()
    assert held.lock is before
    guard.before()
    guard.in_child()
    assert held.lock is not before and held.lock.acquire(blocking=False)
    done.set()
    thread.join()
    results = []
    thread = threading.Thread(target=lambda: results.append(free.lock.acquire(blocking=False)))
    thread.start()
    thread.join()
    assert results == [True]


def test_a_lock_of_the_forking_thread_stays_its_own():
    owner = Owner()
    guard = ForkGuard(lambda: [(owner, "lock")], patience=0.1)
    with owner.lock:
        before = owner.lock
        guard.before()
        guard.in_child()
        assert owner.lock is before
