"""One process compiles a program; the others wait, whatever becomes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rnn_fast
from rnn_fast.jit.folders import Folder
from rnn_fast.jit.locks import locked

TANH = "0.46211715726"  # tanh(0.5)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

HOLD = """
import time
from rnn_fast.jit.cache import sole_compiler
name = 'small.factory(float64)'
with sole_compiler(name):
    print("held", flush=True)
    time.sleep(600)
"""

COUNT = """
import sys
from rnn_fast.jit.folders import Folder
from rnn_fast.jit.locks import locked

with Folder(sys.argv[1]) as folder:
    sys.stdin.readline()  # all begin at once
    for _ in range(50):
        with locked(folder, "lock"):
            with open(sys.argv[1] + "/count") as file:
                count = int(file.read())
            with open(sys.argv[1] + "/count", "w") as file:
                file.write(str(count + 1))
"""


def test_eight_processes_compile_a_program_once(run):
    """All start cold, and one of them imports Numba to compile."""
    processes = [run.start() for _ in range(8)]
    found = []
    for process in processes:
        out, error = process.communicate()
        assert process.returncode == 0, error
        found.append(tuple(out.split()))
    assert sorted(found) == [(TANH, "False")] * 7 + [(TANH, "True")]
    assert [file.suffix for file in run.cache.iterdir()] == [".o"]


def test_a_lock_has_one_holder(tmp_path):
    """Also when a holder deletes the lock file that others wait for."""
    (tmp_path / "count").write_text("0")
    environment = {**os.environ, "PYTHONPATH": str(Path(rnn_fast.__file__).parent.parent)}
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert (tmp_path / "count").read_text() == "200"
    assert [file.name for file in tmp_path.iterdir()] == ["count"]


@forks
def test_a_killed_compiler_blocks_nobody(run):
    process = run.start(HOLD)
    assert process.stdout.readline().strip() == "held"
    process.kill()
    process.communicate()
    assert [file.suffix for file in run.cache.iterdir()] == [".lock"]
    assert run() == [TANH, "True"]


def test_a_suspended_holder_is_not_waited_for(tmp_path, run):
    """After a while the next process goes on without the lock."""
    process = run.start(HOLD)
    assert process.stdout.readline().strip() == "held"
    (lock,) = run.cache.iterdir()
    with Folder(str(run.cache)) as folder:
        begun = time.monotonic()
        with locked(folder, lock.name, patience=0.2):
            assert 0.2 < time.monotonic() - begun < 5.0
    assert lock.exists()
    process.kill()
    process.communicate()


def test_a_holder_can_ask_again(tmp_path):
    """A signal handler may train a model while another one is compiled."""
    with Folder(str(tmp_path)) as folder, locked(folder, "lock"):
        with locked(folder, "lock"):
            pass
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


@forks
def test_a_child_neither_releases_nor_keeps_its_parents_lock(tmp_path):
    ready, go = os.pipe(), os.pipe()
    with Folder(str(tmp_path)) as folder:
        with locked(folder, "lock"):
            child = os.fork()
            if child:
                assert os.read(ready[0], 1) == b"1"  # the child has left its block
                assert (tmp_path / "lock").exists()
                with locked(Folder(str(tmp_path)), "lock"):  # still ours
                    pass
                assert (tmp_path / "lock").exists()
        if child == 0:
            os.write(ready[1], b"1")
            os.read(go[0], 1)
            os._exit(0)
        begun = time.monotonic()
        with locked(folder, "lock", patience=30.0):
            assert time.monotonic() - begun < 10.0
        os.write(go[1], b"1")
        assert os.waitpid(child, 0)[1] == 0


@forks
def test_a_child_does_not_keep_the_lock_of_a_killed_parent(run):
    """A daemon, say, that outlives the compiler."""
    code = HOLD.replace(
        'print("held", flush=True)', "if child := os.fork(): print(child, flush=True)"
    )
    process = run.start("import os" + code)
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        (lock,) = run.cache.iterdir()
        with Folder(str(run.cache)) as folder, locked(folder, lock.name):
            pass
        assert not lock.exists()
    finally:
        os.kill(child, 9)
        process.communicate()
