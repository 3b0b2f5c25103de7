"""Sides of a comparison: a commit or the working tree, built and ready to run.

asv makes one environment, with the versions pinned in ``asv.conf.json``.  Each side adds its
sources, a folder with its package, and its compiled programs.  All three are kept under
``env/gate/``, by a hash of their contents or by commit.  A base is therefore built only once, and a
commit that changes no source of the package compiles nothing.
"""

from __future__ import annotations

import copy
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from asv import environment, runner, util
from asv.config import Config

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
GATE = HERE / "env" / "gate"
KEPT = 12  #: sides, and sets of programs, that stay on disk; the last ones used


class CannotBuild(Exception):
    """A side that does not exist or does not build."""


def git(*arguments: str) -> bytes:
    """Run git, and return its output."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
    if done.returncode:
        raise CannotBuild(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout


def environment_of_asv() -> environment.Environment:
    """Return the virtual environment of asv.conf.json, created if necessary."""
    conf = Config.load(str(HERE / "asv.conf.json"))
    conf.env_dir = str(HERE / "env")
    (found,) = environment.get_environments(conf, [])
    found.create()
    return found


def hashed(root: Path, files: list[Path]) -> str:
    """Return a hash of the files' names below `root` and of their contents."""
    digest = hashlib.sha1(usedforsecurity=False)
    for file in files:
        digest.update(file.relative_to(root).as_posix().encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


class Side:
    """A commit, or for None the working tree with all uncommitted changes.

    A side stands in for an asv environment when asv runs benchmarks.
    """

    def __init__(self, name: str, revision: str | None):
        self.name, self.revision = name, revision
        self.variables: dict[str, str] = {}
        if revision is None:
            listing = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
            names = sorted(set(listing.decode().split("\0")) - {""})
            self.files = [name for name in names if (ROOT / name).is_file()]
            self.key = hashed(ROOT, [ROOT / name for name in self.files])
            self.label = "the working tree"
        else:
            self.key = git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
            self.label = f"{revision} ({self.key[:8]})"
        self.folder = GATE / "sides" / self.key[:16]
        self.source = self.folder / "source"
        self.benchmarks = self.source / "asv_benchmarks" / "benchmarks"

    def build(self, base_environment: environment.Environment) -> None:
        """Put the sources and the package of this side into `folder`, unless they exist."""
        self.environment = base_environment
        self.python = base_environment.find_executable("python")
        if not (self.folder / "package").is_dir():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder.parent) as room:
                made = Path(room) / "side"
                self._export(made / "source")
                self._install(made)
                shutil.rmtree(self.folder, ignore_errors=True)
                os.replace(made, self.folder)
        package = self.source / "rnn_fast"
        self.programs = GATE / "programs" / hashed(package, sorted(package.rglob("*.py")))[:16]
        self.programs.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.programs):
            os.utime(folder)
            kept = sorted(folder.parent.iterdir(), key=lambda each: -each.stat().st_mtime)
            for old in kept[KEPT:]:
                shutil.rmtree(old, ignore_errors=True)

    def _export(self, to: Path) -> None:
        if self.revision is None:
            for name in self.files:
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, to / name)
        else:
            with tarfile.open(fileobj=io.BytesIO(git("archive", self.key))) as archive:
                archive.extractall(to, filter="data")

    def _install(self, made: Path) -> None:
        """Install the package without its dependencies, with the user's pip configuration."""
        command = [self.python, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--target", str(made / "package"), str(made / "source")]
        done = subprocess.run(command, cwd=made, capture_output=True, text=True)
        if done.returncode:
            raise CannotBuild(f"{self.label} does not build:\n{done.stdout}{done.stderr}")

    # ------------------------------------------------------------- interface of asv environments

    @property
    def env_vars(self) -> dict[str, str]:
        """Environment variables of this side's processes."""
        package = str(self.folder / "package")
        return {
            **self.environment.env_vars,
            "PYTHONPATH": package,  # for processes that a benchmark starts
            "ASV_PYTHONPATH": package,  # for asv's processes, which drop PYTHONPATH
            "RNN_FAST_CACHE_DIR": str(self.programs),
            **self.variables,
        }

    def preparing(self) -> Side:
        """Return a copy whose benchmarks compile their programs and measure no time."""
        side = copy.copy(self)
        side.variables = {"RNN_FAST_BENCH_PREPARE": "1"}
        return side

    def taking_turns(self, folder: Path) -> Side:
        """Return a copy whose benchmarks take turns with the other side's, if `folder` exists."""
        side = copy.copy(self)
        side.variables = {"RNN_FAST_BENCH_TURNS": f"{self.name}:{folder}"}
        return side

    def run(self, arguments: list[str], **options: Any) -> Any:
        """Run this side's Python, as asv environments do."""
        return util.check_output([self.python, *arguments], **options)

    def discover(self, folder: Path) -> list[dict[str, Any]]:
        """Return asv's list of the benchmarks in `folder`, from this or the other side."""
        with tempfile.TemporaryDirectory() as room:
            file = Path(room) / "list.json"
            command = [self.python, runner.BENCHMARK_RUN_SCRIPT, "discover", str(folder), str(file)]
            env = {**os.environ, **self.env_vars}
            done = subprocess.run(command, cwd=room, env=env, capture_output=True, text=True)
            if done.returncode:
                what = "of its own" if folder == self.benchmarks else "of head"
                raise CannotBuild(
                    f"{self.label} cannot import the benchmarks {what}:\n{done.stdout}{done.stderr}"
                )
            return util.load_json(str(file))
