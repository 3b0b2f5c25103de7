"""Wheels with the programs inside, and what an installation asks for.

``RNN_FAST_BUILD`` names the levels to compile ahead of time, between spaces, such as "x86-64
x86-64-v3 x86-64-v4": one machine's kind, since the wheel is tagged for it.  Such a wheel needs no
Numba, which is in its extra ``jit`` then.  Without the variable nothing is compiled, and Numba is
asked for outright.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

LEVELS = os.environ.get("RNN_FAST_BUILD", "").split()
PLACE = "rnn_fast/jit/machine_code"  #: of packs in the package
#: tags of wheels by what levels begin with; programs call nothing of a system
TAGS = {
    "x86-64": ("manylinux_2_17_x86_64.musllinux_1_1_x86_64.macosx_10_12_x86_64", "win_amd64"),
    "aarch64": (
        "manylinux_2_17_aarch64.musllinux_1_1_aarch64.macosx_11_0_arm64.win_arm64",
        "",
    ),
}


def tag(levels: list[str]) -> str:
    """Return the tag of a wheel with packs of these levels.

    Raises
    ------
    ValueError
        They are for different machines, or for Windows and others.
    """
    names = {
        next(
            names[level.endswith("-windows")]
            for start, names in TAGS.items()
            if level.startswith(start)
        )
        for level in levels
    }
    if len(names) > 1:
        raise ValueError(f"RNN_FAST_BUILD: one wheel cannot be for {' and '.join(sorted(names))}")
    return f"py3-none-{names.pop()}"


class Packs(BuildHookInterface):
    """Compiles the levels and puts their packs into the wheel."""

    def dependencies(self) -> list[str]:
        """Return what a build needs beside hatchling."""
        if not LEVELS or self.target_name != "wheel":
            return []
        project = self.metadata.core
        return [*project.dependencies, *project.optional_dependencies["jit"]]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the files of the wheel are gathered."""
        if not LEVELS or self.target_name != "wheel" or version == "editable":
            return
        build_data["tag"], build_data["pure_python"] = tag(LEVELS), False
        command = [sys.executable, "-m", "rnn_fast", "build", *LEVELS]
        environment = {**os.environ, "PYTHONPATH": self.root}
        subprocess.run(command, cwd=self.root, check=True, env=environment)
        packs = [f"{PLACE}/{level}.pack" for level in LEVELS]
        build_data["force_include"] |= {str(Path(self.root, pack)): pack for pack in packs}


class Metadata(MetadataHookInterface):
    """Asks for Numba where nothing is compiled ahead of time; describes the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in the dependencies and the page of an index."""
        jit = metadata["optional-dependencies"]["jit"]
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        # An index shows no files of the repository, so its page has no pictures and links of them.
        text = re.sub(r"<picture>.*?</picture>\s*", "", text, flags=re.S)
        text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["dependencies"] = [*self.config["needs"], *([] if LEVELS else jit)]
