"""Settings for all tests."""

import sys
from pathlib import Path

import pytest

from rnn_fast.tuning import TUNING, tuned

for folder in ("support", "cells", "losses", "optimizers"):  # shared helpers; what only tests name
    sys.path.insert(0, str(Path(__file__).parent / folder))


@pytest.fixture
def one_tile():
    """Use the first register tile alone, for each further one costs a compilation.

    Of the units driver's tiles those of one row and of four.
    """
    few = {n: {rows: vecs[rows] for rows in (1, 4)} for n, vecs in TUNING.unit_vecs.items()}
    with tuned(tiles={n: tiles[:1] for n, tiles in TUNING.tiles.items()}, unit_vecs=few):
        yield
