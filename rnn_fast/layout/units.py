"""The units driver's memory: sizes of buffers, and the tables of its products and gradients."""

from __future__ import annotations

import numpy as np

from ..cells.specs import Cell
from .memory import round_up
from .network import Network
from .unit_records import UnitBuffers, UnitRunBuffers, UnitSizes
from .unit_tables import READ_ROWS, UnitTables, UnitTile, line


class UnitLayout:
    """Sizes, buffers and tables of the units driver.

    Parameters
    ----------
    net : Network
    T : int
        Steps there must be room for.
    batch : int
        Samples of a batch.
    tile : UnitTile
    lanes : int
        Numbers in a register.
    moments : int
        Rows of the optimizer's state.
    dropout, readout_dropout, input_gradients : bool
        Whether there must be room for masks, for a mask of the top layer, for the gradient with
        respect to the input.
    forward_only : bool
        Whether there is no backward pass.

    Attributes
    ----------
    samples : int
        Rows of a step.
    """

    def __init__(
        self,
        net: Network,
        T: int,
        batch: int,
        tile: UnitTile,
        lanes: int,
        moments: int = 0,
        *,
        dropout: bool = False,
        readout_dropout: bool = False,
        input_gradients: bool = False,
        forward_only: bool = False,
    ):
        self.net, self.T, self.tile, self.lanes = net, T, tile, lanes
        self.dropout, self.trains, self.moments = dropout, not forward_only, moments
        self.readout_dropout = readout_dropout
        self.to_input = input_gradients or net.embedding > 0
        self.tables = tables = UnitTables(net, tile, lanes, self.to_input)
        self.samples, self.height = round_up(batch, tile.rows), tables.height
        cell: Cell = tables.cell
        self.cell, self.Hp = cell, tables.Hp
        self.a_step, self.h_step = line(len(cell.rows) * self.Hp, lanes), line(self.Hp, lanes)
        self.da_step = line(cell.n_grads * self.Hp, lanes)
        widest = 1 + max(net.run_input(run) for run in range(net.runs))  # dx, with a column of 1
        self.dy_step = line(max(self.height + self.Hp - net.hidden_size, widest), lanes)
        row = self.da_step * self.samples * net.dtype.itemsize
        steps = max(65536 // row, 64 // self.samples, 1)
        self.chunk = min(T, round_up(steps, tile.steps))

    # ------------------------------------------------------------------------------- sizes

    def buffers(self) -> list[int]:
        """The elements of each buffer: `UnitBuffers`, then the `UnitRunBuffers` of each run."""
        net, lanes, Hp, S = self.net, self.lanes, self.Hp, self.samples
        tables = self.tables
        spare = self.tile.steps - 1  # a product of many steps reads and writes whole tiles
        rows, trains = self.T * S + spare, self.trains
        every = net.sequences or net.layers > 1
        two = self.cell.has_memory
        read = round_up(max(self.height, net.output_size), READ_ROWS) * lanes
        down = trains and (net.layers > 1 or self.to_input)
        sizes = list(
            UnitBuffers(
                da=(self.chunk * S + spare) * self.da_step if trains else 0,
                dh=S * Hp,
                dc=S * Hp if two else 0,
                dlate=S * Hp,
                dy=(rows if every else S) * self.dy_step if trains else 0,
                dx=rows * self.dy_step if down else 0,
                top=round_up(1 + self.height, READ_ROWS) * lanes,
                dtop=read,
                logits=read,
                targets=net.target_size * lanes,
                weights=lanes,
                losses=lanes,
                hits=lanes,
                panel=lanes * lanes,
                dv=tables.dv if trains else 0,
                lengths=round_up(S, lanes),
                w=tables.n_parameters,
                turned=tables.n_turned,
                dw=tables.n_parameters if trains else 0,
                moments=self.moments * tables.n_parameters,
                penalties=2 * tables.n_parameters if trains else 0,
            )
        )
        for place in range(net.runs):
            below = place < net.runs - net.directions
            masked = self.dropout if below else self.readout_dropout
            masked = masked and place % net.directions == 0
            sizes += UnitRunBuffers(
                x=rows * tables.rows["runs"][place].x_step,
                a=rows * self.a_step,
                h=(self.T + 1) * S * self.h_step,
                c=(self.T + 1) * S * self.h_step if two else 0,
                mask=self.T * S * self.height if masked else 0,
            )
        return sizes

    def places(self) -> np.ndarray:
        """Return the place of each flat parameter, without an embedding, in `UnitBuffers.w`."""
        found = np.zeros(self.tables.at.embedding, np.int64)
        for rows in self.tables.rows["rows"]:
            r, k = np.arange(rows.n_rows)[:, None], np.arange(rows.n)
            there = r + k * rows.step if rows.turned else r * rows.step + k
            found[rows.flat + r * rows.down + k] = rows.at + there
        return found

    def place(self, offsets: np.ndarray) -> UnitSizes:
        """Sizes for kernels, once `buffers` have their offsets.

        The sizes hold addresses of arrays that live as long as this object.
        """
        net, tables = self.net, self.tables
        self.arrays = {name: np.array(rows, np.int64) for name, rows in tables.rows.items()}
        places = offsets[len(UnitBuffers._fields) :].reshape(net.runs, -1)
        self.arrays["places"] = np.ascontiguousarray(places)
        self.arrays["options"] = np.array(net.cell_options, np.float64)
        address = {name: table.ctypes.data for name, table in self.arrays.items()}
        counted = ("turns", "rows", "packs", "unpacks")
        return UnitSizes(
            T=self.T,
            H=net.hidden_size,
            O=net.output_size,
            Y=net.target_size,
            layers=net.layers,
            directions=net.directions,
            states=net.states,
            sequences=int(net.sequences),
            embedding=net.embedding,
            dropout=int(self.dropout),
            readout_dropout=int(self.readout_dropout),
            skip=int(net.skip),
            learned_state=int(net.learned_state),
            carries=int(self.cell.carries),
            samples=self.samples,
            Hp=self.Hp,
            a_step=self.a_step,
            h_step=self.h_step,
            da_step=self.da_step,
            dy_step=self.dy_step,
            n_grads=self.cell.n_grads,
            chunk=self.chunk,
            parameters=tables.n_parameters,
            vectors=tables.n_vectors,
            dv=tables.dv,
            v=tables.v,
            narrow=int(tables.narrow),
            v_forward=tables.v_forward,
            v_backward=tables.v_backward,
            state_at=tables.at.state,
            embedding_at=tables.at.embedding,
            **{f"n_{name}": len(tables.rows[name]) for name in counted},
            **address,
        )
