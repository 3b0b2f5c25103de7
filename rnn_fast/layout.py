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

from typing import Any, NamedTuple

import numpy as np

ALIGN = 16  #: elements, 64 bytes of float32
LOSSES = ("bce", "cross_entropy", "mse", "huber", "mae")
OPTIMIZERS = {"sgd": 1, "rmsprop": 3, "adam": 2, "adamw": 2, "adagrad": 1}  #: rows of state
STATE_ROWS = max(OPTIMIZERS.values())


class Knobs(NamedTuple):
    """Numbers of an optimizer: what it is told, see `optimizers`, and the scalars of its state."""

    momentum: float = 0.0
    decay: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0
    nesterov: float = 0.0
    centered: float = 0.0
    rate_decay: float = 0.0
    clip_norm: float = 0.0  # 0: no limit
    clip_value: float = 0.0
    updates: float = 0.0  # so far
    power1: float = 1.0  # momentum**updates
    power2: float = 1.0  # decay**updates


class Cell(NamedTuple):
    """What the layout depends on of a cell; rows are counted in units of H."""

    gates: int  # G, rows of W
    rows: int  # of a_t: pre-activations, and what the cell keeps for the way back
    kept: bool  # whether a_t is needed on the way back
    grads: int  # rows of da_t
    states: int  # h, or h and c
    beside: int  # numbers per unit behind W: bhn, or peepholes
    passes: bool  # whether dh_{t-1} has a part that goes past the product


CELLS = {
    "tanh": Cell(1, 1, False, 1, 1, 0, False),
    "relu": Cell(1, 1, False, 1, 1, 0, False),
    "lstm": Cell(4, 5, True, 4, 2, 0, False),  # i f g o, tanh(c)
    "lstm_peephole": Cell(4, 5, True, 4, 2, 3, False),
    "gru": Cell(3, 4, True, 4, 1, 1, True),  # n's part of x, r, z, n's part of h
    "gru_before": Cell(3, 4, True, 3, 1, 0, True),  # r h_{t-1}; r, z, n
}


class Network(NamedTuple):
    """What is computed: everything about a model but its parameters."""

    cell: str  #: key in `CELLS`
    dtype: np.dtype
    input_size: int  #: I, features of a step; with an embedding, the vocabulary
    hidden_size: int  #: H
    output_size: int  #: O
    loss: str  #: one of `LOSSES`
    layers: int = 1
    directions: int = 1  #: D
    sequences: bool = False  #: whether there is an output after every step
    embedding: int = 0  #: size of the learned embedding, or 0
    learned_state: bool = False

    @property
    def gates(self) -> int:
        """G, rows of W per unit."""
        return CELLS[self.cell].gates

    @property
    def states(self) -> int:
        """State vectors of a run: h, or h and c."""
        return CELLS[self.cell].states

    @property
    def runs(self) -> int:
        """Layers times directions; run ``layer * directions + direction``."""
        return self.layers * self.directions

    @property
    def features(self) -> int:
        """Height of a step's input: features, or the size of the embedding."""
        return self.embedding or self.input_size

    @property
    def target_size(self) -> int:
        """Numbers in a target: a class, or one for each output."""
        return 1 if self.loss == "cross_entropy" else self.output_size

    @property
    def n_parameters(self) -> int:
        """Length of the flat vector."""
        return parameter_offsets(self).end

    def run_input(self, run: int) -> int:
        """Height of the input of a run."""
        above = run >= self.directions
        return self.directions * self.hidden_size if above else self.features


class ParameterOffsets(NamedTuple):
    """Where the parts of the flat vector start."""

    W: tuple[int, ...]  # of each run
    beside: tuple[int, ...]  # of each run: bhn (H,) or peepholes (3, H)
    V: int
    state: int  # h0, then c0, (runs, H) each, if learned
    embedding: int  # (vocabulary, E)
    end: int


def parameter_offsets(net: Network) -> ParameterOffsets:
    """Where the parts of a network's flat vector of parameters start."""
    H, at = net.hidden_size, 0
    W, beside = [], []
    for run in range(net.runs):
        W.append(at)
        at += net.gates * H * (net.run_input(run) + 1 + H)
        beside.append(at)
        at += CELLS[net.cell].beside * H
    state = at + net.output_size * (1 + net.directions * H)
    embedding = state + (net.states * net.runs * H if net.learned_state else 0)
    end = embedding + (net.input_size * net.embedding)
    return ParameterOffsets(tuple(W), tuple(beside), at, state, embedding, end)


# ------------------------------------------------------------------------- samples in lanes


