"""Run the code of the documentation's pages.

`python tests/support/doc_pages.py [NAME ...]` writes outputs and pictures of pages anew, of all or
of those named.


A page is Markdown.  Its ``python`` blocks run in order, in one namespace.  Lines of its ``bash``
blocks that begin with ``rnn-fast`` run as that command.  A ``text`` block right after such a block
shows what the block prints; a comment ``<!-- varies -->`` between them says that the output
differs from run to run.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rnn_fast.__main__ import main

DOCS = Path(__file__).parents[2] / "docs"
STYLE = DOCS / "images" / "pictures.mplstyle"
BLOCK = re.compile(
    r"^```(python|bash)\n(.*?)^```\n(?:\n<!-- (varies) -->)?(?:\s*^```text\n(.*?)^```)?",
    re.M | re.S,
)
PICTURE = re.compile(r"!\[[^]]*\]\((?:\.\./)?images/([\w-]+\.svg)\)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


class Block(NamedTuple):
    """A piece of code of a page, and the output that the page shows after it."""

    language: str
    code: str
    line: int
    varies: bool
    shown: str | None
    place: tuple[int, int]  # of the output in the text of the page


def pages() -> list[Path]:
    """Return all pages of the documentation."""
    return sorted(DOCS.rglob("*.md"))


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of code of a page, in order."""
    for match in BLOCK.finditer(text):
        language, code, varies, shown = match.groups()
        line = text.count("\n", 0, match.start(2))
        yield Block(language, code, line, varies is not None, shown, match.span(4))


def pictures(page: Path) -> list[str]:
    """Return the file names of the pictures that the code of a page draws."""
    return PICTURE.findall(page.read_text(encoding="utf-8"))


def run(page: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run the blocks of a page in a folder; yield each with what it printed."""
    os.environ["MPLBACKEND"] = "Agg"
    os.environ["SOURCE_DATE_EPOCH"] = "0"  # no date in a picture, which would change every time
    import matplotlib.pyplot as plt

    names: dict = {"__name__": "__main__"}
    with working_in(folder), plt.style.context(STYLE):
        for block in blocks(page.read_text(encoding="utf-8")):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                if block.language == "python":
                    code = "\n" * block.line + block.code  # errors name the line of the page
                    exec(compile(code, str(page), "exec"), names)
                else:
                    run_commands(block.code)
            yield block, printed.getvalue()
        plt.close("all")


@contextlib.contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make a folder the working directory for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_commands(text: str) -> None:
    """Run the lines of a shell script that call ``rnn-fast``."""
    for line in text.replace("\\\n", " ").splitlines():
        name, *arguments = shlex.split(line, comments=True) or [""]
        if name == "rnn-fast" and (code := main(arguments)):
            raise RuntimeError(f"exit code {code}: {line}")


def alike(shown: str, printed: str) -> bool:
    """Return whether two outputs have the same words and integers, and real numbers within 10 %.

    Training rounds differently on processors with other vector registers.
    """
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(a == b or ("." in a and "." in b and close(float(a), float(b))) for a, b in pairs)


def close(a: float, b: float) -> bool:
    """Return whether two numbers are within 10 % of each other, or within 0.002."""
    return math.isclose(a, b, rel_tol=0.1, abs_tol=0.002)


def renew(page: Path) -> None:
    """Write the outputs and the pictures of a page as its code makes them now."""
    with tempfile.TemporaryDirectory() as name:
        text, moved = page.read_text(encoding="utf-8"), 0
        for block, printed in run(page, Path(name)):
            if block.shown is not None:
                start, end = (at + moved for at in block.place)
                text, moved = (
                    text[:start] + printed + text[end:],
                    moved + len(printed) - end + start,
                )
        page.write_text(text, encoding="utf-8")
        for picture in pictures(page):
            (DOCS / "images" / picture).write_bytes((Path(name) / picture).read_bytes())


if __name__ == "__main__":
    for page in pages():
        if page.stem in sys.argv[1:] or not sys.argv[1:]:
            print(page.relative_to(DOCS), flush=True)
            renew(page)
