"""Run cases again, by their seeds, or run many: `python tests/fuzz/replay.py SEED ...`.

`python tests/fuzz/replay.py --calls 100000` runs new ones from seed `--first` on, and prints what
they came to.
"""

from __future__ import annotations

import argparse
import itertools


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="*", help="cases to run in this process")
    parser.add_argument("--calls", type=int, default=0, help="number of calls to make by workers")
    parser.add_argument("--first", type=int, default=0, help="first seed of these")
    parser.add_argument("--only", default="", help="one action alone, such as fit")
    chosen = parser.parse_args()
    if chosen.calls:
        from pool import run_all

        parts = [(at, at + 50) for at in range(chosen.first, chosen.first + chosen.calls, 50)]
        print(run_all(parts, chosen.only, chosen.calls))
    if chosen.seeds:
        import worker

        worker.faulthandler.enable()
        worker.prepare()
        for seed in chosen.seeds:
            report = worker.run_case(seed, chosen.only)
            print(report.pop("trace", ""), *itertools.chain(report.items()), sep="\n")


if __name__ == "__main__":
    main()
