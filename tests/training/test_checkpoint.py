"""Checkpoints: a resumed training has the bits of one that never stopped."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import numpy as np
import pytest

import rnn_fast
from rnn_fast import GRU, LSTM, SGD, EarlyStopping, ModelFileError, SimpleRNN
from rnn_fast.engine.evaluation import Evaluation
from rnn_fast.layout.batch_records import SUMS
from rnn_fast.saving import checkpoint
from rnn_fast.training.loop import Training
from rnn_fast.tuning import TUNING

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 5, 2))
Y = X.sum((1, 2))
CASES = {
    "plain": (lambda: SimpleRNN(2, 5, loss="mse", seed=3), {}),
    "adam": (
        lambda: GRU(2, 5, num_layers=2, dropout=0.3, loss="mse", seed=np.random.default_rng(4)),
        {"optimizer": "adam", "schedule": "cosine", "validation_split": 0.2, "batch_size": 7},
    ),
    "plateau": (
        lambda: LSTM(2, 5, loss="mse", dtype="f8", seed=np.random.Generator(np.random.MT19937(1))),
        {
            "optimizer": SGD(momentum=0.9),
            "schedule": rnn_fast.ReduceOnPlateau(patience=1, threshold=0.1),
            "early_stopping": EarlyStopping(2, min_delta=0.05),
            "learning_rate": 0.05,
            "l2": {"Whh": 1e-3},
            "clip_norm": 1.0,
            "bptt": 2,
        },
    ),
}
every_case = pytest.mark.parametrize("case", CASES)


def flat(m):
    return np.concatenate([array.ravel() for array in m.parameters.values()])


class Stop(Exception):
    pass


def stop_after(epochs):
    def callback(m, history):
        if len(history) == epochs:
            raise Stop

    return callback


def learned(history):
    own = history.arrays()
    return {name: own[name] for name in own if name not in ("seconds", "sequences_per_second")}


@every_case
def test_wherever_it_stops_the_bits_are_the_same(case, tmp_path):
    make, settings = CASES[case]
    settings = {"epochs": 8, **settings}
    whole = make()
    wanted = learned(whole.fit(X, Y, **settings))
    epochs = len(wanted["loss"])
    for stop in range(1, epochs + 1):
        path = tmp_path / f"{stop}"
        with pytest.raises(Stop):
            make().fit(X, Y, checkpoint=path, callbacks=[stop_after(stop)], **settings)
        m = make()  # a callback comes before the checkpoint of its epoch
        found = learned(m.fit(X, Y, checkpoint=path, resume=True, **settings))
        np.testing.assert_array_equal(flat(m), flat(whole))
        assert wanted.keys() == found.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
        assert m._generator.random() == make_and_fit(make, settings)


def make_and_fit(make, settings):
    m = make()
    m.fit(X, Y, **settings)
    return m._generator.random()


# --------------------------------------------------------------------- within an epoch


def stop_after_calls(monkeypatch, n, number=signal.SIGINT):
    """Let a signal come while the n-th piece of a training is run, each of one batch."""
    real, calls = Training.run_epoch, iter(range(1, 10**6))

    def train(*arguments, **options):
        epoch = real(*arguments, **options)
        if next(calls) == n:
            signal.raise_signal(number)
        return epoch

    monkeypatch.setattr(Training, "run_epoch", staticmethod(train))
    short_pieces(monkeypatch)


def short_pieces(monkeypatch):
    """Let every piece of an epoch be one batch."""
    monkeypatch.setattr(TUNING, "piece_seconds", 1e-12)
    monkeypatch.setattr(TUNING, "trial_seconds", 1e-12)


class Slow:
    """Sequences that are read in slices."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, rows):
        return self.array[rows]


def in_memory(m, **settings):
    return m.fit(X, Y, epochs=3, **settings)


def from_disk(m, **settings):
    return m.fit(Slow(X), Slow(Y), epochs=3, shuffle_block=14, **settings)


def from_a_stream(m, **settings):
    items = [(X[i : i + 10], Y[i : i + 10]) for i in (0, 10, 20)]
    kept = ("validation_split", "batch_size")
    own = {k: v for k, v in settings.items() if k not in kept}
    return m.fit_stream(items, epochs=3, batch_size=7, **own)


def from_an_iterator(m, **settings):
    items = itertools.cycle([(X[:10], Y[:10]), (X[10:17], Y[10:17]), (X[17:], Y[17:])])
    kept = ("validation_split", "batch_size")
    own = {k: v for k, v in settings.items() if k not in kept}
    return m.fit_stream(items, epochs=3, steps_per_epoch=4, **own)


