"""Files are replaced whole, keep their owner's choices, and are never anything but files."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import threading
import time

import pytest
from common import run_python
from failing import CALLS, ERRORS, Failing

from rnn_fast import GRU, LSTM, SimpleRNN, load
from rnn_fast.saving import files, model_file

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX modes, links and FIFOs")
OLD, NEW = SimpleRNN(1, 2, seed=0), GRU(2, 3, seed=1)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def is_model(path, model):
    return repr(load(path)) == repr(model)


# --------------------------------------------------------------------------- what is kept


@posix
@pytest.mark.parametrize("bits", [0o600, 0o640, 0o444, 0o666, 0o777])
def test_the_mode_is_kept(bits, tmp_path):
    path = tmp_path / "f"
    OLD.save(path)
    path.chmod(bits)
    NEW.save(path)
    assert mode(path) == bits and is_model(path, NEW)


@posix
def test_a_new_file_has_the_mode_of_any_new_file(tmp_path):
    OLD.save(tmp_path / "f")
    (tmp_path / "plain").touch()
    assert mode(tmp_path / "f") == mode(tmp_path / "plain")


@posix
def test_nobody_reads_a_private_file_while_it_is_written(tmp_path):
    path, seen = tmp_path / "f", []

    class Watching(files.Files):
        @staticmethod
        def write(handle, data):
            seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
            return os.write(handle, data)

    OLD.save(path)
    path.chmod(0o600)
    model_file.write(path, NEW.description(), NEW.parameters, system=Watching())
    assert seen == [0o600]


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may")
def test_the_owner_is_kept(tmp_path):
    path = tmp_path / "f"
    OLD.save(path)
    os.chown(path, 1234, 5678)
    NEW.save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 5678)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes")
def test_extended_attributes_are_kept(tmp_path):
    path = tmp_path / "f"
    OLD.save(path)
    try:
        os.setxattr(path, "user.comment", b"mine")
    except OSError:
        pytest.skip("no extended attributes in this file system")
    NEW.save(path)
    assert os.getxattr(path, "user.comment") == b"mine"


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_links_stay(exists, tmp_path):
    (tmp_path / "there").mkdir()
    target, link, twice = tmp_path / "there" / "f", tmp_path / "link", tmp_path / "twice"
    link.symlink_to("there/f")
    twice.symlink_to("link")
    if exists:
        OLD.save(target)
    NEW.save(twice)
    assert twice.is_symlink() and link.is_symlink() and not target.is_symlink()
    assert is_model(target, NEW) and os.listdir(target.parent) == ["f"]


def test_short_writes(tmp_path):
    class Short(files.Files):
        @staticmethod
        def write(handle, data):
            return os.write(handle, data[:100])

    model_file.write(tmp_path / "f", NEW.description(), NEW.parameters, system=Short())
    assert is_model(tmp_path / "f", NEW)


# ------------------------------------------------------------------ what is no regular file


def things(folder):
    """Paths of what is no regular file."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "circle").symlink_to("circle")
    (folder / "to_fifo").symlink_to("fifo")
    return [*(str(path) for path in folder.iterdir()), "/dev/null", "/dev/zero", "/dev/full"]


@posix
def test_only_regular_files_are_replaced(tmp_path):
    for path in things(tmp_path):
        before = os.lstat(path)
        with pytest.raises(OSError) as caught:
            NEW.save(path)
        assert caught.value.filename == path
        after = os.lstat(path)
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


@posix
def test_only_regular_files_are_read(tmp_path):
    for path in things(tmp_path):
        began = time.perf_counter()
        with pytest.raises(OSError) as caught:
            load(path)
        assert caught.value.filename == path and time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (None, TypeError, "^path must be a path; got None$"),
        (3, TypeError, "^path must be a path; got 3$"),
        ("a\0b", ValueError, "^path must be a path without a NUL character; got 'a"),
        (b"a\0b", ValueError, "^path must be a path without a NUL"),
        ("\ud800", ValueError, "^path must be a path that can be encoded"),
    ],
)
@pytest.mark.parametrize("do", [load, OLD.save], ids=["load", "save"])
def test_no_path(do, path, error, message):
    with pytest.raises(error, match=message):
        do(path)


