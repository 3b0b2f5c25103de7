"""Files that are replaced whole or not at all, and opened only if they are regular files."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import stat
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows, which does not let an open file be removed
    fcntl = None  # type: ignore[assignment]

#: neither wait for a FIFO's other end, nor pass the file on to a program, nor change line ends
CAREFUL = sum(getattr(os, flag, 0) for flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"))
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
ATTEMPTS = 5  #: at a file whose scratch file is taken for a dead job's, each in some microseconds


class Files:
    """Calls of the operating system that make, fill and name files: a seam."""

    open = staticmethod(os.open)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    link = staticmethod(os.link)
    replace = staticmethod(os.replace)


FILES = Files()


# ---------------------------------------------------------------------------------------- paths


def target_of(name: str, path: str) -> str:
    """Return the file that `path` leads to through all links, where it can be written.

    Parameters
    ----------
    name : str
        Argument, for messages.
    path : str
        A file, or none yet; also a link to none yet.

    Raises
    ------
    OSError
        There is something else than a regular file, or no folder, or one that is not writable.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    status = status_of(target)
    if status is not None:
        check_regular(path, status.st_mode)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, f"{name}: there is no folder {folder!r}", path)
    if not os.access(folder, os.W_OK | os.X_OK):
        why = f"{name}: its folder is not writable, and a new file takes the place of the old one"
        raise PermissionError(errno.EACCES, why, path)
    return target


def status_of(file: str) -> os.stat_result | None:
    """Return the status of a file, not of what it links to; None if there is none."""
    try:
        return os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_regular(path: str, mode: int) -> None:
    """Raise OSError for a directory, a device, a FIFO, a socket, or a circle of links."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)


def open_regular(path: str, flags: int = os.O_RDONLY, files: Files = FILES) -> int:
    """Open a file, and return its descriptor, if it is a regular file.

    Raises
    ------
    OSError
        It is none, or cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):  # before `open`, which a device may notice
        check_regular(path, os.stat(path).st_mode)
    handle = files.open(path, flags | CAREFUL, 0o666)
    try:
        check_regular(path, os.fstat(handle).st_mode)
    except BaseException:
        os.close(handle)
        raise
    return handle


# -------------------------------------------------------------------------------------- writing


def replace(path: str, data: bytes, keep: str | None = None, files: Files = FILES) -> None:
    """Write a file, whole or not at all.

    The new file has the owner, the mode and the extended attributes of the old one, as far as the
    system lets this process pass them on.

    Parameters
    ----------
    path : str
        Replaced if it exists; the links that lead to it stay.
    data : bytes
        Content.
    keep : str, optional
        New name of the file that is replaced.

    Raises
    ------
    OSError
        The file cannot be written; the old one is then untouched.  The error names `path`.
    """
    target = target_of("path", path)
    if keep is not None:
        target_of("path", keep)
    with naming(path):
        for left in reversed(range(ATTEMPTS)):
            try:
                return _replace(target, data, keep, files)
            except FileNotFoundError:  # another job has cleared the scratch file away
                if not left or not os.path.isdir(os.path.dirname(target)):
                    raise


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Let an OSError of the block name a path that the user knows, and no scratch file."""
    try:
        yield
    except OSError as error:
        error.filename = path
        del error.filename2
        raise


def _replace(target: str, data: bytes, keep: str | None, files: Files) -> None:
    old = target if os.path.lexists(target) else None
    scratch = _filled(target, data, old, files)
    try:
        if keep is not None and old is not None:
            _name_again(target, keep, files)
        files.replace(scratch, target)
    except BaseException:
        _remove(scratch)
        raise
    sync_folder(target, files)


def _filled(target: str, data: bytes, like: str | None, files: Files) -> str:
    """Write a new file beside `target`, and return its name; see `make_like`."""
    scratch = _scratch(target)
    mode = 0o666 if like is None else 0o600  # until the mode of the old file is passed on
    handle = files.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY | CAREFUL, mode)
    try:
        try:
            lock(handle)
            write_all(handle, data, files)
            if like is not None:
                make_like(handle, like)
            files.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        _remove(scratch)
        raise
    return scratch


def _name_again(file: str, name: str, files: Files) -> None:
    """Give a file a second name, in place of another file of that name, in one step."""
    scratch = _scratch(name)
    try:
        try:
            files.link(file, scratch)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            with open(open_regular(file), "rb") as old:
                scratch = _filled(name, old.read(), file, files)
        files.replace(scratch, name)
    finally:  # `replace` leaves the scratch name where both names are of the same file already
        _remove(scratch)


def write_all(handle: int, data: bytes, files: Files) -> None:
    """Write all of `data`; the system may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[files.write(handle, rest) :]


def make_like(handle: int, file: str) -> None:
    """Give an open file the owner, the mode and the extended attributes of `file`.

    A group that cannot be passed on loses its rights.
    """
    status = os.stat(file)
    mode = stat.S_IMODE(status.st_mode)
    if hasattr(os, "fchown"):
        mine = os.fstat(handle)
        if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
            try:
                os.fchown(handle, status.st_uid, status.st_gid)
            except OSError:
                try:
                    os.fchown(handle, -1, status.st_gid)
                except OSError:
                    mode &= ~(stat.S_IRWXG | stat.S_ISUID | stat.S_ISGID)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(file):
                with contextlib.suppress(OSError):
                    os.setxattr(handle, name, os.getxattr(file, name))
    if hasattr(os, "fchmod"):
        os.fchmod(handle, mode)


def sync_folder(file: str, files: Files) -> None:
    """Write the names in the folder of a file to disk, where the system can open a folder."""
    with contextlib.suppress(OSError):
        handle = files.open(os.path.dirname(file), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0), 0)
        try:
            files.fsync(handle)
        finally:
            os.close(handle)


# ---------------------------------------------------------------------------- scratch and locks


def _scratch(target: str) -> str:
    """Return an unused name beside `target`."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.{os.urandom(8).hex()}")


def _remove(file: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(file)


def clear(target: str) -> None:
    """Remove the scratch files that killed jobs have left of a file; living jobs have them locked.

    A job whose scratch file has no content yet, so no lock, writes it again.
    """
    folder, name = os.path.split(target)
    for file in glob.iglob(os.path.join(glob.escape(folder), f".{glob.escape(name)}.*")):
        if re.fullmatch("[0-9a-f]{16}", file.rpartition(".")[2]):
            with contextlib.suppress(OSError):
                handle = open_regular(file, os.O_RDWR | NO_LINK)
                try:
                    is_dead = lock(handle)
                finally:
                    os.close(handle)
                if is_dead:
                    os.unlink(file)


def lock(handle: int) -> bool:
    """Lock an open file, and return True; False if another job has it locked.

    The lock ends with the descriptor, so with the process at the latest.  True also where the
    system or the file system has no locks.
    """
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True
