"""The floors of the package: imports point down only, and importing the package loads little."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Rooms of the package from the ground up.  A room may import itself and the rooms before it.
ROOMS = (
    "errors",
    "validation",
    "_optional",
    "tuning",
    "jit",
    "simd",
    "losses",
    "optimizers",
    "cells",
    "layout",
    "kernels",
    "data",
    "engine",
    "saving",
    "training",
    "formats",
    "models",
    "analysis",
    "callbacks",
    "studies",
    "tasks",
    "sklearn",
    "torch",
    "jax",
    "bench",
    "__init__",
    "cli",
    "__main__",
)
HEIGHT = {room: height for height, room in enumerate(ROOMS)}
#: Folders whose code is compiled into programs, and the lengths that keep a file and a function
#: on a few screens.
COMPILED = ("jit", "simd", "losses", "optimizers", "cells", "layout", "kernels")
FILE_LINES, FUNCTION_LINES = 300, 50
ENTRIES = 29  #: of the package's own folder, at most


def package() -> Path:
    """The installed package, found without importing it."""
    spec = importlib.util.find_spec("rnn_fast")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


PACKAGE = package()
SOURCES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
FOLDERS = sorted({str(Path(name).parent) for name in SOURCES} - {"."})


def imports(source: str, name: str) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import in the file `name` of the package.

    ``from a import b`` counts as both ``a`` and ``a.b``: b may be a module.  Imports inside
    functions and under ``TYPE_CHECKING`` count like any other.
    """
    parents = ("rnn_fast", *Path(name).parent.parts)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) + 1 - node.level] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            if node.module:
                yield node.lineno, module
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def room_of(name: str) -> str:
    """The first folder of a file's name, or the file itself."""
    return name.split("/")[0].removesuffix(".py")


def upward(source: str, name: str) -> list[str]:
    """The imports of `source` that point up, as ``file:line: target``."""
    found = []
    for line, target in imports(source, name):
        parts = target.split(".")
        if parts[0] != "rnn_fast":
            continue
        above = parts[1] if len(parts) > 1 and parts[1] in HEIGHT else "__init__"
        if HEIGHT[above] > HEIGHT[room_of(name)]:
            found.append(f"{name}:{line}: {target}")
    return found


def test_every_room_is_there_and_has_a_floor():
    assert {room_of(name) for name in SOURCES} == set(ROOMS)


def test_the_package_is_a_short_list():
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= ENTRIES, sorted(entries)


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_down(name):
    assert upward(SOURCES[name].read_text(encoding="utf-8"), name) == []


def modules_of(folder: str) -> dict[str, set[str]]:
    """Imports of each module of a folder among its siblings: files, or folders as a whole."""
    prefix = ".".join(("rnn_fast", *Path(folder).parts))
    inside: dict[str, set[str]] = {}
    for name in SOURCES:
        if not name.startswith(f"{folder}/"):
            continue
        own = name.removeprefix(f"{folder}/").split("/")[0].removesuffix(".py")
        found = inside.setdefault(own, set())
        for _, target in imports(SOURCES[name].read_text(encoding="utf-8"), name):
            if target.startswith(f"{prefix}."):
                found.add(target.removeprefix(f"{prefix}.").split(".")[0])
    return {
        own: {other for other in found if other in inside and other != own}
        for own, found in inside.items()
        if own != "__init__"
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_circle_in_a_room(folder):
    left = modules_of(folder)
    while left:
        free = {own for own, needs in left.items() if not needs & left.keys()}
        assert free, f"a circle among {left}"
        left = {own: needs for own, needs in left.items() if own not in free}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("simd/tiles.py", "from .. import kernels"),
        ("simd/tiles.py", "from ..kernels.batch import program"),
        ("simd/tiles.py", "import rnn_fast.kernels.team"),
        ("simd/tiles.py", "import rnn_fast"),
        ("simd/tiles.py", "from .. import __version__"),
        ("cells/kernels/gru.py", "from ...kernels import team"),
        ("cells/__init__.py", "from .. import kernels"),
        ("layout/parameters.py", "def f():\n    from ..models import SimpleRNN"),
    ],
)
def test_the_walk_sees_an_upward_import(name, source):
    assert upward(source, name)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("kernels/team.py", "from .. import simd, jit\nimport numpy as np"),
        ("cells/kernels/gru.py", "from ...simd.vector_math import tanh\nfrom . import lstm"),
        ("kernels/batch/recurrence.py", "from ...cells.kernels.gru import forward"),
        ("cli/main.py", "from .. import SimpleRNN, __version__"),
        ("models/base.py", "from ..saving.model_file import write"),
    ],
)
def test_the_walk_lets_the_rest_pass(name, source):
    assert upward(source, name) == []


def too_long(name: str) -> list[str]:
    """Functions of a file, or the file, past the limits, unless a comment there says why."""
    text = SOURCES[name].read_text(encoding="utf-8")
    found = []
    if len(text.splitlines()) > FILE_LINES and "# long:" not in text.split('"""', 2)[-1][:400]:
        found.append(name)
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            said = any("# long:" in line for line in lines[node.lineno - 1 : node.end_lineno])
            if length > FUNCTION_LINES and not said:
                found.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
    return found


@pytest.mark.parametrize("name", [name for name in SOURCES if room_of(name) in COMPILED])
def test_compiled_floors_are_short(name):
    assert too_long(name) == []


#: packages that no import of this package brings in
HEAVY = (
    "numba",
    "llvmlite",
    "torch",
    "jax",
    "keras",
    "matplotlib",
    "tqdm",
    "safetensors",
    "sklearn",
    "scipy",
)
#: modules that models bring in when they train, draw or read archives
LATER = (
    "numpy.random",
    "statistics",
    "zipfile",
    "sqlite3",
    "multiprocessing",
    "concurrent.futures",
    "subprocess",
    "rnn_fast.engine.epochs",
    "rnn_fast.engine.passes",
    "rnn_fast.engine.plain.predictions",
    "rnn_fast.optimizers",
    "rnn_fast.saving",
    "rnn_fast.studies",
    "rnn_fast.training.loop",
    "rnn_fast.training.updates",
)


def modules_after(code: str) -> set[str]:
    """Modules that a process has imported after some code."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_brings_in_nothing():
    """Names are looked up when they are used, so that a script pays for those alone."""
    found = modules_after("import rnn_fast")
    assert not [name for name in found if name.startswith("rnn_fast.")]
    assert "numpy" not in found


def test_models_are_light():
    found = modules_after("from rnn_fast import GRU, load")
    assert "numpy" in found
    assert not found & {*HEAVY, *LATER}


def test_the_command_line_is_light():
    assert not modules_after("import rnn_fast.cli.main") & set(HEAVY)


def test_every_name_is_there():
    """Each name of `__all__` can be looked up, and type checkers are told of each."""
    import rnn_fast

    for name in rnn_fast.__all__:
        assert getattr(rnn_fast, name) is not None
    assert set(rnn_fast.__all__) <= set(dir(rnn_fast))
    told = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(SOURCES["__init__.py"].read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert told == {*rnn_fast.PLACES, *rnn_fast.PARTS} >= {*rnn_fast.__all__} - {"__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = rnn_fast.nothing