def test_paths_of_bytes(tmp_path):
    OLD.save(os.fsencode(tmp_path / "f"))
    assert is_model(os.fsencode(tmp_path / "f"), OLD)


@posix
def test_a_folder_that_is_not_writable():
    """Root writes anywhere, so an unprivileged process tries."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f")
        OLD.save(path)
        os.chmod(folder, 0o555)
        code = f"""
import os
from rnn_fast.saving import files
if os.geteuid() == 0:
    os.setuid(65534)
try:
    files.replace({path!r}, b"")
except PermissionError as error:
    print(error)
"""
        said = run_python(code)
        os.chmod(folder, 0o755)
        assert "path: its folder is not writable" in said and path in said
        assert is_model(path, OLD) and os.listdir(folder) == ["f"]


# --------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", CALLS)
def test_whatever_fails_the_old_or_the_new_file_is_there(call, error, tmp_path):
    path, kept = tmp_path / "f", tmp_path / "kept"
    for n in range(1, 20):
        OLD.save(path)
        OLD.save(kept)
        failing = Failing(call, n, ERRORS[error])
        try:
            model_file.write(
                path, NEW.description(), NEW.parameters, keep=str(kept), system=failing
            )
        except (OSError, MemoryError, KeyboardInterrupt) as raised:
            if isinstance(raised, OSError):
                assert raised.filename == str(path) and "No space" in str(raised)
            assert is_model(path, OLD) or is_model(path, NEW)
        else:
            assert is_model(path, NEW)
        assert is_model(kept, OLD)
        assert sorted(os.listdir(tmp_path)) == ["f", "kept"]
        if failing.calls < n:
            break
    else:
        pytest.fail("not all calls were made to fail")
    assert n > 1


def test_without_links_a_copy_is_kept(tmp_path):
    path, kept = tmp_path / "f", tmp_path / "kept"
    failing = Failing("link", 1, lambda: OSError(errno.EPERM, "no links here"))
    OLD.save(path)
    path.chmod(0o640)
    model_file.write(path, NEW.description(), NEW.parameters, keep=str(kept), system=failing)
    assert is_model(path, NEW) and is_model(kept, OLD) and mode(kept) == mode(path) == 0o640
    assert not os.path.samefile(path, kept)


# ------------------------------------------------------------------------ several processes


@posix
def test_only_scratch_files_of_the_dead_are_cleared(tmp_path):
    """A scratch file in use is locked; one that is open no more is of a killed job."""
    target, during = str(tmp_path / "f"), []

    class Clearing(files.Files):
        @staticmethod
        def fsync(handle):
            during.append(os.listdir(tmp_path))
            files.clear(target)
            during.append(os.listdir(tmp_path))

    (tmp_path / ".f.0123456789abcdef").touch()
    (tmp_path / ".f.0123").touch()
    files.replace(target, b"content", files=Clearing())
    before, after = during[:2]
    assert set(before) - set(after) == {".f.0123456789abcdef"} and len(after) == 2
    assert sorted(os.listdir(tmp_path)) == [".f.0123", "f"]


def test_a_scratch_file_that_is_taken_away_is_written_again(tmp_path):
    """So it is where files cannot be locked."""
    path, taken = tmp_path / "f", []

    class Thief(files.Files):
        @staticmethod
        def replace(scratch, target):
            if len(taken) < 3:
                os.unlink(scratch)
                taken.append(scratch)
            os.replace(scratch, target)

    OLD.save(path)
    keep = str(tmp_path / "kept")
    model_file.write(path, NEW.description(), NEW.parameters, keep=keep, system=Thief())
    assert is_model(path, NEW) and is_model(keep, OLD) and len(taken) == 3
    assert sorted(os.listdir(tmp_path)) == ["f", "kept"]


def test_many_at_once(tmp_path):
    """Threads that replace one file never raise, and what is there is always whole."""
    path, models, errors = tmp_path / "f", [OLD, NEW, LSTM(1, 1, seed=0)], []
    OLD.save(path)

    def work(model):
        try:
            for _ in range(20):
                model_file.write(
                    path, model.description(), model.parameters, keep=str(tmp_path / "kept")
                )
                load(path)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[model]) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and sorted(os.listdir(tmp_path)) == ["f", "kept"]
