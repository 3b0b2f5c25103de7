"""The floors of the package: imports point down only, and importing it brings in little."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: From the ground up.  A module may import its own floor and those below it.
FLOORS = (
    {"_jit", "layout"},
    {"simd"},
    {"vmath"},
    {"cells", "losses", "updates"},
    {"layers"},
    {"train"},
    {
        "compute",
        "settings",
        "checks",
        "params",
        "optimizers",
        "schedules",
        "stopping",
        "tasks",
        "history",
        "errors",
        "extras",
        "sources",
        "threads",
    },
    {"data", "scores", "io", "interop", "signals"},
    {"checkpoint", "feeds"},
    {"fitting", "online", "streams"},
    {"learning"},
    {"base"},
    {"models"},
    {"bench"},
    {"cli", "cli_bench", "cli_data", "cli_options", "__main__", "__init__"},
)
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}


def package() -> Path:
    """The package as it is installed, found without importing it."""
    spec = importlib.util.find_spec("rnn_fast")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


SOURCES = {path.relative_to(package()).as_posix(): path for path in package().rglob("*.py")}


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


def upward(source: str, name: str) -> list[str]:
    """The imports of `source` that point up, as ``file:line: what``."""
    module = name.split("/")[0].removesuffix(".py")
    assert module in FLOOR, f"{name} needs a place in FLOORS"
    found = []
    for line, target in imports(source, name):
        parts = target.split(".")
        if parts[0] != "rnn_fast":
            continue
        above = parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"
        if FLOOR[above] > FLOOR[module]:
            found.append(f"{name}:{line}: {target}")
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_down(name):
    assert upward(SOURCES[name].read_text(encoding="utf-8"), name) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("simd.py", "from . import train"),
        ("simd.py", "from .train import epoch"),
        ("simd.py", "import rnn_fast.train"),
        ("simd.py", "import rnn_fast"),
        ("simd.py", "from . import __version__"),
        ("cells/rnn.py", "from ..layers import lanes"),
        ("cells/__init__.py", "from .. import layers"),
        ("params.py", "def f():\n    from .models import SimpleRNN"),
    ],
)
def test_the_walk_sees_an_upward_import(name, source):
    assert upward(source, name)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("train.py", "from . import simd, _jit\nimport numpy as np"),
        ("cells/rnn.py", "from ..vmath import tanh\nfrom . import gru\nfrom .gru import forward"),
        ("layers/lanes.py", "from ..cells.rnn import forward"),
        ("cli.py", "from . import SimpleRNN, __version__"),
        ("models.py", "from .io import save"),
    ],
)
def test_the_walk_lets_the_rest_pass(name, source):
    assert upward(source, name) == []


@pytest.mark.parametrize("module", ["rnn_fast", "rnn_fast.cli"])
def test_import_is_light(module):
    heavy = [
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
    ]
    code = f"import sys, {module}; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
