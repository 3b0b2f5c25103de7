"""The command ``rnn-fast build``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import CompilerMissing
from ..jit import can_compile
from ..jit.levels import LEVELS, family
from ..jit.packs import FOLDER
from ..jit.shipped import fits
from . import output
from .options import number


def add_build(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command ``build`` and its options."""
    command = add_parser(
        "build",
        help="compile all programs ahead of time",
        description="Compile every program of the package's own cells, losses and optimizers, so "
        "that no first run compiles, and none needs Numba. A file that is up to date stays.",
        epilog="A level takes a quarter of an hour to half an hour on two cores.",
    )
    command.set_defaults(run=build)
    levels = f"processors to compile for: {', '.join(LEVELS)} (default: all of this machine's kind)"
    command.add_argument("levels", nargs="*", metavar="LEVEL", type=level_name, help=levels)
    add = command.add_argument
    jobs = "processes at the same time (default: all cores)"
    add("--jobs", type=number(int, 1), default=os.cpu_count() or 1, metavar="N", help=jobs)
    where = "folder for a file of each level (default: where the package looks for them)"
    add("--to", type=Path, default=FOLDER, metavar="FOLDER", help=where)


def level_name(text: str) -> str:
    """Return a name of `LEVELS`; argparse before Python 3.12 takes no ``choices`` of nothing."""
    if text not in LEVELS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(LEVELS)}")
    return text


def build(args: argparse.Namespace) -> None:
    """Run ``rnn-fast build``."""
    for level in args.levels or family():
        path = args.to / f"{level}.pack"
        if fits(path):
            output.say(f"{path} is up to date")
            continue
        if not can_compile():
            raise CompilerMissing("build")
        from tqdm import tqdm

        from ..engine.build import build_pack

        with tqdm(desc=level, unit=" groups") as bar:
            build_pack(level, args.to, jobs=args.jobs, bar=bar)
        output.say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
