"""Folders and files that other users could have changed are refused."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import rnn_fast
from rnn_fast.jit.folders import MAX_BYTES, Folder
from rnn_fast.jit.trust import HAS_DESCRIPTORS

pytestmark = pytest.mark.skipif(not HAS_DESCRIPTORS, reason="POSIX permissions")
as_root = pytest.mark.skipif(
    not HAS_DESCRIPTORS or os.geteuid() != 0, reason="gives files to another user"
)
STRANGER = 12345


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "above" / "programs"
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"code")
    (path / "file").chmod(0o600)
    return path


def read(path, name="file"):
    with Folder(str(path)) as folder:
        return folder.read(name)


def refused(path, name="file"):
    """Return why a file is not read."""
    with pytest.raises(PermissionError) as caught:
        read(path, name)
    return str(caught.value)


def test_a_folder_is_made_for_its_user_alone(tmp_path):
    before = os.umask(0)
    try:
        with Folder(str(tmp_path / "new" / "folders"), create=True) as folder:
            folder.write("file", b"code")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "folders").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "folders" / "file").stat().st_mode & 0o777 == 0o600
    assert read(tmp_path / "new" / "folders") == b"code"


def test_what_is_no_folder_raises(folder):
    with pytest.raises(FileNotFoundError):
        Folder(str(folder / "missing"))
    for path in (folder / "file", folder / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            Folder(str(path), create=True)


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777])
def test_a_folder_that_others_can_write_to(folder, mode):
    folder.chmod(mode)
    message = refused(folder)
    assert str(folder) in message and f"mode {mode:04o}" in message


@as_root  # whose group others may have
def test_a_folder_that_a_group_can_write_to(folder):
    folder.chmod(0o775)
    assert "mode 0775" in refused(folder)


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o2755])
def test_a_folder_that_others_can_only_read(folder, mode):
    folder.chmod(mode)
    assert read(folder) == b"code"


def test_a_parent_that_others_can_write_to(folder):
    folder.parent.chmod(0o777)
    assert f"can change {folder.parent} " in refused(folder)
    folder.parent.chmod(0o1777)  # as /tmp: they cannot rename the folder
    assert read(folder) == b"code"


def test_links_of_this_user(folder, tmp_path):
    """Home folders and caches may be links."""
    (tmp_path / "absolute").symlink_to(folder)
    (tmp_path / "relative").symlink_to("above")
    (tmp_path / "up").symlink_to("above/programs/../programs/.")
    (tmp_path / "twice").symlink_to("up")
    for path in ("absolute", "relative/programs", "up", "twice"):
        assert read(tmp_path / path) == b"code"


def test_links_that_end_nowhere(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "loose").symlink_to("missing")
    with pytest.raises(OSError, match="too many links"):
        Folder(str(tmp_path / "circle"))
    with pytest.raises(FileNotFoundError):
        Folder(str(tmp_path / "loose"))


def test_a_link_to_a_folder_that_others_can_write_to(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    folder.parent.chmod(0o777)
    assert f"can change {folder.parent} " in refused(tmp_path / "link")


def test_a_link_in_a_folder_that_others_can_write_to(folder, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "link").symlink_to(folder)
    (tmp_path / "shared").chmod(0o777)
    assert "shared (" in refused(tmp_path / "shared" / "link")
    (tmp_path / "shared").chmod(0o1777)
    assert read(tmp_path / "shared" / "link") == b"code"


def test_files_that_are_not_read(folder):
    (folder / "link").symlink_to("file")
    (folder / "below").mkdir()
    os.mkfifo(folder / "pipe")
    with open(folder / "large", "wb") as file:
        os.truncate(file.fileno(), MAX_BYTES + 1)
    for name in ("link", "below", "pipe", "large", "missing"):
        with pytest.raises(OSError):
            read(folder, name)
    for mode in (0o620, 0o602):
        (folder / "file").chmod(mode)
        assert "file (" in refused(folder)


@as_root
def test_a_stranger_owns_it(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    for path in (folder, folder / "file", folder.parent, link):
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        assert f"{path.name} (owner {STRANGER}" in refused(link)
        os.chown(path, 0, 0, follow_symlinks=False)
    assert read(link) == b"code"


def in_a_child(user, group, code):
    """Run code as another user; its exit code says whether it ran."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            code()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def reads(path):
    def code():
        assert read(path) == b"code"

    return code


def lone_user():
    """Return a user whose group has the same name and no other member."""
    import grp
    import pwd

    for account in pwd.getpwall():
        entry = grp.getgrgid(account.pw_gid)
        alone = entry.gr_name == account.pw_name and not entry.gr_mem
        if account.pw_uid not in (0, 65534) and account.pw_gid and alone:
            return account
    pytest.skip("no user has a group alone")


@pytest.fixture
def open_tmp():
    """A folder below one that all may enter: pytest's own are closed."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@as_root
def test_roots_programs_serve_all(open_tmp):
    (open_tmp / "file").write_bytes(b"code")
    assert in_a_child(STRANGER, STRANGER, reads(open_tmp)) == 0


@as_root
def test_a_group_of_its_user_alone_may_write(open_tmp):
    """Many systems have such groups, and umask 002."""
    account = lone_user()
    folder = open_tmp / "programs"
    folder.mkdir()
    (folder / "file").write_bytes(b"code")
    for path in (open_tmp, folder, folder / "file"):
        os.chown(path, account.pw_uid, account.pw_gid)
    open_tmp.chmod(0o775)
    folder.chmod(0o2775)
    ids = account.pw_uid, account.pw_gid
    assert in_a_child(*ids, reads(folder)) == 0
    os.chown(open_tmp, -1, STRANGER)
    assert in_a_child(*ids, reads(folder)) == 1
    os.chown(open_tmp, -1, account.pw_gid)
    access = [(1, 7, -1), (2, 7, STRANGER), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    entries = b"".join(struct.pack("<HHi", *entry) for entry in access)
    try:
        os.setxattr(folder, "system.posix_acl_access", struct.pack("<I", 2) + entries)
    except OSError:
        pytest.skip("no access lists")
    assert folder.stat().st_mode & 0o777 == 0o775  # as before: the list is not in the mode
    assert in_a_child(*ids, reads(folder)) == 1


def test_an_access_list_shows_in_the_mode(folder):
    access = [(1, 7, -1), (2, 7, STRANGER), (4, 0, -1), (16, 7, -1), (32, 0, -1)]
    entries = b"".join(struct.pack("<HHi", *entry) for entry in access)
    try:
        os.setxattr(folder, "system.posix_acl_access", struct.pack("<I", 2) + entries)
    except (OSError, AttributeError):
        pytest.skip("no access lists")
    assert "mode 0770" in refused(folder)


def in_namespace(*options, code):
    command = ["unshare", "--user", *options, sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(Path(rnn_fast.__file__).parent.parent)}
    if shutil.which("unshare") is None or subprocess.run([*command[:-1], ""]).returncode:
        pytest.skip("no user namespaces")
    return subprocess.run(command, env=environment, capture_output=True, text=True)


READ = """
from rnn_fast.jit.folders import Folder
with Folder({!r}) as folder:
    print(folder.read("file"))
"""


def test_a_namespace_without_numbers(folder):
    """All users read as the same one there, this one included."""
    done = in_namespace(code=READ.format(str(folder)))
    assert "may be several users" in done.stderr, done.stdout


def test_a_namespace_with_a_number_for_this_user_alone(folder):
    done = in_namespace("--map-root-user", code=READ.format(str(folder)))
    assert "code" in done.stdout, done.stderr
