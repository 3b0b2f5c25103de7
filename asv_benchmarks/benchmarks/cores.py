"""Choice of the core that is least busy.  This module imports nothing from the package."""

import os
from pathlib import Path
from time import sleep


def busy() -> dict[int, int]:
    """Return the ticks that each core has worked so far, for all processes."""
    ticks = {}
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu") and line[3].isdigit():
            core, *fields = line.split()
            counts = [int(field) for field in fields]
            ticks[int(core[3:])] = sum(counts) - counts[3] - counts[4]  # except idle, iowait
    return ticks


def idlest(seconds: float = 0.1) -> int:
    """Return the least busy core that this process may use; the last core if all are idle."""
    allowed = sorted(os.sched_getaffinity(0), reverse=True)
    before = busy()
    sleep(seconds)
    after = busy()
    return min(allowed, key=lambda core: after[core] - before[core])


def bind() -> None:
    """Bind this process to the least busy core, if the system supports it."""
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {idlest()})
