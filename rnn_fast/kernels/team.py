"""Threads on one program: a leader, and helpers that take items of its work.

The leader opens a phase of n items, takes items as the helpers do, and goes on when all are done.
It waits only for threads that hold an item: a helper that comes late, or never, or that the system
sets aside between two items, costs nothing except its help.  An item writes the same numbers
whichever thread takes it, so the result has the same bits on any number of threads.

A thread with nothing to do waits for some microseconds, then sleeps: the thread that holds the last
item may need the core.
"""

from __future__ import annotations

from ..jit import kernel
from ..layout.batch_records import TEAM
from ..simd import call_with, fetch_add, load_acquire, pause, replace, store_release

NONE, OVER = -1, -2  # in place of an item
SPINS = 2000  # pauses before a thread sleeps, of 20 to 60 ns each
NAP = 50  # microseconds


@kernel
def open_phase(sync, n):
    """Let items 0 .. n - 1 be taken."""
    phase = (sync[TEAM.phase] + 1) & 0x7FFFFFFF
    sync[TEAM.phase], sync[TEAM.items] = phase, n
    store_release(sync + TEAM.ticket, (phase << 32) | n)


@kernel
def take(sync):
    """Take an item of the open phase; return `NONE` if none is left, or `OVER`."""
    while True:
        ticket = load_acquire(sync + TEAM.ticket)
        if ticket < 0:
            return OVER
        left = ticket & 0xFFFFFFFF
        if left == 0:
            return NONE
        if replace(sync + TEAM.ticket, ticket, ticket - 1):
            return sync[TEAM.items] - left


@kernel
def finish(sync):
    """Count an item as done."""
    fetch_add(sync + TEAM.done, 1)


@kernel
def close_phase(sync, n):
    """Wait until all n items are done."""
    rests = 0
    while load_acquire(sync + TEAM.done) < n:
        rests = rest(sync, rests)
    store_release(sync + TEAM.done, 0)


@kernel
def end_work(sync):
    """Release the helpers."""
    store_release(sync + TEAM.ticket, -1)


@kernel
def rest(sync, rests):
    """Wait a little, for the `rests`-th time; return the number of the next wait."""
    if rests < SPINS or sync[TEAM.sleep] == 0:
        pause()
    else:
        call_with(sync[TEAM.sleep], NAP)
    return rests + 1