class LaneSizes(NamedTuple):
    """Sizes for the samples-in-lanes driver, in elements, and addresses of its tables."""

    T: int  # steps there is room for
    H: int
    O: int
    Y: int  # numbers in a target
    layers: int
    directions: int
    states: int
    sequences: int  # 1: an output after every step
    embedding: int  # size, or 0
    dropout: int  # 1: there is room for masks
    learned_state: int
    passes: int  # see `Cell`
    chunk: int  # steps of the backward pass between weight gradients
    read: int  # steps read out at a time
    slot: int  # from da_t to da_{t+1}
    logit_step: int
    dy_step: int
    grads: int  # length of `LaneBuffers.grads`
    dv: int  # where the gradient of V is in it
    narrow: int  # 1: it is that of V^T
    # in the flat vector of parameters
    state_at: int
    embedding_at: int
    # tables: address, and count where it is not that of the runs
    runs: int  # `RunSizes` of each run
    places: int  # offsets of the `RunBuffers` of each run
    packs: int
    n_packs: int
    products: int
    rank_ks: int
    unpacks: int
    n_unpacks: int
    spreads: int
    n_spreads: int
    sums: int
    n_sums: int


class RunSizes(NamedTuple):
    """Sizes of one run."""

    I: int  # height of x_t
    reverse: int
    step: int  # from z_t to z_{t+1}
    keep: int  # from a_t to a_{t+1}
    product: int  # its first in the table
    n_products: int  # before the reset gate acts on h, or all
    n_late: int  # after it
    rank_k: int
    n_rank_ks: int
    to_h: int  # rows of da_t that Whh^T takes: from here
    n_to_h: int  # and how many
    n_to_x: int  # rows that Wxh^T takes, from the first
    sums: int  # where its sums over lanes are in `LaneBuffers.grads`
    state_sums: int  # the same of its initial state


class LaneBuffers(NamedTuple):
    """Work memory of the samples-in-lanes driver, for one block of `lanes` samples."""

    top: Any  # (read, 1 + D H, lanes): [1; y_t], where two directions are joined
    logits: Any  # (read, Op, lanes), overwritten by the loss gradient by them
    targets: Any  # (Y, lanes)
    weights: Any  # (lanes): weight of each sample in the loss, 0 in an empty lane
    losses: Any  # (lanes)
    hits: Any  # (lanes): 1 where the prediction is right
    lengths: Any  # (lanes)
    panel: Any  # (chunk or read, lanes, lanes): columns of z, samples in rows
    da: Any  # (chunk, rows of da, lanes): loss gradient by a_t
    dh: Any  # (Hp, lanes): by h_t, on its way back
    dc: Any  # (H, lanes)
    held: Any  # (2, H, lanes): gradients of the lanes whose sequence has ended
    dr: Any  # (Hp, lanes): by r h_{t-1}, of the GRU that resets before the product
    dy: Any  # (T, rows, lanes): by the output of a layer, of every step
    dx: Any  # the same of the layer below
    v_forward: Any  # (Op / rows, 1 + D H, rows)
    v_backward: Any  # (D H / rows, O, rows)
    grads: Any  # accumulated gradients, see `gradient_size`, then sums over lanes


class RunBuffers(NamedTuple):
    """Work memory of one run."""

    z: Any  # (T + 1, I + 1 + H, lanes): x_t, 1, h_{t-1}; the last step holds h_T
    a: Any  # (T or 1, rows, lanes)
    c: Any  # (T + 1, H, lanes) of the LSTM
    mask: Any  # (T, D H, lanes): factors of dropout on its layer's output, in a layer's first run
    beside: Any  # (3, H, lanes): peepholes, the same in every lane
    w: Any  # W, packed for z -> a
    w_h: Any  # Whh, packed for da -> dh
    w_r: Any  # the same of the rows that meet r h_{t-1}
    w_x: Any  # Wxh, packed for da -> dx


class Pack(NamedTuple):
    """A matrix (R, C) to be packed, from row r0 and column k0 of what becomes a product's A.

    ``out[r / rows, k0 + k, r % rows] = source[(r - r0) * down + k * right]``
    """

    source: int  # in the parameters
    down: int
    right: int
    R: int
    C: int
    out: int  # in the work memory
    height: int  # of the packed matrix, K in all
    k0: int
    r0: int = 0


class Product(NamedTuple):
    """A product of the forward pass: ``a[to:to + R] = or += packed b[at:at + K]``."""

    packed: int  # in the work memory
    height: int
    R: int
    K: int
    K_first: int  # at the first step, if the initial state is zero
    kept: int  # b is z_t (0) or a_t (1)
    at: int  # in b
    to: int  # in a_t
    add: int


class RankK(NamedTuple):
    """A gradient of weights: ``grads += sum over t of da_t[at : at + R] b_t[col : col + C]^T``."""

    at: int  # in da_t
    R: int
    kept: int  # b is z_t (0) or a_t (1)
    col: int  # in b
    C: int
    grads: int  # in the work memory


