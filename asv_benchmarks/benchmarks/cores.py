"""Which core to measure on: the one that is least busy.  It imports nothing of the package."""

import os
from pathlib import Path
from time import sleep


def busy() -> dict[int, int]:
    """Ticks that each core has worked so far, for anybody."""
    ticks = {}
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu") and line[3].isdigit():
            core, *fields = line.split()
            counts = [int(field) for field in fields]
            ticks[int(core[3:])] = sum(counts) - counts[3] - counts[4]  # but for idle, iowait
    return ticks


def idlest(seconds: float = 0.1) -> int:
    """The core, of those this process may use, that works least; the last one if all rest."""
    allowed = sorted(os.sched_getaffinity(0), reverse=True)
    before = busy()
    sleep(seconds)
    after = busy()
    return min(allowed, key=lambda core: after[core] - before[core])


def bind() -> None:
    """Bind this process to that core, where the system knows how."""
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {idlest()})
