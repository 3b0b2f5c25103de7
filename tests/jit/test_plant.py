"""Another user plants programs where this user's are looked for; none is ever run.

Both users are real: the tests need root to become them.  The attacker knows names, keys and
checksums, so that nothing except the checks of folders and files keeps the plant out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
import traceback
from pathlib import Path

import pytest

from rnn_fast.jit.cache import MAGIC, _key, file_of, read_cache, write_cache

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becomes two other users"
)
VICTIM, ATTACKER = 12345, 12346
NAME = "some program"


def contents(code):
    return MAGIC + _key(NAME) + hashlib.sha256(code).digest() + code


def fork(user, work):
    """Run `work` as another user in a child; return the child's number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        os.umask(0)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def run(user, work):
    return os.waitstatus_to_exitcode(os.waitpid(fork(user, work), 0)[1])


class Scene:
    """A folder that all may use, a home of each user, and programs in both."""

    def __init__(self, base):
        base.chmod(0o755)
        self.shared, self.home, self.lair = base / "tmp", base / "victim", base / "attacker"
        self.shared.mkdir()
        self.shared.chmod(0o1777)
        for folder, user, code in (
            (self.home, VICTIM, b"good"),
            (self.lair, ATTACKER, b"evil"),
        ):
            (folder / "programs").mkdir(parents=True)
            (folder / "programs" / file_of(NAME)).write_bytes(contents(code))
            (folder / "programs" / file_of(NAME)).chmod(0o600 if user == VICTIM else 0o644)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user, user)
        self.place = self.shared / "place"  # where the victim looks

    def link(self, target):
        """Let the attacker's link point to a target, in one step."""
        new = self.shared / "new"
        new.symlink_to(target)
        new.rename(self.place)

    # Each attack does its worst once; some are repeated as fast as the attacker can.

    def plant_link(self):
        self.link(self.lair / "programs")

    def plant_folder(self):
        shutil.copytree(self.lair / "programs", self.place)

    def plant_open_folder(self):
        self.plant_folder()
        self.place.chmod(0o777)

    def plant_pipe(self):
        self.place.mkdir()
        os.mkfifo(self.place / file_of(NAME))

    def flip_link(self):
        self.link(self.home / "programs")
        self.link(self.lair / "programs")

    def flip_folder(self):
        """The victim's folder lies in one that all may write to."""
        kept, evil = self.place.with_name("kept"), self.place.with_name("evil")
        with contextlib.suppress(FileExistsError):
            shutil.copytree(self.lair / "programs", evil)
        self.place.rename(kept)
        evil.rename(self.place)
        self.place.rename(evil)
        kept.rename(self.place)

    def flip_file(self):
        """The victim's folder was open to all for a while."""
        file = self.place / file_of(NAME)
        kept = file.with_name("kept")
        file.rename(kept)
        shutil.copy(self.lair / "programs" / file.name, file)
        file.unlink()
        file.symlink_to(self.lair / "programs" / file.name)
        kept.rename(file)

    def prepare(self, attack):
        """Put the victim's folder in place, as root, where the attack needs it there."""
        if attack in ("flip_folder", "flip_file"):
            shutil.copytree(self.home / "programs", self.place)
            for path in (self.place, self.place / file_of(NAME)):
                os.chown(path, VICTIM, VICTIM)
            (self.place / file_of(NAME)).chmod(0o600)
            if attack == "flip_folder":
                self.shared.chmod(0o777)
            else:
                self.place.chmod(0o777)


@pytest.fixture
def scene(monkeypatch):
    base = Path(tempfile.mkdtemp())
    scene = Scene(base)
    monkeypatch.setenv("RNN_FAST_CACHE_DIR", str(scene.place))
    yield scene
    shutil.rmtree(base)


def accepted(attack, scene, n_reads):
    """Let the victim read while the attacker works."""
    scene.prepare(attack)
    act = getattr(scene, attack)
    flips, begun = attack.startswith("flip"), os.pipe()

    def attacker():
        act()
        os.write(begun[1], b"1")
        while flips:
            act()

    def victim():
        for i in range(n_reads):
            assert read_cache(NAME) is None
            if i % 100 == 0:
                assert write_cache(NAME, b"mine") != ""

    child = fork(ATTACKER, attacker)
    assert os.read(begun[0], 1) == b"1"
    try:
        assert run(VICTIM, victim) == 0
    finally:
        if flips:
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(begun[0])
        os.close(begun[1])
    assert status == (-signal.SIGKILL if flips else 0)  # attacked to the end
    written = [path for path in scene.lair.rglob("*") if path.lstat().st_uid == VICTIM]
    assert written == []


ATTACKS = [name for name in vars(Scene) if name.startswith(("plant", "flip"))]


def test_the_victim_reads_its_own_programs(scene, monkeypatch):
    monkeypatch.setenv("RNN_FAST_CACHE_DIR", str(scene.home / "programs"))

    def victim():
        assert read_cache(NAME) == b"good"

    assert run(VICTIM, victim) == 0
    assert run(ATTACKER, lambda: (scene.home / "programs" / file_of(NAME)).stat()) == 0


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_plant_is_refused(attack, scene):
    accepted(attack, scene, 300)


@pytest.mark.sweep
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_plant_is_refused_in_100000_reads(attack, scene):
    accepted(attack, scene, -(-100_000 // len(ATTACKS)))
