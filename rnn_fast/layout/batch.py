"""Sizes of the batch driver's buffers, and the tables it reads."""

from __future__ import annotations

import numpy as np

from ..cells.specs import CELLS, Cell
from .batch_records import (
    BatchBuffers,
    BatchSizes,
    Line,
    Pack,
    RunBuffers,
    Unpack,
)
from .memory import round_up
from .network import Network, parameter_offsets
from .run_tables import PACKED, RunTables


def gradient_size(n_rows: int, n_columns: int, rows: int, lanes: int, vecs: int) -> int:
    """Elements that accumulate the gradient of a matrix.

    Whole panels of `lanes` columns and, for the first ``n_columns % lanes`` columns, one vector
    register per weight.
    """
    rest, padded = n_columns % lanes, round_up(n_rows, rows)
    return padded * (n_columns - rest) + padded * round_up(rest, vecs) * (lanes // vecs)


def bytes_per_step(net: Network) -> int:
    """Bytes of states and activations that one sample takes for one step, in training.

    Each run keeps its input, a one and h, the rows that its cell's backward pass reads, and c.  A
    layer that hands a gradient down at every step keeps that too.  A block of lanes takes this
    times T and the lanes, and is the only one in memory: a batch of any size takes no more.
    """
    cell, H, D = CELLS[net.cell], net.hidden_size, net.directions
    numbers = sum(net.run_input(run) + 1 + H for run in range(net.runs))
    numbers += net.runs * H * (len(cell.rows) * cell.keeps_rows + cell.n_states - 1)
    numbers += D * H * (net.layers - 1 + net.sequences)
    return numbers * net.dtype.itemsize


#: tables that the kernels read; those after the first are `run_tables.Placed`'s
TABLES = ("runs", "products", "rank_ks", "packs", "unpacks", "spreads", "sums")


class BatchLayout:
    """Sizes, buffers and tables of the batch driver.

    Parameters
    ----------
    net : Network
    T : int
        Steps there must be room for.
    tile : (int, int)
        Rows and vectors of a register tile.
    lanes : int
        Samples in a block: numbers in a row of the tile.
    chunk : int
        Steps of the backward pass between weight gradients.
    dropout, readout_dropout, input_gradients : bool
        Whether there must be room for masks, for a mask of the top layer, for the gradient with
        respect to the input.
    forward_only : bool
        Whether there is no backward pass to keep anything for.
    """

    def __init__(
        self,
        net: Network,
        T: int,
        tile: tuple[int, int],
        lanes: int,
        chunk: int,
        *,
        dropout: bool = False,
        readout_dropout: bool = False,
        input_gradients: bool = False,
        forward_only: bool = False,
    ):
        self.net, self.T, self.lanes, self.chunk = net, T, lanes, chunk
        self.cell: Cell = CELLS[net.cell]
        self.rows, self.vecs = tile
        self.dropout, self.readout_dropout = dropout, readout_dropout
        self.joined = net.directions > 1 or readout_dropout
        self.keeps_rows = self.cell.keeps_rows and not forward_only
        self.at = parameter_offsets(net)
        self.read = min(chunk, T) if net.sequences else 1
        self._n_grads = 0
        self._dx_rows = max(
            net.directions * net.hidden_size,
            net.features if input_gradients or net.embedding else 0,
        )
        self._steps = T if net.sequences or net.layers > 1 else 1
        self._dx_steps = T if net.layers > 1 or input_gradients or net.embedding else 0
        self.runs = [
            RunTables(self.cell, net.run_input(run), net.hidden_size, self.rows, lanes)
            for run in range(net.runs)
        ]
        self._accumulators = [
            [self._accumulator(R, C) for R, C in run.gradient_shapes()] for run in self.runs
        ]
        self._vector_sums = [self._room(run.n_vectors * run.h) for run in self.runs]
        O, height = net.output_size, 1 + net.directions * net.hidden_size
        self.narrow = O < lanes  # a tile has more rows than dlogits: take the gradient of V^T
        self.dv = self._accumulator(height, O) if self.narrow else self._accumulator(O, height)
        learned = net.states * net.runs * net.hidden_size * lanes if net.learned_state else 0
        self._state_sums = self._room(learned)

    def _room(self, n: int) -> int:
        """Start of n more numbers among the accumulated gradients."""
        self._n_grads += n
        return self._n_grads - n

    def _accumulator(self, R: int, C: int) -> int:
        """Start of the accumulated gradient of a matrix (R, C)."""
        return self._room(gradient_size(R, C, self.rows, self.lanes, self.vecs))

    # ------------------------------------------------------------------------------ sizes

    def buffers(self) -> list[int]:
        """The elements of each buffer: `BatchBuffers`, then the `RunBuffers` of each run."""
        net, lanes, T = self.net, self.lanes, self.T
        H, DH = net.hidden_size, net.directions * net.hidden_size
        Hp, Op = round_up(H, self.rows), round_up(net.output_size, self.rows)
        # whole tiles reach beyond the last row, as rows or as columns
        spare = (max(self.rows, self.vecs) - 1) * lanes
        two = self.cell.has_memory
        shared = BatchBuffers(
            top=self.read * (1 + DH) * lanes + spare if self.joined else 0,
            logits=self.read * Op * lanes + spare,
            targets=net.target_size * lanes,
            weights=lanes,
            losses=lanes,
            hits=lanes,
            lengths=lanes,
            panel=max(self.chunk, self.read) * lanes * lanes,
            da=self.chunk * self.slot + spare,
            dh=Hp * lanes,
            dc=H * lanes if two else 0,
            held=2 * H * lanes,
            dlate=Hp * lanes,
            dy=self._steps * self.dy_step,
            dx=self._dx_steps * self.dy_step,
            grads=self._n_grads,
        )
        sizes = list(shared)
        for place, run in enumerate(self.runs):
            below = place < net.runs - net.directions
            masked = self.dropout if below else self.readout_dropout
            steps = T if below or net.sequences else 1
            sizes += RunBuffers(
                z=(T + 1) * run.S * lanes + spare,
                a=(T if self.keeps_rows else 1) * len(self.cell.rows) * run.h + spare,
                c=(T + 1) * run.h if two else 0,
                mask=steps * DH * lanes if masked and place % net.directions == 0 else 0,
            )
        return sizes

    def weights(self) -> list[int]:
        """The elements of each buffer of packed weights: those of each run, then V's two."""
        O, DH = self.net.output_size, self.net.directions * self.net.hidden_size
        packed = [size for run in self.runs for size in run.packed_sizes()]
        return [*packed, round_up(O, self.rows) * (1 + DH), round_up(DH, self.rows) * O]

    @property
    def slot(self) -> int:
        """From da_t to da_{t+1}."""
        return self.cell.n_grads * self.net.hidden_size * self.lanes

    @property
    def dy_step(self) -> int:
        """From dy_t to dy_{t+1}."""
        return round_up(self._dx_rows, self.rows) * self.lanes

    # ----------------------------------------------------------------------------- tables

    def place(self, offsets: np.ndarray, weights: np.ndarray) -> BatchSizes:
        """Fill the tables, once `buffers` and `weights` have their offsets; sizes for kernels.

        The sizes hold addresses of arrays that live as long as this object.
        """
        *packed, v_forward, v_backward = weights.tolist()
        records: dict[str, list] = {name: [] for name in TABLES}
        for place, run in enumerate(self.runs):
            placed = run.place(
                self.at.W[place],
                self.at.vectors[place],
                packed[PACKED * place : PACKED * (place + 1)],
                self._accumulators[place],
                self._vector_sums[place],
            )
            sizes = placed.sizes._replace(
                reverse=place % self.net.directions,
                keep=len(self.cell.rows) * run.h if self.keeps_rows else 0,
                product=len(records["products"]),
                rank_k=len(records["rank_ks"]),
                state_sums=self._state_sums + place * run.h,
            )
            records["runs"].append(sizes)
            for name in TABLES[1:]:
                records[name] += getattr(placed, name)
        self._place_readout(records, v_forward, v_backward)
        if self.net.learned_state:
            n = self.net.states * self.net.runs * self.net.hidden_size
            line = Line(flat=self.at.state, n=n, wide=self._state_sums)
            records["sums"].append(line)
        places = offsets[len(BatchBuffers._fields) :].reshape(self.net.runs, -1)
        return self._sizes(records, places, v_forward, v_backward)

    def _place_readout(self, records: dict[str, list], v_forward: int, v_backward: int) -> None:
        """Add the rows of V (O, 1 + D H) to the tables, if there is a head."""
        V, O = self.at.V, self.net.output_size
        if not O:
            return
        DH = self.net.directions * self.net.hidden_size
        records["packs"] += [
            _packed(V, 1 + DH, 1, O, 1 + DH, v_forward),
            _packed(V + 1, 1, 1 + DH, DH, O, v_backward),
        ]
        R, C, down, right = (1 + DH, O, 1, 1 + DH) if self.narrow else (O, 1 + DH, 1 + DH, 1)
        whole = {"row": 0, "n_rows": R, "column": 0, "n_columns": C}
        part = Unpack(grads=self.dv, R=R, C=C, **whole, out=V, down=down, right=right)
        records["unpacks"].append(part)

    def _sizes(
        self,
        records: dict[str, list],
        places: np.ndarray,
        v_forward: int,
        v_backward: int,
    ) -> BatchSizes:
        net, late = self.net, self.runs[0].late_rows
        self.tables = {name: np.array(table, np.int64) for name, table in records.items()}
        self.tables["places"] = np.ascontiguousarray(places)
        self.tables["options"] = np.array(net.cell_options, np.float64)
        address = {name: table.ctypes.data for name, table in self.tables.items()}
        return BatchSizes(
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
            joined=int(self.joined),
            skip=int(net.skip),
            learned_state=int(net.learned_state),
            carries=int(self.cell.carries),
            late_at=late[0] * self.runs[0].h,
            n_late=late[1] * net.hidden_size,
            chunk=self.chunk,
            read=self.read,
            slot=self.slot,
            logit_step=round_up(net.output_size, self.rows) * self.lanes,
            dy_step=self.dy_step,
            grads=self._n_grads,
            dv=self.dv,
            narrow=int(self.narrow),
            v_forward=v_forward,
            v_backward=v_backward,
            state_at=self.at.state,
            embedding_at=self.at.embedding,
            n_packs=len(records["packs"]),
            n_unpacks=len(records["unpacks"]),
            n_spreads=len(records["spreads"]),
            n_sums=len(records["sums"]),
            **address,
        )


def _packed(source: int, down: int, right: int, R: int, C: int, out: int) -> Pack:
    """A matrix that is packed on its own."""
    return Pack(source=source, down=down, right=right, R=R, C=C, out=out, height=C, k0=0)
