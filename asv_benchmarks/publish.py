"""Publish the history as a static site in ``asv_benchmarks/html`` that works without a network.

    npm ci --prefix asv_benchmarks/pages          # once
    python asv_benchmarks/publish.py
    python -m http.server --directory asv_benchmarks/html --bind 127.0.0.1 8080

asv's pages load their libraries from other hosts. This script copies the libraries that npm has
installed next to the pages, and links these copies instead.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE / "pages" / "node_modules"
ELSEWHERE = re.compile(r'<(script|link)\b[^>]*?\b(?:src|href)="(https?://[^"]+)"[^>]*>')


def found(name: str) -> Path:
    """Return the file that npm has installed: name without version, possibly not minified."""
    plain = re.sub(r"-\d[\d.]*(?=\.)", "", name)
    for wanted in (plain, plain.replace(".min.", ".")):
        files = [f for f in MODULES.rglob(wanted) if "examples" not in f.parts]
        if files:
            return min(files, key=lambda f: len(f.parts))
    raise SystemExit(f"{name} is not in {MODULES}: npm ci --prefix {HERE / 'pages'}")


def bring(html: Path) -> None:
    """Copy all libraries of the pages next to the pages, and link the copies."""
    beside = html / "vendor"
    beside.mkdir(exist_ok=True)

    def local(tag: re.Match[str]) -> str:
        kind, address = tag.groups()
        name = address.rpartition("/")[2]
        shutil.copy(found(name), beside / name)
        if kind == "link":
            return f'<link rel="stylesheet" href="vendor/{name}">'
        return f'<script src="vendor/{name}">'

    for page in html.glob("*.html"):
        page.write_text(ELSEWHERE.sub(local, page.read_text()))


def main() -> None:
    """Publish the site."""
    subprocess.run([sys.executable, "-m", "asv", "publish"], cwd=HERE, check=True)
    if MODULES.is_dir():
        bring(HERE / "html")
    else:
        print("the pages load their libraries from the network; to copy them, see this file's head")


if __name__ == "__main__":
    main()
