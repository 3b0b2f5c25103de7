"""Paths that nobody except this user and root can change.

Files of such folders are run as machine code.  A check of a name and a later use of the name can
be about two folders, if another user flips a link in between.  So a path is walked by descriptors:
each folder is opened relative to the one above without following links, and then checked.  Links
are read one by one, and count if this user or root made them: a home folder may be one.

Modes tell of access lists too on Linux, where the group's bits are an upper bound of them.  Windows
has neither descriptors of folders nor these modes; the default folders are private there.
"""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from pathlib import Path

HAS_DESCRIPTORS = os.open in os.supports_dir_fd and hasattr(os, "geteuid")
MAX_LINKS = 40  #: on one path, as in Linux
#: the number under which Linux shows all users that a namespace has no number for
OVERFLOW = 65534
#: with O_PATH, folders open that may be passed but not listed, as /home may be on a shared machine
_FOLDER = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


def trusted_users() -> set[int]:
    """Return the users whose code this process runs: root and its own.

    Raises
    ------
    PermissionError
        The user has no number in this namespace, and so shares one with strangers.
    """
    user = os.geteuid()
    if user == OVERFLOW and not _is_mapped(user):
        raise PermissionError(f"this process runs as user {user}, which may be several users")
    return {0, user}


def _is_mapped(user: int) -> bool:
    """Return whether a number stands for one user in this namespace."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return True
    ranges = [tuple(map(int, line.split())) for line in lines]
    return any(first <= user < first + count for first, _, count in ranges)


@functools.cache
def _is_own_group(group: int, user: int) -> bool:
    """Return whether `group` is the one that Linux makes for `user` alone.

    Systems with such groups let them write to all new folders (umask 002).
    """
    import grp
    import pwd

    try:
        entry, account = grp.getgrgid(group), pwd.getpwuid(user)
    except KeyError:
        return False
    named_alike = entry.gr_name == account.pw_name and account.pw_gid == group
    return named_alike and group not in (0, OVERFLOW) and set(entry.gr_mem) <= {account.pw_name}


def _has_access_list(folder: int) -> bool:
    """Return whether an open folder has an access list, which may let others write."""
    if not hasattr(os, "listxattr"):
        return True
    listed = os.open(".", os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return "system.posix_acl_access" in os.listxattr(listed)
    finally:
        os.close(listed)


def _others_write(folder: int, info: os.stat_result) -> bool:
    """Return whether other users may make, rename or delete files of an open folder."""
    if not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return False
    is_private = not info.st_mode & stat.S_IWOTH and _is_own_group(info.st_gid, os.geteuid())
    return not is_private or _has_access_list(folder)


def _refused(path: str, info: os.stat_result) -> PermissionError:
    """Return the error for a file or folder of the wrong owner or mode."""
    mode = stat.S_IMODE(info.st_mode)
    return PermissionError(
        f"users other than {os.geteuid()} can change {path} (owner {info.st_uid}, mode {mode:04o})"
    )


class _Walk:
    """A walk down a path: the open folder, and what is still to come.

    The owner of ``/`` counts as root: in a namespace that has no number for root, ``/`` is the
    overflow user's.  In a folder that all may write to, such as /tmp, that user may be anyone.
    """

    def __init__(self, path: str, create: bool) -> None:
        self.create = create
        self.users = trusted_users()
        self.todo = path.split("/")[::-1]
        self.n_links = 0
        self.folder = os.open("/", _FOLDER)
        self.info = os.fstat(self.folder)
        self.users_above = self.users | {self.info.st_uid}
        self.path = "/"

    def _check(self, may_be_shared: bool) -> bool:
        """Check the open folder; return whether others can write to it.

        Others cannot touch this user's files of a folder with the sticky bit.
        """
        shared = _others_write(self.folder, self.info)
        sticky = may_be_shared and self.info.st_mode & stat.S_ISVTX
        if self.info.st_uid not in self.users_above or (shared and not sticky):
            raise _refused(self.path, self.info)
        return shared

    def step(self) -> None:
        """Go on to the next folder or through the next link."""
        part = self.todo.pop()
        if part in ("", "."):
            return
        shared = self._check(may_be_shared=True)
        users = self.users if shared else self.users_above
        name = os.path.join(self.path, part)
        try:
            below = self._open(part)
        except OSError:
            info = os.stat(part, dir_fd=self.folder, follow_symlinks=False)
            if not stat.S_ISLNK(info.st_mode):
                raise
            if info.st_uid not in users:
                raise _refused(name, info) from None
            return self._follow(os.readlink(part, dir_fd=self.folder))
        self._enter(below, name)
        if self.info.st_uid not in users:
            raise _refused(name, self.info)

    def _open(self, part: str) -> int:
        try:
            return os.open(part, _FOLDER, dir_fd=self.folder)
        except FileNotFoundError:
            if not self.create:
                raise
        with contextlib.suppress(FileExistsError):  # another process of this user was quicker
            os.mkdir(part, 0o700, dir_fd=self.folder)
        return os.open(part, _FOLDER, dir_fd=self.folder)

    def _follow(self, target: str) -> None:
        self.n_links += 1
        if self.n_links > MAX_LINKS:
            raise OSError(f"too many links at {self.path}")
        self.todo += target.split("/")[::-1]
        if target.startswith("/"):
            self._enter(os.open("/", _FOLDER), "/")

    def _enter(self, folder: int, path: str) -> None:
        os.close(self.folder)
        self.folder, self.path, self.info = folder, path, os.fstat(folder)

    def finish(self) -> int:
        """Walk to the end and return the last folder's descriptor."""
        try:
            while self.todo:
                self.step()
            self._check(may_be_shared=False)
            if self.info.st_uid not in self.users:
                raise _refused(self.path, self.info)
        except BaseException:
            os.close(self.folder)
            raise
        return self.folder


def open_trusted(path: str, create: bool = False) -> int:
    """Return a descriptor of a folder that only this user and root can change.

    Parameters
    ----------
    path : str
        The folder, absolute.
    create : bool
        Make the folder, and those above it, if need be.

    Raises
    ------
    OSError
        There is no such folder, or other users could change it or a folder above it.
    """
    return _Walk(path, create).finish()


def check_file(path: str, info: os.stat_result) -> None:
    """Check that an open file is regular and written by nobody except this user and root.

    Raises
    ------
    PermissionError
    """
    if not stat.S_ISREG(info.st_mode):
        raise PermissionError(f"{path} is not a regular file")
    if info.st_uid not in trusted_users() or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _refused(path, info)
