"""Drivers: the time loops, generic over the cell.

`lanes` runs many samples side by side, one in each lane of a register; `units` runs one sample,
with hidden units in the lanes.
"""

from __future__ import annotations
