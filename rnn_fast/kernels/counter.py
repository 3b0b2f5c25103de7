"""Random numbers of a seed and a counter."""

from __future__ import annotations

from numba import int64, uint64

from ..jit import kernel


@kernel
def mixed(seed, counter):
    """Return 64 bits of (seed, counter): SplitMix64 (Steele et al., 2014)."""
    x = uint64(seed) + uint64(counter) * uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94D049BB133111EB)
    return x ^ (x >> uint64(31))


@kernel
def draw(seed, counter):
    """Return the number in [0, 1) of (seed, counter).

    The number depends on nothing else, so that masks are the same however samples are spread over
    lanes and threads.
    """
    return float(int64(mixed(seed, counter) >> uint64(11))) * 2.0**-53
