"""The command line: ``rnn-fast train``, ``predict``, ``export``, ``study``, ``bench``, ``build``.

Exit codes: 0 done; 1 failed while running, such as training that diverged; 2 wrong usage or bad
input; 130 interrupted by Ctrl-C; 143 ended by SIGTERM.  Results go to standard output, progress and
errors to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import CompilerMissing, DivergedError, Terminated
from . import output
from .bench import add_bench
from .build import add_build
from .export import add_export
from .predict import add_predict
from .study import add_study
from .train import add_train

# ------------------------------------------------------------------------------------ arguments


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and options."""
    top = argparse.ArgumentParser(
        prog="rnn-fast", description="Train recurrent networks on a CPU, compiled from end to end."
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_train(commands.add_parser)
    add_predict(commands.add_parser)
    add_export(commands.add_parser)
    add_study(commands.add_parser)
    add_bench(commands.add_parser)
    add_build(commands.add_parser)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments.  Default: the arguments of the process.

    Returns
    -------
    int
        The exit code.  Wrong usage raises SystemExit(2) instead, as argparse does.
    """
    try:
        return run(parser().parse_args(argv))
    finally:
        output.settle()


def run(args: argparse.Namespace) -> int:
    """Run the command that the arguments name; return the exit code."""
    try:
        args.run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        return fail(str(error) or "interrupted", 130)
    except Terminated as error:
        return fail(str(error), 143)
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        return 0
    except MemoryError as error:
        return fail(f"out of memory: {error}", 1)
    except (CompilerMissing, DivergedError, OSError) as error:
        return fail(str(error), 1)
    except (ValueError, TypeError) as error:
        return fail(str(error), 2)
    return 0


def fail(message: str, code: int) -> int:
    """Print an error on one line; return `code`."""
    output.complain(f"rnn-fast: error: {' '.join(message.split())}")
    return code
