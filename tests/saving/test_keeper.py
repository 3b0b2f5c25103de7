"""Checkpoints outlive failures, damage, other jobs and long histories."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from common import flat, without_times
from failing import CALLS, ERRORS, Failing, alter, content

import rnn_fast
from rnn_fast import EarlyStopping, ModelFileError, SimpleRNN
from rnn_fast.saving import checkpoint
from rnn_fast.saving.checkpoint import Keeper
from rnn_fast.saving.files import Files
from rnn_fast.saving.journal import locked, slots
from rnn_fast.tuning import tuned

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 5, 2))
Y = X.sum((1, 2))


def make():
    return SimpleRNN(2, 5, loss="mse", seed=3)


def trained(epochs, **settings):
    """A model after some epochs, and its history."""
    model = make()
    return model, model.fit(X, Y, epochs=epochs, verbose=False, **settings)


def assert_goes_on(path, epochs=9, **settings):
    """Check that a training from the checkpoint at `path` has the bits of an unbroken one."""
    (one, wanted), (two, found) = (
        trained(epochs, **settings),
        trained(epochs, checkpoint=path, resume=True, **settings),
    )
    np.testing.assert_array_equal(flat(one), flat(two))
    wanted, found = without_times(wanted.arrays()), without_times(found.arrays())
    assert wanted.keys() == found.keys()
    for name in wanted:
        np.testing.assert_array_equal(wanted[name], found[name])


@pytest.fixture(params=[256, 2], ids=["inside", "filed"])
def path(request, tmp_path):
    """A path of checkpoints whose history is in them, or filed beside them."""
    with tuned(history_rows=request.param):
        yield tmp_path / "c"


# --------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "for_good"])
@pytest.mark.parametrize("error", ["full", "memory"])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_fails_the_training_goes_on_later(call, error, lasts, path, monkeypatch):
    for n in range(1, 60):
        for file in path.parent.iterdir():
            file.unlink()
        trained(3, checkpoint=path)
        failing = Failing(call, n, ERRORS[error], lasts)
        with monkeypatch.context() as patch:
            patch.setattr(Keeper, "system", failing)
            try:
                trained(6, checkpoint=path, resume=True)
            except OSError as raised:
                assert "No space left" in str(raised) and str(path) in str(raised)
            except MemoryError:
                pass
        assert not [name for name in os.listdir(path.parent) if name.startswith(".")]
        rnn_fast.load(path)
        assert_goes_on(path)
        if failing.calls < n:
            break
    else:
        pytest.fail("not all calls were made to fail")
    assert n > 1


def test_a_save_that_failed_can_be_tried_again(path, monkeypatch):
    """After every kind of failure the same keeper writes a whole checkpoint."""
    for call in CALLS:
        for n in (1, 2, 3, 4):
            failing = Failing(call, n, ERRORS["full"])
            real, failed = Keeper.save, []

            def save(self, training, arrays, real=real, failed=failed):
                try:
                    real(self, training, arrays)
                except OSError as error:
                    failed.append(error)
                    real(self, training, arrays)

            with monkeypatch.context() as patch:
                patch.setattr(Keeper, "system", failing)
                patch.setattr(Keeper, "save", save)
                trained(5, checkpoint=path)
            assert_goes_on(path)


# ----------------------------------------------------------------------------------- damage


def test_a_damaged_file_gives_way_to_the_one_before(path):
    trained(6, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-1])
    assert checkpoint.epochs(checkpoint.previous(path)) == 5
    assert_goes_on(path)


def test_the_good_file_is_kept_until_there_is_a_better_one(path, monkeypatch):
    """A damaged file does not take the place of the one before it."""
    trained(6, checkpoint=path)
    path.write_bytes(b"damaged")

    class Half(Files):
        """The file before the last has its name; then the disk is full."""

        @staticmethod
        def replace(scratch, target):
            if target == str(path):
                raise ERRORS["full"]()
            os.replace(scratch, target)

    monkeypatch.setattr(Keeper, "system", Half())
    with pytest.raises(OSError, match="No space left"):
        trained(9, checkpoint=path, resume=True)
    monkeypatch.undo()
    assert checkpoint.epochs(checkpoint.previous(path)) == 5
    assert_goes_on(path)


def test_two_damaged_files(path):
    trained(6, checkpoint=path)
    for place in (path, checkpoint.previous(path)):
        with open(place, "r+b") as file:
            file.truncate(50)
    model, other = make(), make()
    with pytest.raises(ModelFileError, match="^resume: checkpoint .*/c: .*damaged"):
        model.fit(X, Y, epochs=9, checkpoint=path, resume=True)
    np.testing.assert_array_equal(flat(model), flat(other))


def filed(path):
    """The file that has rows of the checkpoint at `path`."""
    run = content(path)[2]["history"]["run"].encode()
    places = [Path(slot) for slot in slots(str(path)) if os.path.exists(slot)]
    return next(place for place in places if run in place.read_bytes())


@pytest.mark.parametrize("damage", ["cut", "flip", "head", "empty", "missing"])
def test_a_damaged_history_is_seen(damage, tmp_path):
    path = tmp_path / "c"
    with tuned(history_rows=2):
        trained(6, checkpoint=path)
    place = filed(path)
    data = bytearray(place.read_bytes())
    changed = {"cut": data[:-200], "empty": b"", "flip": data, "head": b"x" + data[1:]}
    if damage == "flip":
        data[40] ^= 1
    if damage == "missing":
        place.unlink()
    else:
        place.write_bytes(changed[damage])
    kind, message = ModelFileError, "^resume: checkpoint .*/c: its history is missing or damaged"
    if damage == "head":
        kind, message = FileExistsError, "in the place of a checkpoint's history: .*c.history"
    model, other = make(), make()
    with pytest.raises(kind, match=message):
        model.fit(X, Y, epochs=9, checkpoint=path, resume=True)
    np.testing.assert_array_equal(flat(model), flat(other))
    assert rnn_fast.load(path).hidden_size == 5


def test_another_architecture_of_the_same_shapes(path):
    trained(3, checkpoint=path)
    alter(path, lambda training, arrays: None)
    assert_goes_on(path)
    relu = SimpleRNN(2, 5, loss="mse", nonlinearity="relu", seed=3)
    with pytest.raises(ValueError, match="^resume: .*is of a training with model .*'tanh'.* not "):
        relu.fit(X, Y, checkpoint=path, resume=True)


def test_a_stream_that_ends_too_soon_changes_nothing(tmp_path):
    items = [(X, Y)] * 3
    settings = {"epochs": 3, "steps_per_epoch": 1, "checkpoint": tmp_path / "c", "verbose": False}
    model, other = make(), make()
    make().fit_stream(iter(items), **settings)
    with pytest.raises(ValueError, match="batches ended before item"):
        model.fit_stream(iter(items[:1]), resume=True, **settings)
    np.testing.assert_array_equal(flat(model), flat(other))
    assert model._generator.random() == other._generator.random()


# ---------------------------------------------------------------------------------- history


def sizes(path):
    return [os.path.getsize(slot) if os.path.exists(slot) else 0 for slot in slots(str(path))]


def test_rows_are_only_added(tmp_path):
    """A row of six measures is written once, 48 bytes, and a checkpoint stays as it is."""
    path, seen = tmp_path / "c", []

    def look(model, history):
        seen.append((sizes(path), path.stat().st_size if path.exists() else 0))

    with tuned(history_rows=4):
        history = trained(40, checkpoint=path, callbacks=[look])[1]
    k = len(history.arrays())
    assert [max(size) for size, _ in seen[4:]] == [32 + 8 * k * (n // 4 * 4) for n in range(4, 40)]
    assert max(size for _, size in seen) - min(size for _, size in seen[4:]) < 8 * k * 4 + 200
    assert sizes(path)[1] == 0


def test_files_do_not_grow_from_run_to_run(tmp_path):
    path = tmp_path / "c"
    with tuned(history_rows=2):
        for epochs in (10, 6, 4, 8, 3):
            trained(epochs, checkpoint=path)
        for epochs in range(4, 12):
            trained(epochs, checkpoint=path, resume=True)
        assert_goes_on(path, 14)
    assert max(sizes(path)) < 32 + 8 * 7 * 14 + 1
    assert len(os.listdir(tmp_path)) == 4


def test_a_run_that_starts_afresh_leaves_the_old_one_until_it_has_written(path, monkeypatch):
    """Its first checkpoint fails; the one of the old run is whole, with its history."""
    for call in CALLS:
        trained(5, checkpoint=path)
        with monkeypatch.context() as patch:
            patch.setattr(Keeper, "system", Failing(call, 1, ERRORS["full"], lasts=True))
            if call == "link":  # a copy is kept then
                trained(5, checkpoint=path, checkpoint_every=5)
            else:
                with pytest.raises(OSError, match="No space left"):
                    trained(3, checkpoint=path, checkpoint_every=3)
        assert checkpoint.epochs(path) == 5
        assert_goes_on(path)


def test_a_history_file_that_was_removed_is_written_again(tmp_path):
    path = tmp_path / "c"

    def remove(model, history):
        if len(history) == 5:
            for slot in slots(str(path)):
                if os.path.exists(slot):
                    os.unlink(slot)

    with tuned(history_rows=2):
        trained(8, checkpoint=path, callbacks=[remove])
        assert_goes_on(path)


def test_through_a_link(tmp_path):
    """Everything is beside the file that the link leads to."""
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there/c")
    with tuned(history_rows=2):
        trained(4, checkpoint=link)
        assert link.is_symlink() and os.listdir(tmp_path / "there") != []
        assert sorted(os.listdir(tmp_path)) == ["link", "there"]
        assert_goes_on(tmp_path / "there" / "c", 6)
        assert_goes_on(link)


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_a_private_checkpoint_has_a_private_history(tmp_path):
    path = tmp_path / "c"
    with tuned(history_rows=3):
        trained(2, checkpoint=path)
        path.chmod(0o600)
        trained(8, checkpoint=path, resume=True)
    modes = {os.stat(file).st_mode & 0o777 for file in (path, filed(path), f"{path}.previous")}
    assert modes == {0o600}


def test_a_link_in_the_place_of_the_history_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (tmp_path / "c.history.0").symlink_to(victim)
    with tuned(history_rows=2), pytest.raises(OSError):
        trained(4, checkpoint=tmp_path / "c")
    assert victim.read_bytes() == b""


# ------------------------------------------------------------------------------- other jobs


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_a_lock_keeps_others_out(tmp_path):
    path, order = str(tmp_path / "c"), []

    def second():
        with locked(path, create=False):
            order.append("second")

    with locked(path, create=True):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_no_lock_is_made_to_read(tmp_path):
    with locked(str(tmp_path / "c"), create=False):
        assert os.listdir(tmp_path) == []


def test_two_keepers_take_turns(tmp_path):
    """The checkpoint of whoever wrote last is whole, whatever the other has filed."""
    path, other = tmp_path / "c", make()
    rounds = []

    def disturb(model, history):
        other_history = other.fit(
            X, Y, epochs=1 + len(history), checkpoint=path, resume=True, verbose=False
        )
        rounds.append(len(other_history))

    with tuned(history_rows=2):
        trained(7, checkpoint=path, callbacks=[disturb])
        assert checkpoint.epochs(path) == 7 and len(rounds) == 7
        assert_goes_on(path)


JOB = """
import numpy as np, rnn_fast, sys
from rnn_fast.tuning import TUNING
TUNING.history_rows = int(sys.argv[2])
X = np.random.default_rng(0).standard_normal((40, 6, 2))
y = (X.sum((1, 2)) > 0) * 1
rnn_fast.SimpleRNN(2, 4, seed=0).fit(X, y, epochs=60, verbose=0, checkpoint=sys.argv[1])
"""


@pytest.mark.all_tiles  # as the jobs have
@pytest.mark.parametrize("rows", [256, 3])
def test_jobs_at_once(rows, tmp_path):
    command = [sys.executable, "-c", JOB, str(tmp_path / "c"), str(rows)]
    jobs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [job.communicate()[1] for job in jobs] == ["", "", ""]
    X = np.random.default_rng(0).standard_normal((40, 6, 2))
    y = (X.sum((1, 2)) > 0) * 1
    one, two = SimpleRNN(2, 4, seed=0), SimpleRNN(2, 4, seed=0)
    one.fit(X, y, epochs=62, verbose=0)
    history = two.fit(X, y, epochs=62, verbose=0, checkpoint=tmp_path / "c", resume=True)
    np.testing.assert_array_equal(flat(one), flat(two))
    assert len(history) == 62
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_early_stopping_is_kept(path):
    rule = EarlyStopping(2, min_delta=0.05)
    trained(5, checkpoint=path, early_stopping=rule)
    assert_goes_on(path, 40, early_stopping=rule)