@pytest.mark.parametrize("how", [in_memory, from_disk, from_a_stream, from_an_iterator])
@every_case
def test_stopped_between_any_two_updates_the_bits_are_the_same(how, case, tmp_path, monkeypatch):
    make, settings = CASES[case]
    settings = {"batch_size": 7, **settings}
    whole = make()
    wanted = learned(how(whole, **settings))
    for n in range(1, 100):
        path, m = tmp_path / f"{n}", make()
        with monkeypatch.context() as patch:
            stop_after_calls(patch, n)
            try:
                how(m, checkpoint=path, **settings)
                break
            except KeyboardInterrupt as error:
                assert "training stopped after" in str(error) and str(path) in str(error)
        np.testing.assert_array_equal(flat(rnn_fast.load(path)), at_the_stop(m, settings, path))
        m = make()
        found = learned(how(m, checkpoint=path, resume=True, **settings))
        np.testing.assert_array_equal(flat(m), flat(whole))
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
    assert n > 9


def at_the_stop(m, settings, path):
    """The parameters of a model that was stopped; early stopping has put back the best."""
    return flat(rnn_fast.load(path)) if "early_stopping" in settings else flat(m)


def test_stopped_twice(tmp_path, monkeypatch):
    make, settings = CASES["adam"]
    whole = make()
    in_memory(whole, **settings)
    path = tmp_path / "c"
    for n in (2, 3, 1, 1, 4):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            stop_after_calls(patch, n)
            in_memory(make(), checkpoint=path, resume=True, **settings)
    m = make()
    in_memory(m, checkpoint=path, resume=True, **settings)
    np.testing.assert_array_equal(flat(m), flat(whole))


def test_stopped_while_it_is_measured(tmp_path, monkeypatch):
    """After the updates of an epoch and before it is written down."""
    make, settings = CASES["adam"]
    whole, m = make(), make()
    wanted = learned(in_memory(whole, **settings))
    measure, calls = Evaluation.measure, iter(range(100))

    def interrupted(*arguments):
        if next(calls) == 1:
            signal.raise_signal(signal.SIGINT)
        return measure(*arguments)

    monkeypatch.setattr(Evaluation, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt, match="after 1 of 3 epochs and 4 batches"):
        in_memory(m, checkpoint=tmp_path / "c", **settings)
    m = make()
    found = learned(in_memory(m, checkpoint=tmp_path / "c", resume=True, **settings))
    np.testing.assert_array_equal(flat(m), flat(whole))
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def batches_of(position):
    return None if position is None else position["result"][SUMS.batches]


def test_by_time_a_checkpoint_comes_within_an_epoch(tmp_path, monkeypatch):
    places = []
    short_pieces(monkeypatch)
    real = checkpoint.Keeper.save

    def save(self, training, arrays):
        places.append((len(training["history"]["loss"]), batches_of(training["position"])))
        real(self, training, arrays)

    monkeypatch.setattr(checkpoint.Keeper, "save", save)
    m = SimpleRNN(2, 5, loss="mse", seed=3)
    every = timedelta(microseconds=1)
    m.fit(X, Y, epochs=2, batch_size=3, checkpoint=tmp_path / "c", checkpoint_every=every)
    assert len(places) > 4 and places[0][0] == 0 and places[0][1] < 10
    assert places[-1] == (2, None)


def test_sigterm_ends_the_process_with_a_checkpoint(tmp_path, monkeypatch):
    make, settings = CASES["adam"]
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch, pytest.raises(rnn_fast.Terminated) as caught:
        stop_after_calls(patch, 5, signal.SIGTERM)
        in_memory(make(), checkpoint=tmp_path / "c", **settings)
    assert caught.value.code == 143 and isinstance(caught.value, SystemExit)
    assert str(caught.value).startswith("training stopped after 1 of 3 epochs and 1 batches")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    whole, m = make(), make()
    in_memory(whole, **settings)
    in_memory(m, checkpoint=tmp_path / "c", resume=True, **settings)
    np.testing.assert_array_equal(flat(m), flat(whole))


# ------------------------------------------------------------------------------- after epochs


@every_case
def test_a_finished_training_is_not_gone_on_with(case, tmp_path):
    make, settings = CASES[case]
    one, two = make(), make()
    h = one.fit(X, Y, epochs=6, checkpoint=tmp_path / "c", **settings)
    again = two.fit(X, Y, epochs=6, checkpoint=tmp_path / "c", resume=True, **settings)
    assert again == h
    np.testing.assert_array_equal(flat(one), flat(two))


