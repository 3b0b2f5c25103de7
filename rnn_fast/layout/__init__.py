"""What is computed, and how parameters and work memory are laid out: plain arithmetic.

A network is a stack of layers, each read in one direction or both; one layer in one direction is a
*run*.  The parameters of run r are a matrix, and a few numbers per unit behind it; then come the
read-out, the initial state and the embedding, all in one flat vector::

    W (G H, I + 1 + H)   columns [Wxh | bh | Whh]    a_t = W z_t,   z_t = [x_t; 1; h_{t-1}]
    V (O, 1 + D H)       columns [by | Why]          logits = V [1; y_t]

A bias is the weight of a constant one, so a layer is one product and one gradient.

The drivers know no cell: which rows of W meet which rows of z, forward and backward, is written
into tables here, by Python, and read by the kernels.  A driver's work memory is one array; the
sizes of its buffers are said here as well, once.
"""

from __future__ import annotations

__all__ = [
    "CELLS",
    "LOSSES",
    "OPTIMIZERS",
    "STATE_ROWS",
    "TASKS",
    "TEAM",
    "Cell",
    "Knobs",
    "LaneBuffers",
    "LaneJob",
    "LaneLayout",
    "LaneSizes",
    "Line",
    "Network",
    "OnlineBlock",
    "Pack",
    "Product",
    "RankK",
    "RunBuffers",
    "RunSizes",
    "Task",
    "Team",
    "UnitBuffers",
    "UnitSizes",
    "Unpack",
    "bytes_per_step",
    "offsets",
    "parameter_offsets",
    "round_up",
    "unit_layout",
]
