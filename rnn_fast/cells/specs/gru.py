"""The GRU, gates r z n, which resets after the product or before it.

Equations in `cells.kernels.gru` and `cells.kernels.gru_before`.
"""

from __future__ import annotations

from .cell import CELLS, Cell, Row, Vector

CELLS.add(
    Cell(
        name="gru",
        kernels="rnn_fast.cells.kernels.gru",
        gates=("r", "z", "n"),
        rows=(  # the part of n that r does not scale, r, z, the part that r scales
            Row("n_x", "n", "x1"),
            Row("r", "r"),
            Row("z", "z"),
            Row("n_h", "n", "1h", bias="bhn"),
        ),
        vectors=(Vector("bhn"),),
        carries=True,
    )
)
CELLS.add(
    Cell(
        name="gru_before",
        kernels="rnn_fast.cells.kernels.gru_before",
        gates=("r", "z", "n"),
        rows=(Row("r h"), Row("r", "r"), Row("z", "z"), Row("n", "n", "x1", late="r h")),
        carries=True,
    )
)
