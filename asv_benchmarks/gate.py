"""Compare the speed of a branch with its base, and return one exit status.

    python asv_benchmarks/gate.py BASE [HEAD]

BASE and HEAD are commits, branches or tags.  Default of HEAD: the working tree, with all
uncommitted changes.  Exit status:

0   No regression.
1   A regression, named with its figures, and confirmed by a second run.
2   A benchmark was not measured: gone, failed, crashed, out of time, not a number.  Never a pass.

``asv_benchmarks/README.md`` describes the measurements.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
import traceback
from pathlib import Path

from gating import verdict as judge

HERE = Path(__file__).parent
RESULTS = HERE / "env" / "gate-results"
MORE = 3  #: extra rounds in the second run


def main(arguments: list[str] | None = None) -> int:
    """Run the gate, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("head", metavar="HEAD", nargs="?")
    parser.add_argument(
        "--removed", default="", metavar="REGEX", help="benchmarks that were removed on purpose"
    )
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="measure only these; no verdict on the rest"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        from gating.sides import CannotBuild
    except ImportError as error:
        print(f'NOT MEASURED: {error}; python -m pip install ".[bench]"')
        return judge.UNMEASURED
    try:
        code = compare(options)
    except CannotBuild as error:
        print(f"\nNOT MEASURED: {error}")
        code = judge.UNMEASURED
    except (Exception, KeyboardInterrupt):  # neither a pass nor a regression
        traceback.print_exc()
        print("\nNOT MEASURED: the gate itself failed")
        code = judge.UNMEASURED
    print(f"exit status {code}, after {time.monotonic() - started:.0f} s; files in {RESULTS}")
    return code


def compare(options: argparse.Namespace) -> int:
    """Build both sides, measure, and judge by the result files."""
    from gating.rounds import Rounds
    from gating.sides import Side, environment_of_asv

    environment = environment_of_asv()
    base, head = Side("base", options.base), Side("head", options.head)
    for side in (base, head):
        side.build(environment)
    own = base.discover(base.benchmarks) if base.benchmarks.is_dir() else []
    benchmarks = head.discover(head.benchmarks)
    base.discover(head.benchmarks)  # fails unless base can import head's suite
    names = judge.listed(benchmarks)
    items = [i for i in names if judge.is_tracked(i) and re.search(options.only, names[i])]
    print(f"{head.label} against {base.label}: {len(items)} benchmarks", flush=True)
    shutil.rmtree(RESULTS, ignore_errors=True)

    rounds = Rounds(base, head, benchmarks)
    rounds.prepare(items)
    rounds.measure(items)
    first = rounds.write(RESULTS / "first", own)
    sides = [judge.read(folder) for folder in first]
    verdict = judge.compare(*sides, only=options.only, removed=options.removed)
    if verdict.suspects:
        print(f"\n{len(verdict.suspects)} suspected; once more:", flush=True)
        rounds.reset()
        rounds.prepare([item for item in verdict.suspects if not rounds.rounds_of(item)])
        rounds.measure(verdict.suspects, MORE)
        second = rounds.write(RESULTS / "second", own)
        again = judge.compare(*map(judge.read, second), chosen=verdict.suspects)
        judge.confirm(verdict, again)
    print("\n" + judge.report(verdict, *sides))
    return verdict.code


if __name__ == "__main__":
    sys.exit(main())
