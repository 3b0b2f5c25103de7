"""The command ``rnn-fast bench``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..bench import plot, report
from ..bench.results import Results, Settings
from ..bench.rows import PEERED, QUICK, SUBJECTS, select
from ..bench.run import measure
from . import output
from .options import InputError, check_writable, number

ROUNDS, QUICK_ROUNDS = 7, 3

SUBJECT = """what to measure: grid, the networks that people train; ladder, many sizes; online,
batches of 1 to 8; stream, predictions step by step; ragged, sequences of different lengths; adding,
training until a task is learned; threads, the grid on one core and on all (default: grid)"""


def add_bench(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command ``bench`` and its options."""
    command = add_parser(
        "bench",
        help="how fast this machine trains, beside PyTorch, JAX, Keras and NumPy",
        description="Time a training step of networks of many sizes on this machine, beside the "
        "same work done by PyTorch, JAX, Keras and NumPy, where installed, and this machine's own "
        "matrix product; or a step of a stream, beside onnxruntime too. All run in turns on one "
        "thread of one core. All are checked to compute the same loss, gradients and updates, or "
        "the same outputs, before they are timed.",
        epilog="The grid takes about half an hour: JAX and PyTorch compile many forms, of which "
        "the best counts. Ctrl-C prints the results so far.",
    )
    command.set_defaults(run=bench)
    add = command.add_argument
    add("subject", nargs="?", choices=tuple(SUBJECTS), default="grid", help=SUBJECT)
    add("--quick", action="store_true", help="under a minute: few rows, rounds and forms")
    add("--rows", metavar="PATTERNS", help="names with * and ?, between commas: 'tutorial,wide*'")
    rounds = f"turns of each contender (default: {ROUNDS}, quick: {QUICK_ROUNDS})"
    add("--rounds", type=number(int, 1), metavar="N", help=rounds)
    add("--without-peers", action="store_true", help="measure rnn_fast alone")
    add("--markdown", action="store_true", help="print the table as Markdown")
    add("--json", type=Path, metavar="FILE", help="write every single time")
    chart = "write a chart, and a dark one: chart.png and chart-dark.png"
    add("--plot", type=Path, metavar="FILE", help=chart)
    read = "report the files of --json, of several runs the range; measure nothing"
    add("--read", type=Path, nargs="+", metavar="FILE", help=read)


def bench(args: argparse.Namespace) -> None:
    """Measure, or read measurements; report the results, even of half a measurement."""
    if len(args.read or ()) > 1 and args.json:
        raise InputError("--json is for one run, but --read names several")
    runs = [Results.read(path) for path in args.read] if args.read else [Results(settings(args))]
    results = runs[0]
    check_outputs(args, results.settings.subject)
    if args.read:
        show(runs, args)
        return
    try:
        measure(results, keep=(lambda so_far: so_far.write(args.json)) if args.json else None)
    finally:
        if results.machine:  # the measurement has begun
            show(runs, args)


def check_outputs(args: argparse.Namespace, subject: str) -> None:
    """Raise an error for files that cannot be written, before the work is done."""
    for path in filter(None, (args.json, args.plot)):
        check_writable(path)
    if args.plot and subject not in PEERED:
        raise InputError(f"--plot is for {', '.join(PEERED)}, not for {subject}")
    if args.plot:
        plot.check(args.plot)


def settings(args: argparse.Namespace) -> Settings:
    """Return the settings that the options ask for."""
    patterns = args.rows or (QUICK[args.subject] if args.quick else "*")
    rows = select(patterns, SUBJECTS[args.subject])
    rounds = args.rounds or (QUICK_ROUNDS if args.quick else ROUNDS)
    return Settings(args.subject, rows, rounds, args.quick, not args.without_peers)


def show(runs: list[Results], args: argparse.Namespace) -> None:
    """Write the files that the options name, and print the table."""
    if args.json:
        runs[0].write(args.json)
    if args.plot and runs[0].rows:
        plot.plot(runs, args.plot)
    output.say(report.markdown(*runs) if args.markdown else report.text(*runs))
