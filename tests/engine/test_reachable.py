"""Every program that a model can ask for is in a group of its level's pack."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_fast.cells.specs import CELLS
from rnn_fast.engine.loss import LOSS
from rnn_fast.engine.operations import BATCH_EPOCH, SINGLE_EPOCH, UNIT_EPOCH
from rnn_fast.engine.reachable import groups
from rnn_fast.engine.tiling import batch_tile, single_tile, unit_tile
from rnn_fast.jit.shipped import group_name
from rnn_fast.layout.network import Network

pytestmark = pytest.mark.all_tiles


def names(program, dtype, tile):
    return group_name(program.module, program.factory, dtype, tile)


def test_groups_have_names_of_their_own():
    found = [group.name for group in groups()]
    assert len(set(found)) == len(found) > 50


def test_every_tile_that_is_chosen_is_in_a_group():
    known = {group.name for group in groups()}
    rng = np.random.default_rng(0)
    asked = set()
    for _ in range(4000):
        I, H, O = (int(x) for x in np.exp(rng.uniform(0, np.log(300), 3)))
        dtype, cell = rng.choice(["float32", "float64"]), rng.choice(list(CELLS))
        layers = int(rng.integers(1, 3))
        net = Network(str(cell), np.dtype(str(dtype)), I, H, O, "mse", layers=layers)
        T, batch = int(np.exp(rng.uniform(0, 7))), int(np.exp(rng.uniform(0, 7)))
        asked.add(names(BATCH_EPOCH, net.dtype.name, batch_tile(net, T, batch)))
        asked.add(names(UNIT_EPOCH, net.dtype.name, unit_tile(batch)))
        asked.add(names(SINGLE_EPOCH, net.dtype.name, single_tile(net)))
        asked.add(names(LOSS, net.dtype.name, (batch_tile(net, T, batch).numbers,)))
    assert asked <= known
    assert len(asked) > 20


def test_a_group_has_the_cells_that_its_driver_runs():
    for group in groups():
        if group.program is SINGLE_EPOCH:
            assert all(CELLS[name].is_elementwise for name in group.members)
        elif group.program in (BATCH_EPOCH, UNIT_EPOCH):
            assert {"gru", "lstm", "tanh"} <= set(group.members)
        elif group.program is LOSS:
            assert {"bce", "mse"} <= set(group.members)
