"""Choice of driver and register tile, and an estimate of the time of work."""

from __future__ import annotations

import functools
from typing import NamedTuple

from ..cells.specs import CELLS
from ..jit import processor, vector_bytes, vector_registers
from ..layout.batch import bytes_per_step
from ..layout.memory import round_up
from ..layout.network import Network, parameter_offsets
from ..layout.unit_tables import UnitTile
from ..tuning import TUNING


def seconds_per_row(net: Network) -> float:
    """Estimate the seconds that one step of one sequence takes to train on one core."""
    gates = net.runs * net.hidden_size * (1 + net.gates)
    weights = net.n_parameters - net.input_size * net.embedding
    return 6 * weights / 50e9 + gates * 0.5e-9


def vector_lanes(net: Network) -> int:
    """Return the numbers in a vector register."""
    return vector_bytes() // net.dtype.itemsize


def runs_online(net: Network) -> bool:
    """Return whether the single driver has all that the network needs."""
    plain = CELLS[net.cell].is_elementwise and net.runs == 1
    return plain and not (net.sequences or net.embedding or net.learned_state)


def runs_singly(net: Network, batch: int) -> bool:
    """Return whether samples run one after another, by the single driver.

    That pays for a batch that does not fill the lanes, unless the network is very small: at 7
    samples and H = 64 it took 0.72 of the time, measured on AVX2.
    """
    few = batch < min(vector_lanes(net), 8) and 3 * batch <= net.hidden_size
    return runs_online(net) and net.hidden_size <= 64 and (batch == 1 or few)


def unit_tile(batch: int) -> UnitTile:
    """Return the register tiles of the units driver for batches of so many samples."""
    vecs = TUNING.unit_vecs[vector_registers()]
    rows = next((rows for rows in vecs if batch <= rows), max(vecs))
    accumulators = vector_registers() // 2
    return UnitTile(rows, vecs[rows], accumulators // vecs[rows], accumulators // 2)


SINGLE_VECS = (1, 2, 4)  #: registers of units of the single driver's tiles


def single_tile(net: Network) -> tuple[int, int]:
    """Return rows and registers of the single driver's tile: the least that hold the units."""
    registers = -(-net.hidden_size // vector_lanes(net))
    return tile_of_vecs(next((vecs for vecs in SINGLE_VECS if registers <= vecs), SINGLE_VECS[-1]))


def tile_of_vecs(vecs: int) -> tuple[int, int]:
    """Return rows and registers of a tile of eight sums: an FMA's latency times its throughput."""
    return 8 // vecs, vecs


class Tile(NamedTuple):
    """A register tile of the batch driver."""

    rows: int
    vecs: int
    numbers: int  # in a vector
    tail: int = 0  # vectors of the tile of a small last block; 0: as the others

    @property
    def lanes(self) -> int:
        """Samples in a block."""
        return self.vecs * self.numbers

    @property
    def tail_lanes(self) -> int:
        """Samples in a small last block."""
        return self.tail * self.numbers


def batch_tile(net: Network, T: int, batch: int) -> Tile:
    """Return the register tile for mini-batches, see `cheapest_tile`."""
    return cheapest_tile(net, T, batch, TUNING.changes)


@functools.lru_cache(1024)
def cheapest_tile(net: Network, T: int, batch: int, changes: int) -> Tile:
    """Return the register tile that takes the least time for mini-batches.

    Vectors of half a register waste less of a batch.  They compute at the same speed where the
    processor splits whole ones, but take more instructions: per number 1.02 of the time at H = 50,
    1.07 at 16, 1.5 at 2.  A wide block reads the weights less often, and takes fewer steps.
    """
    H, columns = net.hidden_size, net.run_input(0) + 1 + net.hidden_size
    splits = processor() in TUNING.splitting
    far = net.gates * H * columns * net.dtype.itemsize > TUNING.near_bytes

    def block_cost(rows: int, lanes: int, parts: int, relative: float) -> float:
        """Time of a step of a block, in multiplications of a number."""
        weights = columns * (round_up(net.gates * H, rows) + round_up(H, rows))
        crowded = 1 + 0.01 * lanes * T * bytes_per_step(net) / TUNING.crowded_bytes
        parted = (1 if splits else parts) * (1 + (parts - 1) / H)
        weight = lanes * relative * crowded * parted + far * TUNING.reading_cost
        return weights * weight + TUNING.step_cost

    costs = {}  # of a step of all blocks
    for rows, vecs, parts, relative in TUNING.tiles[vector_registers()]:
        tile = Tile(rows, vecs, vector_lanes(net) // parts)
        whole, rest = divmod(batch, tile.lanes)
        cost = block_cost(rows, tile.lanes, parts, relative)
        costs[tile] = (whole + (rest > 0)) * cost
        tail = -(-rest // tile.numbers)
        if whole and tail in TUNING.tails and tail < vecs and blocks_are_groups(net, whole + 1):
            own = block_cost(rows, tail * tile.numbers, parts, relative * TUNING.tail_cost)
            costs[tile._replace(tail=tail)] = TUNING.tail_favour * (whole * cost + own)
    return min(costs, key=costs.__getitem__)


def blocks_are_groups(net: Network, blocks: int) -> bool:
    """Return whether each block of a batch has memory for gradients of its own."""
    numbers = blocks * parameter_offsets(net).embedding
    few = blocks <= TUNING.max_groups and numbers <= TUNING.gradient_numbers // 2
    return few and not net.embedding


def runs_in_units(net: Network, T: int, batch: int) -> bool:
    """Return whether batches of so many samples run with units in lanes.

    Both drivers fill whole registers and whole tiles, the one with units and the other with
    samples; their time is about proportional to what they fill.  The units driver calls the cell
    for each sample, which few units feel, and holds the states of all samples at once.
    """
    if batch <= TUNING.unit_samples:
        return True
    tile, whole, H = batch_tile(net, T, batch), vector_lanes(net), net.hidden_size
    crowded = 0.01 * T * bytes_per_step(net) / TUNING.crowded_bytes
    cost = (1 + TUNING.unit_calls / H**2) * (1 + crowded * batch)
    cost *= round_up(H, whole) * round_up(batch, unit_tile(batch).rows)
    other = 1.0 if tile.numbers == whole else TUNING.half_cost
    return cost <= other * (1 + crowded * tile.lanes) * H * round_up(batch, tile.lanes)
