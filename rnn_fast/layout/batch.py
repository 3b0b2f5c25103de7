"""The samples-in-lanes driver: the sizes of its buffers, and the tables it reads."""

from __future__ import annotations

import numpy as np

from ..cells.specs.cell import CELLS
from .batch_records import (
    LaneBuffers,
    LaneSizes,
    Line,
    Pack,
    Product,
    RankK,
    RunBuffers,
    RunSizes,
    Unpack,
)
from .memory import round_up
from .network import Network, parameter_offsets


def gradient_size(n_rows: int, n_columns: int, rows: int, lanes: int, vecs: int) -> int:
    """Elements that accumulate the gradient of a matrix.

    Whole panels of `lanes` columns and, for the first ``n_columns % lanes`` columns, one vector
    register per weight.
    """
    rest, padded = n_columns % lanes, round_up(n_rows, rows)
    return padded * (n_columns - rest) + padded * round_up(rest, vecs) * (lanes // vecs)


def bytes_per_step(net: Network) -> int:
    """Bytes of states and activations that one sample takes for one step, in training.

    Each run keeps its input, a one and h, what its cell needs for the way back, and c; where a
    layer hands on a gradient for every step, that is kept too.  A block of lanes takes this times
    T and the lanes, and is the only one in memory: a batch of any size takes no more.
    """
    cell, H, D = CELLS[net.cell], net.hidden_size, net.directions
    numbers = sum(net.run_input(run) + 1 + H for run in range(net.runs))
    numbers += net.runs * H * (cell.rows * cell.kept + cell.states - 1)
    numbers += D * H * (net.layers - 1 + net.sequences)
    return numbers * net.dtype.itemsize


class LaneLayout:
    """Sizes, buffers and tables of the samples-in-lanes driver.

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
    dropout, input_gradients : bool
        Whether there must be room for masks, for the gradient by the input.
    forward_only : bool
        Whether there is no way back, for which to keep anything.
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
        input_gradients: bool = False,
        forward_only: bool = False,
    ):
        self.net, self.T, self.lanes, self.chunk = net, T, lanes, chunk
        self.kept = CELLS[net.cell].kept and not forward_only
        self.rows, self.vecs = tile
        self.dropout = dropout
        self.at = parameter_offsets(net)
        self.read = min(chunk, T) if net.sequences else 1
        self.packs: list[Pack] = []
        self.products: list[Product] = []
        self.rank_ks: list[RankK] = []
        self.unpacks: list[Unpack] = []
        self.spreads: list[Line] = []
        self.sums: list[Line] = []
        self._grads = 0
        self._dx_rows = max(
            net.directions * net.hidden_size,
            net.features if input_gradients or net.embedding else 0,
        )
        self._steps = T if net.sequences or net.layers > 1 else 1
        self._dx_steps = T if net.layers > 1 or input_gradients or net.embedding else 0
        self._weights: list[int] = []  # elements of each buffer of packed weights
        self.runs = [self._run_sizes(run) for run in range(net.runs)]
        O, height = net.output_size, 1 + net.directions * net.hidden_size
        self.narrow = O < lanes  # a tile has more rows than dlogits: take the gradient of V^T
        self.dv = self._accumulator(height, O) if self.narrow else self._accumulator(O, height)
        self._state_sums = self._grads
        if net.learned_state:
            self._grads += net.states * net.runs * net.hidden_size * lanes

    # ------------------------------------------------------------------------------ sizes

    def buffers(self) -> list[int]:
        """The elements of each buffer: `LaneBuffers`, then the `RunBuffers` of each run."""
        net, lanes, T = self.net, self.lanes, self.T
        H, O, DH = net.hidden_size, net.output_size, net.directions * net.hidden_size
        Hp, Op = round_up(H, self.rows), round_up(O, self.rows)
        cell = CELLS[net.cell]
        # whole tiles reach beyond the last row, as rows or as columns
        spare = (max(self.rows, self.vecs) - 1) * lanes
        two = cell.states > 1
        own = LaneBuffers(
            top=self.read * (1 + DH) * lanes + spare if net.directions > 1 else 0,
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
            dr=Hp * lanes,
            dy=self._steps * self.dy_step,
            dx=self._dx_steps * self.dy_step,
            grads=self._grads,
        )
        sizes = list(own)
        for run, (I, *_) in enumerate(self.runs):
            masked = self.dropout and run % net.directions == 0 and run < net.runs - net.directions
            sizes += RunBuffers(
                z=(T + 1) * (I + 1 + H) * lanes + spare,
                a=(T if self.kept else 1) * cell.rows * H * lanes + spare,
                c=(T + 1) * H * lanes if two else 0,
                mask=T * DH * lanes if masked else 0,
            )
        return sizes

    def weights(self) -> list[int]:
        """The elements of each buffer of packed weights: of each run five, then V's two."""
        net, rows = self.net, self.rows
        O, DH = net.output_size, net.directions * net.hidden_size
        return [*self._weights, round_up(O, rows) * (1 + DH), round_up(DH, rows) * O]

    @property
    def slot(self) -> int:
        """From da_t to da_{t+1}."""
        return CELLS[self.net.cell].grads * self.net.hidden_size * self.lanes

    @property
    def dy_step(self) -> int:
        """From dy_t to dy_{t+1}."""
        return round_up(self._dx_rows, self.rows) * self.lanes

    def _run_sizes(self, run: int) -> RunSizes:
        """Sizes of a run; its accumulators of gradients and its place in the tables."""
        net, lanes = self.net, self.lanes
        H, I, cell = net.hidden_size, net.run_input(run), CELLS[net.cell]
        S, X = I + 1 + H, I + 1
        product, rank_k = len(self.products), len(self.rank_ks)
        h, w = H * lanes, 0  # `w`: in the run's packed W, until `place`

        def multiply(R: int, K: int, K_first: int, at: int, to: int) -> None:
            nonlocal w
            self.products.append(Product(w, K, R, K, K_first, 0, at * lanes, to * h, 0))
            w += round_up(R, self.rows) * K

        def accumulate(at: int, R: int, kept: int, col: int, C: int) -> None:
            start = self._accumulator(R, C)
            self.rank_ks.append(RankK(at * h, R, kept, col * lanes, C, start))

        late, to_h, n_to_h = 0, 0, net.gates * H
        if net.cell == "gru":
            if self._joint(H, I):
                multiply(4 * H, S, X, 0, 0)
            else:
                multiply(H, X, X, 0, 0)
                multiply(2 * H, S, X, 0, 1)
                multiply(H, 1 + H, 1, I, 3)
            accumulate(0, 3 * H, 0, 0, X)
            accumulate(1, 3 * H, 0, I, 1 + H)
            to_h = h
        elif net.cell == "gru_before":
            multiply(2 * H, S, X, 0, 1)
            multiply(H, S, X, 0, 3)
            n = self.products.pop()
            self.products.append(n._replace(K=X))
            self.products.append(
                n._replace(packed=n.packed + X * self.rows, K=H, K_first=0, kept=1, at=0, add=1)
            )
            late, n_to_h = 1, 2 * H
            accumulate(0, 2 * H, 0, 0, S)
            accumulate(2, H, 0, 0, X)
            accumulate(2, H, 1, 0, H)
        else:
            multiply(net.gates * H, S, X, 0, 0)
            accumulate(0, net.gates * H, 0, 0, S)
        sums = self._grads
        if cell.beside == 3:
            self._grads += 3 * h
        G, Hp = net.gates * H, round_up(H, self.rows)
        wide = 3 * H * lanes if cell.beside == 3 else 0
        self._weights += [w, Hp * G, Hp * H, round_up(I, self.rows) * G, wide]
        n_products = len(self.products) - product - late
        return RunSizes(
            I=I,
            reverse=run % net.directions,
            step=S * lanes,
            keep=cell.rows * h if self.kept else 0,
            product=product,
            n_products=n_products,
            n_late=late,
            rank_k=rank_k,
            n_rank_ks=len(self.rank_ks) - rank_k,
            to_h=to_h,
            n_to_h=n_to_h,
            n_to_x=net.gates * H,
            sums=sums,
            **dict.fromkeys(("state_sums", "w", "w_h", "w_r", "w_x", "beside"), 0),
        )

    def _joint(self, H: int, I: int) -> bool:
        """Whether a GRU's three products cost more than one of all rows, a third of it zeros.

        Counted in steps of tiles; to call a product costs about as much as 7 of them.
        """
        tiles = [-(-n * H // self.rows) for n in (1, 2, 4)]
        S = I + 1 + H
        apart = tiles[0] * (I + 1) + tiles[1] * S + tiles[0] * (1 + H)
        return tiles[2] * S < apart + 2 * 7

    def _accumulator(self, R: int, C: int) -> int:
        start = self._grads
        self._grads += gradient_size(R, C, self.rows, self.lanes, self.vecs)
        return start

    # ----------------------------------------------------------------------------- tables

    def place(self, offsets: np.ndarray, weights: np.ndarray) -> LaneSizes:
        """Fill the tables, now that `buffers` and `weights` have their offsets; sizes for kernels.

        The sizes hold addresses of arrays that live as long as this object.
        """
        net, H = self.net, self.net.hidden_size
        places = offsets[len(LaneBuffers._fields) :].reshape(net.runs, -1)
        *packed, v_forward, v_backward = weights.tolist()
        lay = self.at
        DH = net.directions * H
        for run, sizes in enumerate(self.runs):
            w, w_h, w_r, w_x, beside = packed[5 * run : 5 * run + 5]
            state_sums = self._state_sums + run * H * self.lanes
            own = sizes._replace(
                state_sums=state_sums, w=w, w_h=w_h, w_r=w_r, w_x=w_x, beside=beside
            )
            self.runs[run] = own
            self._place_run(run, own)
        O, V = net.output_size, lay.V
        self.packs += [
            Pack(V, 1 + DH, 1, O, 1 + DH, v_forward, 1 + DH, 0),
            Pack(V + 1, 1, 1 + DH, DH, O, v_backward, O, 0),
        ]
        R, C, down, right = (1 + DH, O, 1, 1 + DH) if self.narrow else (O, 1 + DH, 1 + DH, 1)
        self.unpacks.append(Unpack(self.dv, R, C, 0, R, 0, C, V, down, right))
        if net.learned_state:
            n = net.states * net.runs * H
            self.sums.append(Line(lay.state, n, self._state_sums))
        names = ("runs", "packs", "products", "rank_ks", "unpacks", "spreads", "sums")
        self.tables = {name: np.array(getattr(self, name), np.int64) for name in names}
        self.tables["places"] = np.ascontiguousarray(places)
        address = {name: table.ctypes.data for name, table in self.tables.items()}
        return LaneSizes(
            T=self.T,
            H=H,
            O=O,
            Y=net.target_size,
            layers=net.layers,
            directions=net.directions,
            states=net.states,
            sequences=int(net.sequences),
            embedding=net.embedding,
            dropout=int(self.dropout),
            learned_state=int(net.learned_state),
            passes=int(CELLS[net.cell].passes),
            chunk=self.chunk,
            read=self.read,
            slot=self.slot,
            logit_step=round_up(O, self.rows) * self.lanes,
            dy_step=self.dy_step,
            grads=self._grads,
            dv=self.dv,
            narrow=int(self.narrow),
            v_forward=v_forward,
            v_backward=v_backward,
            state_at=lay.state,
            embedding_at=lay.embedding,
            n_packs=len(self.packs),
            n_unpacks=len(self.unpacks),
            n_spreads=len(self.spreads),
            n_sums=len(self.sums),
            **address,
        )

    def _place_run(self, run: int, own: RunSizes) -> None:
        """Where a run's weights come from and where their gradients go."""
        net, H, I = self.net, self.net.hidden_size, own.I
        S, X = I + 1 + H, I + 1
        W, beside = self.at.W[run], self.at.beside[run]
        Wn, G = W + 2 * H * S, net.gates * H  # Wn: row of the GRU's n
        first = own.product
        for i in range(first, first + own.n_products + own.n_late):
            p = self.products[i]
            self.products[i] = p._replace(packed=own.w + p.packed)
        packed = [self.products[i].packed for i in range(first, first + own.n_products)]
        sources = self.rank_ks[own.rank_k : own.rank_k + own.n_rank_ks]

        def gradient(i: int, row: int, n_rows: int, column: int, n_columns: int, out: int) -> None:
            r = sources[i]
            part = (row, n_rows, column, n_columns, out)
            self.unpacks.append(Unpack(r.grads, r.R, r.C, *part, S))

        if net.cell == "gru":
            if len(packed) == 1:
                (all_,) = packed
                self.packs += [
                    Pack(Wn, S, 1, H, X, all_, S, 0),
                    Pack(W, S, 1, 2 * H, S, all_, S, 0, H),
                    Pack(beside, 1, 0, H, 1, all_, S, I, 3 * H),
                    Pack(Wn + X, S, 1, H, H, all_, S, X, 3 * H),
                ]
            else:
                nx, rz, nh = packed
                self.packs += [
                    Pack(Wn, S, 1, H, X, nx, X, 0),
                    Pack(W, S, 1, 2 * H, S, rz, S, 0),
                    Pack(beside, 1, 0, H, 1, nh, 1 + H, 0),
                    Pack(Wn + X, S, 1, H, H, nh, 1 + H, 1),
                ]
            self.packs += [
                Pack(W + X, 1, S, H, G, own.w_h, G, 0),
                Pack(Wn, 1, S, I, H, own.w_x, G, 0),
                Pack(W, 1, S, I, 2 * H, own.w_x, G, H),
            ]
            gradient(0, 0, H, 0, X, Wn)
            gradient(0, H, 2 * H, 0, X, W)
            gradient(1, 0, G, 1, H, W + X)
            gradient(1, 2 * H, H, 0, 1, beside)
            self.unpacks[-1] = self.unpacks[-1]._replace(down=1)
        elif net.cell == "gru_before":
            self.packs += [
                Pack(W, S, 1, 2 * H, S, packed[0], S, 0),
                Pack(Wn, S, 1, H, S, packed[1], S, 0),
                Pack(W + X, 1, S, H, 2 * H, own.w_h, 2 * H, 0),
                Pack(Wn + X, 1, S, H, H, own.w_r, H, 0),
                Pack(W, 1, S, I, G, own.w_x, G, 0),
            ]
            gradient(0, 0, 2 * H, 0, S, W)
            gradient(1, 0, H, 0, X, Wn)
            gradient(2, 0, H, 0, H, Wn + X)
        else:
            self.packs += [
                Pack(W, S, 1, G, S, packed[0], S, 0),
                Pack(W + X, 1, S, H, G, own.w_h, G, 0),
                Pack(W, 1, S, I, G, own.w_x, G, 0),
            ]
            gradient(0, 0, G, 0, S, W)
        if CELLS[net.cell].beside == 3:
            self.spreads.append(Line(beside, 3 * H, own.beside))
            self.sums.append(Line(beside, 3 * H, own.sums))
