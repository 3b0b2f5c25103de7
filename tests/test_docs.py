"""The documentation: its code runs and prints what it shows, and every public name has an entry."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys

import pytest
from doc_pages import DOCS, alike, blocks, pages, pictures, run

import rnn_fast.sklearn
from rnn_fast import callbacks, cells, tasks

PAGES = [page for page in pages() if any(blocks(page.read_text(encoding="utf-8")))]
NEEDED = re.compile(r"^(?:import|from) (torch|jax|h5py|joblib|keras|flax)\b", re.M)


@pytest.mark.usefixtures("cells_as_before")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code(page, tmp_path):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    for module in ["matplotlib", *NEEDED.findall(page.read_text(encoding="utf-8"))]:
        pytest.importorskip(module)
    for block, printed in run(page, tmp_path):
        shown = block.shown or ""
        assert block.varies or alike(shown, printed), (
            f"{page.name}, line {block.line}: the page shows\n{shown}\nbut it prints\n{printed}"
        )
    for picture in pictures(page):
        assert (tmp_path / picture).stat().st_size > 1000
        assert (DOCS / "images" / picture).is_file()


@pytest.mark.parametrize(
    "shown, printed, expected",
    [
        ("{'loss': 0.100}\n", "{'loss': 0.104}\n", True),
        ("{'loss': 0.100}\n", "{'loss': 0.13}\n", False),
        ("loss 1.0\n", "mse 1.0\n", False),
        ("(2, 6)\n", "(2, 7)\n", False),
        ("1.0\n", "1\n", False),
        ("True\n", "", False),
    ],
)
def test_alike(shown, printed, expected):
    assert alike(shown, printed) is expected


def test_blocks():
    text = (
        "# A\n\n```python\nprint(1)\n```\n\n<!-- varies -->\n```text\n1\n```\n\n```bash\nls\n```\n"
    )
    first, second = blocks(text)
    assert (first.code, first.shown, first.varies, first.line) == ("print(1)\n", "1\n", True, 3)
    assert (second.language, second.shown, second.varies) == ("bash", None, False)


def public_names():
    """Yield the full names of all that is public: exported names, and members of their classes."""
    for name in rnn_fast.__all__:
        yield from with_members(f"rnn_fast.{name}", getattr(rnn_fast, name))
    for module in (tasks, callbacks):
        for name, thing in vars(module).items():
            if name[0] != "_" and getattr(thing, "__module__", "") == module.__name__:
                yield from with_members(f"{module.__name__}.{name}", thing)
    for module in (cells, rnn_fast.sklearn):
        for name in module.__all__:
            yield from with_members(f"{module.__name__}.{name}", getattr(module, name))


def with_members(full_name, thing):
    yield full_name
    for name, member in inspect.getmembers(thing) if inspect.isclass(thing) else ():
        module = getattr(member, "__module__", None) or ""
        method = inspect.isroutine(member) and module.startswith("rnn_fast")
        if not name.startswith("_") and (method or isinstance(member, property)):
            yield f"{full_name}.{name}"


def test_site(tmp_path):
    # from the repository's root, whose package is imported where it is not installed
    pytest.importorskip("sphinx")
    from sphinx.util.inventory import InventoryFile

    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copy(DOCS.parent / "CHANGELOG.md", tmp_path)
    for shown in ("cells", "losses", "optimizers"):
        shutil.copytree(DOCS.parent / "tests" / shown, tmp_path / "tests" / shown)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    command += [str(tmp_path / "docs"), str(tmp_path / "site")]
    built = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    inventory = (tmp_path / "site" / "objects.inv").read_bytes()
    entries = InventoryFile.loads(inventory, uri="").data
    documented = {name for kind, names in entries.items() if kind[:3] == "py:" for name in names}
    names = set(public_names())
    assert "rnn_fast.GRU.fit_stream" in names
    assert sorted(names - documented) == []
    options = entries["std:cmdoption"]
    assert {"rnn-fast-train.--cell", "rnn-fast-bench.--quick"} <= options.keys()