def test_more_epochs_go_on(tmp_path):
    make = CASES["plain"][0]
    whole, part = make(), make()
    whole.fit(X, Y, epochs=5)
    part.fit(X, Y, epochs=2, checkpoint=tmp_path / "c")
    more = make()
    assert len(more.fit(X, Y, epochs=5, checkpoint=tmp_path / "c", resume=True)) == 5
    np.testing.assert_array_equal(flat(more), flat(whole))


def test_a_checkpoint_is_a_model(tmp_path):
    m = SimpleRNN(2, 5, loss="mse", seed=3)
    m.fit(X, Y, epochs=3, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(flat(rnn_fast.load(tmp_path / "c")), flat(m))


def test_how_often(tmp_path):
    times = []

    def see(m, history):
        path = tmp_path / "c"
        times.append(checkpoint.epochs(path) if path.exists() else 0)

    m = SimpleRNN(2, 5, loss="mse", seed=3)
    m.fit(X, Y, epochs=8, checkpoint=tmp_path / "c", checkpoint_every=3, callbacks=[see])
    assert times == [0, 0, 0, 3, 3, 3, 6, 6]
    assert checkpoint.epochs(tmp_path / "c") == 8
    assert checkpoint.epochs(checkpoint.previous(tmp_path / "c")) == 6
    assert sorted(os.listdir(tmp_path)) == ["c", "c.previous"]


def test_what_the_killed_have_left_is_removed_and_nothing_else(tmp_path):
    names = [
        ".c.0123456789abcdef",
        ".c.previous.0123456789abcdef",
        ".c.0123",
        ".d.0123456789abcdef",
    ]
    for name in names:
        (tmp_path / name).touch()
    SimpleRNN(2, 5, loss="mse", seed=3).fit(X, Y, epochs=1, checkpoint=tmp_path / "c")
    assert sorted(os.listdir(tmp_path)) == sorted(["c", *names[2:]])


def test_killed_between_its_two_names(tmp_path):
    """The file before the last is then the last, under two names."""
    path = tmp_path / "c"
    SimpleRNN(2, 5, loss="mse", seed=3).fit(X, Y, epochs=1, checkpoint=path)
    os.link(path, checkpoint.previous(path))
    SimpleRNN(2, 5, loss="mse", seed=3).fit(X, Y, epochs=2, checkpoint=path, resume=True)
    assert sorted(os.listdir(tmp_path)) == ["c", "c.previous"]


def test_without_a_file_it_starts(tmp_path):
    one, two = (SimpleRNN(2, 5, loss="mse", seed=3) for _ in range(2))
    one.fit(X, Y, epochs=2)
    two.fit(X, Y, epochs=2, checkpoint=tmp_path / "c", resume=True)
    np.testing.assert_array_equal(flat(one), flat(two))


def test_a_small_full_disk(tmp_path):
    """A checkpoint that does not fit leaves the one before, and says why."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True
    )
    if done.returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        path, make = disk / "c", CASES["plain"][0]
        make().fit(X, Y, epochs=2, checkpoint=path)
        size = path.stat().st_size
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
        (disk / "filler").write_bytes(bytes(free - size // 2))
        m = make()
        with pytest.raises(OSError, match="No space left on device"):
            m.fit(X, Y, epochs=4, checkpoint=path, resume=True)
        assert np.isfinite(flat(m)).all()
        assert sorted(os.listdir(disk)) == ["c", "c.previous", "filler"]
        (disk / "filler").unlink()
        whole, m = make(), make()
        whole.fit(X, Y, epochs=4)
        m.fit(X, Y, epochs=4, checkpoint=path, resume=True)
        np.testing.assert_array_equal(flat(m), flat(whole))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.5}, "settings"),
        ({"optimizer": "adam"}, "settings"),
        ({"batch_size": 3}, "settings"),
        ({"l2": 0.1}, "penalties"),
        ({"validation_split": 0.5}, "validation_split 0.0"),
    ],
)
def test_another_training_is_refused(change, message, tmp_path):
    SimpleRNN(2, 5, loss="mse", seed=3).fit(X, Y, epochs=1, checkpoint=tmp_path / "c")
    m = SimpleRNN(2, 5, loss="mse", seed=3)
    before = flat(m)
    with pytest.raises(ValueError, match=f"^resume: .* is of a training with {message}"):
        m.fit(X, Y, epochs=1, checkpoint=tmp_path / "c", resume=True, **change)
    np.testing.assert_array_equal(flat(m), before)


def test_what_else_is_refused(tmp_path):
    path = tmp_path / "c"
    m = SimpleRNN(2, 5, loss="mse", seed=3)
    with pytest.raises(ValueError, match="^resume=True needs a checkpoint"):
        m.fit(X, Y, resume=True)
    with pytest.raises(ValueError, match="^checkpoint_every must be at least 1"):
        m.fit(X, Y, checkpoint=path, checkpoint_every=0)
    m.fit(X, Y, epochs=1, checkpoint=path)
    for other in (SimpleRNN(2, 4, loss="mse"), SimpleRNN(2, 5, loss="mse", nonlinearity="relu")):
        with pytest.raises(ValueError, match="is of a training with model"):
            other.fit(X, Y, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="is of a training with sequences 30, not 29"):
        m.fit(X[:29], Y[:29], checkpoint=path, resume=True)
    twister = SimpleRNN(2, 5, loss="mse", seed=np.random.Generator(np.random.MT19937(1)))
    with pytest.raises(ValueError, match="random generator is PCG64, the model's is MT19937"):
        twister.fit(X, Y, epochs=2, checkpoint=path, resume=True)
    m.save(path)
    with pytest.raises(ModelFileError, match="^resume: checkpoint .*/c: a model, but not a check"):
        m.fit(X, Y, checkpoint=path, resume=True)


def paths(folder):
    """Paths where no checkpoint can be, and what is said about them."""
    (folder / "folder").mkdir()
    (folder / "file").touch()
    os.mkfifo(folder / "fifo")
    (folder / "taken.previous").mkdir()
    (folder / "other.history.1").write_text("my own")
    return {
        "none/c": (FileNotFoundError, "checkpoint: there is no folder"),
        "file/c": (FileNotFoundError, "checkpoint: there is no folder"),
        "folder": (IsADirectoryError, "Is a directory"),
        "fifo": (OSError, "Not a regular file"),
        "taken": (IsADirectoryError, "Is a directory"),
        "other": (FileExistsError, "in the place of a checkpoint's history"),
        "a\0b": (ValueError, "^checkpoint must be a path without a NUL"),
    }


@pytest.mark.skipif(os.name != "posix", reason="FIFOs")
def test_where_none_can_be_it_is_said_before_any_work(tmp_path):
    m, before = SimpleRNN(2, 5, loss="mse", seed=3), SimpleRNN(2, 5, loss="mse", seed=3)
    called = []
    for name, (error, message) in paths(tmp_path).items():
        with pytest.raises(error, match=message) as caught:
            m.fit(X, Y, checkpoint=tmp_path / name, callbacks=[lambda *_: called.append(1)])
        assert isinstance(caught.value, ValueError) or name in str(caught.value)
    with pytest.raises(TypeError, match="^checkpoint must be a path; got 3$"):
        m.fit(X, Y, checkpoint=3)
    assert called == [] and (tmp_path / "other.history.1").read_text() == "my own"
    np.testing.assert_array_equal(flat(m), flat(before))
    assert m._generator.random() == before._generator.random()


TRAINING = """
import sys
import numpy as np
from rnn_fast import GRU
path, epochs, doomed = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "doomed"
X = np.random.default_rng(0).standard_normal((30, 5, 2))
model = GRU(2, 5, loss="mse", seed=0)

def callback(epoch, *_):
    if doomed and callback.silent:
        callback.silent = print("begun", flush=True)
    if doomed and epoch == epochs - 1:
        sys.stdin.read()  # it never ends by itself

callback.silent = True
model.fit(X, X.sum((1, 2)), epochs=epochs, checkpoint=path, resume=True, optimizer="adam",
          validation_split=0.2, verbose=False, callbacks=[callback])
"""


def killed(tmp_path, epochs, kills):
    """A training that is killed so often has the bits of one that never was."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}

    def command(path, fate):
        return [sys.executable, "-c", TRAINING, path, str(epochs), fate]

    subprocess.run(command(tmp_path / "whole", "whole"), check=True)
    rng = np.random.default_rng()
    for _ in range(kills):
        with subprocess.Popen(command(tmp_path / "c", "doomed"), **pipes) as process:
            assert process.stdout.readline() == b"begun\n"
            time.sleep(0.03 * rng.random())
            process.kill()
        assert process.returncode == -signal.SIGKILL
    subprocess.run(command(tmp_path / "c", "whole"), check=True)
    whole, resumed = (rnn_fast.load(tmp_path / name) for name in ("whole", "c"))
    np.testing.assert_array_equal(flat(resumed), flat(whole))
    assert checkpoint.epochs(tmp_path / "c") == epochs
    assert {name[0] for name in os.listdir(tmp_path)} == {"c", "w"}  # nothing half written


def test_killed_at_random_moments(tmp_path):
    killed(tmp_path, 300, kills=4)


@pytest.mark.sweep
def test_killed_two_hundred_times(tmp_path):
    killed(tmp_path, 10_000, kills=200)
