"""Drivers: the time loops, generic over the cell.

`batch` runs many samples side by side, one in each lane of a register; `single` runs one sample,
with hidden units in the lanes.
"""

from __future__ import annotations