class Unpack(NamedTuple):
    """A part of an accumulated gradient (R, C), to be written to the flat gradient."""

    grads: int  # in the work memory
    R: int
    C: int
    row: int
    n_rows: int
    column: int
    n_columns: int
    out: int  # in the flat vector
    down: int  # from row to row there
    right: int = 1


class Line(NamedTuple):
    """``n`` numbers, each with a register for all lanes in the work memory."""

    flat: int  # in the flat vector
    n: int
    work: int


class LaneJob(NamedTuple):
    """What a program of the samples-in-lanes driver works on: addresses and numbers.

    An address of 0 means that there is none.
    """

    sizes: int  # of `LaneSizes`
    offsets: int  # of `LaneBuffers`
    work: int
    ids: int  # (6, lanes) integers: see `samples.Block`
    x: int  # (rows, I) reals, or (rows,) integers with an embedding
    starts: int  # (N,) integers: the row where a sequence starts
    lengths: int  # (N,) integers
    y: int  # (N or rows, Y)
    weights: int  # (N or rows,), or 0
    order: int  # (n,) integers: samples to visit
    n: int
    batch: int  # samples to an update
    loss: int  # index in `LOSSES`
    parameters: int
    gradients: int  # of the last batch, written
    moments: int  # (rows, n_parameters): state of the optimizer
    knobs: int  # of `Knobs`, doubles
    schedule: int  # doubles: learning rate of each batch
    penalties: int  # (2, n_parameters) reals: l1 and l2 of each parameter, or 0
    spare: int  # room for a register each of parameters, gradients, and the optimizer's state
    update: int  # 0: only gradients; else n_parameters
    sparse: int  # 1: only the rows in use of an embedding are updated
    state: int  # (N, states, runs, H): initial states, or 0
    carry: int  # (batch, states, runs, H): states between windows of truncated BPTT, or 0
    dstate: int  # as state, written, or 0
    dx: int  # (rows, I or E), written, or 0
    out: int  # predictions: (N or rows, O) logits, written
    final: int  # predictions: as state, written, or 0
    dropout: int  # a double: its probability
    seed: int  # of dropout
    result: int  # 5 doubles, added to: weighted loss, weighted hits, weights, penalties, updates


