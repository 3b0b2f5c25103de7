"""Random calls of the whole public interface, each in a worker whose death is a failure.

`python tests/fuzz/replay.py SEED` runs one case again, under a debugger if you like, and
``python tests/fuzz/replay.py --calls 100000 --first 10**6`` runs new ones.  A plain generator draws
the cases, not Hypothesis: a seed replays in any process, a case costs no bookkeeping, and what is
drawn is small already, so that there is little to shrink.
"""

from __future__ import annotations

import os

import pytest
from pool import Worker, run_all
from worlds import BLOCK, CORE

#: cases of each block of seeds in every run
FEW = 20
#: calls of a sweep
CALLS = int(os.environ.get("FUZZ_CALLS", "20000"))
CONFIGURATIONS = 2500


def check(result, least_calls):
    print(result)
    assert not result.faults, result
    assert result.tally["calls"] >= least_calls


#: kinds of programs that are not left to the sweep: each compiles for 15 s
QUICK = range(0, len(CORE), 3)


@pytest.mark.parametrize("blocks", [QUICK, pytest.param(range(len(CORE)), marks=pytest.mark.sweep)])
def test_random_calls_are_right_or_refused(blocks):
    result = run_all([(b * BLOCK, b * BLOCK + FEW) for b in blocks])
    check(result, FEW * len(blocks))
    assert result.tally["right"] > 0.3 * result.tally["calls"]  # the cases are not all refused


@pytest.mark.sweep
def test_twenty_thousand_calls():
    parts = [(at, at + 50) for at in range(10**6, 10**6 + CALLS, 50)]
    check(run_all(parts, n_calls=CALLS), CALLS)


@pytest.mark.sweep
def test_gradients_losses_and_states_of_2500_configurations():
    """25 models of each of 100 blocks of seeds, so that all cells, tiles and dtypes come by."""
    parts = [(at, at + 25) for at in range(2 * 10**6, 2 * 10**6 + 100 * BLOCK, BLOCK)]
    result = run_all(parts, "measures")
    check(result, 3 * 2500)
    assert result.tally["right"] == result.tally["calls"]


DOOMED = """
import faulthandler, json, os, sys, time
for line in sys.stdin:
    first, stop = map(int, line.split())
    for seed in range(first, stop):
        print(json.dumps({"began": seed}), flush=True)
        if seed == 2:
            os.abort()
        if seed == 3 and not os.path.exists(__file__ + ".once"):
            open(__file__ + ".once", "w").close()
            os.kill(os.getpid(), 9)
        if seed == 4:
            faulthandler.dump_traceback_later(0.1, exit=True)
            time.sleep(60)
        print(json.dumps({"seed": seed, "tally": {"calls": 1}}), flush=True)
    print(json.dumps({"done": line}), flush=True)
"""


def test_a_worker_that_dies_or_hangs_names_its_seed(tmp_path):
    script = tmp_path / "doomed.py"
    script.write_text(DOOMED)
    worker = Worker(script)
    reports = [*worker.run(0, 6)]
    worker.close()
    assert [report["seed"] for report in reports] == [*range(6)]
    found = {report["seed"]: report["fault"] for report in reports if "fault" in report}
    assert found == {2: "crash", 4: "hang"}
    assert "Timeout" in reports[4]["trace"]
