"""A process that runs cases, and says each one's seed before it begins.

It reads lines ``first stop [only]`` and answers with a line of JSON before and after each case.  A
case that takes too long ends the process with the stacks of its threads.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).parents[1] / "support"))

import numpy as np
from applying import evaluate, gradients, measures, predict
from judge import Fault, World
from keeping import (
    assign,
    assign_in_place,
    construct,
    duplicate,
    save,
    small_objects,
    through_torch,
)
from learning import fit, resume, stream
from stepping import online
from worlds import programs_of

from rnn_fast.tuning import TUNING, tuned

ACTIONS: dict[Any, int] = {
    construct: 2,
    small_objects: 2,
    predict: 6,
    evaluate: 3,
    gradients: 4,
    online: 3,
    fit: 9,
    stream: 3,
    resume: 2,
    save: 2,
    duplicate: 1,
    assign: 2,
    assign_in_place: 1,
    through_torch: 1,
    measures: 1,
}
CALLS = [action for action, weight in ACTIONS.items() for _ in range(weight)]
SECONDS = 120  #: that a case may take, the compilation of its programs included
MEMORY = 12 << 30  #: bytes of addresses, so that absurd sizes are a MemoryError


def constants(seed: int) -> dict[str, Any]:
    """Draw tuned constants, so that small cases take the ways of large ones."""
    rng = np.random.default_rng([seed, 1])
    pick = lambda *values: values[int(rng.integers(len(values)))]  # noqa: E731
    return {
        "tiles": {n: tiles[programs_of(seed).tile :][:1] for n, tiles in TUNING.tiles.items()},
        "worth_seconds": pick(0.0, TUNING.worth_seconds),  # 0: threads always join in
        "predict_steps": pick(1, 3, 7, TUNING.predict_steps),
        "gradient_numbers": pick(1, 500, TUNING.gradient_numbers),
        "max_groups": pick(1, 2, TUNING.max_groups),
        "piece_seconds": pick(0.0, TUNING.piece_seconds),
        "block_bytes": pick(1, 500, TUNING.block_bytes),
    }


def run_case(seed: int, only: str = "") -> dict[str, Any]:
    """Run the case of a seed; return its tally, and its fault if there is one."""
    chosen = [action for action in CALLS if only in ("", action.__name__)]
    report: dict[str, Any] = {"seed": seed}
    with tempfile.TemporaryDirectory() as folder, tuned(**constants(seed)):
        world = None
        try:
            world = World(seed, Path(folder))
            for _ in range(int(world.rng.integers(1, 5))):
                world.pick(chosen)(world)
        except Fault as fault:
            report |= {"fault": fault.kind, "text": str(fault), "trace": traceback.format_exc()}
        except Exception as error:
            report |= {"fault": "case", "text": repr(error), "trace": traceback.format_exc()}
        report["tally"] = dict(world.tally) if world else {}
    return report


def prepare() -> None:
    """Make warnings errors, and limit the memory."""
    warnings.simplefilter("error")
    # what the cases themselves do to arrays
    warnings.filterwarnings("ignore", "Setting the (shape|strides|dtype)")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what is printed is not an answer
    faulthandler.enable()
    prepare()
    for line in sys.stdin:
        first, stop, *only = line.split()
        for seed in range(int(first), int(stop)):
            answers.write(json.dumps({"began": seed}) + "\n")
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            began = time.perf_counter()
            report = run_case(seed, *only)
            faulthandler.cancel_dump_traceback_later()
            report["seconds"] = time.perf_counter() - began
            answers.write(json.dumps(report) + "\n")
        gc.collect()
        answers.write(json.dumps({"done": line}) + "\n")


if __name__ == "__main__":
    main()