def round_up(n: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `n`."""
    return (n + step - 1) // step * step


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
        self._packed: list[int] = []  # of each run, elements of W
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
            v_forward=Op * (1 + DH),
            v_backward=round_up(DH, self.rows) * O,
            grads=self._grads,
        )
        sizes = list(own)
        for run, (I, *_) in enumerate(self.runs):
            masked = self.dropout and run % net.directions == 0 and run < net.runs - net.directions
            G = net.gates * H
            sizes += RunBuffers(
                z=(T + 1) * (I + 1 + H) * lanes + spare,
                a=(T if self.kept else 1) * cell.rows * H * lanes + spare,
                c=(T + 1) * H * lanes if two else 0,
                mask=T * DH * lanes if masked else 0,
                beside=3 * H * lanes if cell.beside == 3 else 0,
                w=self._packed[run],
                w_h=Hp * G,
                w_r=Hp * H,
                w_x=round_up(I, self.rows) * G,
            )
        return sizes

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
        h, w = H * lanes, 0  # `w`: in the run's packed weights, until `place`

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
        self._packed.append(w)
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
            state_sums=0,
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

    def place(self, offsets: np.ndarray) -> LaneSizes:
        """Fill the tables, now that each of the `buffers` has its offset; the sizes for kernels.

        The sizes hold addresses of arrays that live as long as this object.
        """
        net, H = self.net, self.net.hidden_size
        own = LaneBuffers(*offsets[: len(LaneBuffers._fields)].tolist())
        places = offsets[len(own) :].reshape(net.runs, -1)
        lay = self.at
        DH = net.directions * H
        for run, sizes in enumerate(self.runs):
            self._place_run(run, sizes, RunBuffers(*places[run].tolist()), own.grads)
            state_sums = self._state_sums + run * H * self.lanes
            self.runs[run] = sizes._replace(state_sums=state_sums)
        O, V = net.output_size, lay.V
        self.packs += [
            Pack(V, 1 + DH, 1, O, 1 + DH, own.v_forward, 1 + DH, 0),
            Pack(V + 1, 1, 1 + DH, DH, O, own.v_backward, O, 0),
        ]
        R, C, down, right = (1 + DH, O, 1, 1 + DH) if self.narrow else (O, 1 + DH, 1 + DH, 1)
        self.unpacks.append(Unpack(own.grads + self.dv, R, C, 0, R, 0, C, V, down, right))
        if net.learned_state:
            n = net.states * net.runs * H
            self.sums.append(Line(lay.state, n, own.grads + self._state_sums))
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
            state_at=lay.state,
            embedding_at=lay.embedding,
            n_packs=len(self.packs),
            n_unpacks=len(self.unpacks),
            n_spreads=len(self.spreads),
            n_sums=len(self.sums),
            **address,
        )

    def _place_run(self, run: int, sizes: RunSizes, own: RunBuffers, grads: int) -> None:
        """Where a run's weights come from and where their gradients go."""
        net, H, I = self.net, self.net.hidden_size, sizes.I
        S, X = I + 1 + H, I + 1
        W, beside = self.at.W[run], self.at.beside[run]
        Wn, G = W + 2 * H * S, net.gates * H  # Wn: row of the GRU's n
        first = sizes.product
        for i in range(first, first + sizes.n_products + sizes.n_late):
            p = self.products[i]
            self.products[i] = p._replace(packed=own.w + p.packed)
        mine = range(sizes.rank_k, sizes.rank_k + sizes.n_rank_ks)
        for i in mine:
            r = self.rank_ks[i]
            self.rank_ks[i] = r._replace(grads=grads + r.grads)
        packed = [self.products[i].packed for i in range(first, first + sizes.n_products)]
        sources = [self.rank_ks[i] for i in mine]

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
            self.sums.append(Line(beside, 3 * H, grads + sizes.sums))


# --------------------------------------------------------------------------- units in lanes


class UnitSizes(NamedTuple):
    """Sizes for the units-in-lanes driver, in elements.

    Rows of z are padded to ``ld = lead + Hp``, with h on whole vectors: [0... x 1 | h 0...].
    """

    T: int
    I: int
    H: int
    O: int
    Y: int
    S: int  # I + 1 + H
    lead: int  # room for x and 1, whole vectors
    Hp: int  # H rounded up to whole tiles
    ld: int
    lv: int  # row of V: [0... by | Why 0...]
    wx: int  # where wx starts in w
    parameters: int  # in w, but for the copy at its end


class UnitBuffers(NamedTuple):
    """Work memory of the units-in-lanes driver; `lanes` is one vector's."""

    z: Any  # (T + 1, ld): x_t, 1, h_{t-1}
    da: Any  # (T, Hp)
    logits: Any  # (O, lanes), in lane 0
    targets: Any  # (Y, lanes), in lane 0
    weights: Any  # (lanes)
    losses: Any  # (lanes)
    hits: Any  # (lanes)
    w: Any  # Whh (Hp, Hp), V (O, lv), [Wxh | bh] transposed (I + 1, Hp), then Whh transposed
    dw: Any  # gradients, as w without the copy
    moments: Any  # state of the optimizer, rows as dw
    penalties: Any  # l1 and l2, rows as dw


class OnlineBlock(NamedTuple):
    """What an online step works on: addresses, but for the last three."""

    sizes: int  # of `UnitSizes`
    offsets: int  # of `UnitBuffers`
    work: int
    x: int  # (T, I) float64, the sequence
    y: int  # (Y,), its target
    parameters: int
    gradients: int
    outputs: int  # (O,) float64, written: probabilities or values
    learning_rate: int  # (1,) float64
    loss: int  # index in `LOSSES`
    task: int  # index in `TASKS`
    finite: int  # written: whether all of x is, in the reals of the network


TASKS = ("prepare", "forward", "backward")


def unit_layout(
    T: int,
    I: int,
    H: int,
    O: int,
    Y: int,
    vecs: int,
    lanes: int,
    rows: int,
) -> tuple[UnitSizes, UnitBuffers]:
    """Sizes, and the elements of each buffer, for tiles `vecs` vectors of `lanes` units wide.

    `rows` are those of the optimizer's state.
    """
    lead, Hp = round_up(I + 1, lanes), round_up(H, max(8, vecs * lanes))
    ld, lv = lead + Hp, lanes + Hp
    wx = Hp * Hp + O * lv
    parameters = wx + (I + 1) * Hp
    buffers = UnitBuffers(
        z=(T + 1) * ld,
        da=T * Hp,
        logits=O * lanes,
        targets=Y * lanes,
        weights=lanes,
        losses=lanes,
        hits=lanes,
        w=parameters + Hp * Hp,
        dw=parameters,
        moments=rows * parameters,
        penalties=2 * parameters,
    )
    return UnitSizes(T, I, H, O, Y, I + 1 + H, lead, Hp, ld, lv, wx, parameters), buffers


def offsets(buffers: list[int]) -> tuple[np.ndarray, int]:
    """Where each buffer starts in the work array, and the array's length, in elements.

    Every start is a multiple of `ALIGN`, so that whole vectors are aligned.
    """
    ends = np.cumsum([round_up(size, ALIGN) for size in buffers], dtype=np.int64)
    return np.concatenate(([0], ends[:-1])), int(ends[-1])
