"""Tables of the units driver: its weights in panels, and the products and gradients they take."""

from __future__ import annotations

from typing import NamedTuple

from ..cells.specs import CELLS, Cell
from ..cells.specs.cell import ONE, Piece, X
from ..cells.specs.cell import H as STATE
from .batch import gradient_size
from .batch_records import Pack, Unpack
from .memory import round_up
from .network import Network, parameter_offsets
from .products import Columns, by_rows, row_of
from .unit_records import SOURCES, Rows, Turn, UnitBack, UnitGradient, UnitProduct, UnitRun

NARROW = 8  #: columns of a gradient of weights up to which its transposed is accumulated
READ_ROWS = 8  #: rows of the tile that reads out
TABLES = ("runs", "products", "backs", "gradients", "turns", "rows", "packs", "unpacks")


class UnitTile(NamedTuple):
    """Shape of the driver's register tiles."""

    rows: int  #: samples of a step
    vecs: int  #: registers of units
    steps: int  #: rows of a product over many steps
    grads: int  #: rows of a gradient of weights, two registers wide


def line(n: int, lanes: int) -> int:
    """Return the length of a row: whole registers, an odd number of them if there are many.

    Rows that are a power of two apart would share few sets of the first cache.
    """
    registers = -(-n // lanes)
    return (registers + (registers >= 8 and registers % 2 == 0)) * lanes


class Part(NamedTuple):
    """Weights of a piece in the flat vector: H rows of n numbers."""

    start: int
    down: int
    n: int
    column: int  # of W


class Source(NamedTuple):
    """Places of a run's weights in the flat vector of parameters."""

    W: int
    vectors: int
    H: int
    columns: Columns

    def part(self, piece: Piece) -> Part:
        """The weights of a piece."""
        column, n = self.columns.start(piece.meets), self.columns.width(piece.meets, piece.meets)
        if piece.vector is not None:
            return Part(self.vectors + piece.vector * self.H, 1, 1, column)
        S = self.columns.width(X, STATE)
        return Part(self.W + piece.gate * self.H * S + column, S, n, column)


class UnitTables:
    """Places of all weights, and the rows of all tables.

    Parameters
    ----------
    net : Network
    tile : UnitTile
    lanes : int
        Numbers in a register.
    to_input : bool
        Whether there is a gradient with respect to the inputs of the lowest layer.

    Attributes
    ----------
    Hp : int
        Units, rounded up to whole registers.
    n_parameters, n_turned : int
        Numbers of all parameters in the driver's layout, and of the copies turned around.
    n_vectors : int
        Of these parameters the first: learned states, and vectors of the cells.
    """

    def __init__(self, net: Network, tile: UnitTile, lanes: int, to_input: bool):
        self.net, self.tile, self.lanes, self.to_input = net, tile, lanes, to_input
        self.cell: Cell = CELLS[net.cell]
        self.at = parameter_offsets(net)
        self.Hp = round_up(net.hidden_size, max(lanes, READ_ROWS))
        self.height = net.directions * net.hidden_size
        self.n_parameters = self.n_turned = 0
        self.rows: dict[str, list] = {name: [] for name in TABLES}
        self._place_runs()
        self._place_readout()

    def _room(self, n: int) -> int:
        """Start of n more numbers among the parameters."""
        self.n_parameters += round_up(n, self.lanes)
        return self.n_parameters - round_up(n, self.lanes)

    def _turned(self, n: int) -> int:
        """Start of n more numbers among the turned weights."""
        self.n_turned += round_up(n, self.lanes)
        return self.n_turned - round_up(n, self.lanes)

    # -------------------------------------------------------------------------------- runs

    def _place_runs(self) -> None:
        net, H = self.net, self.net.hidden_size
        n_states = net.states * net.runs if net.learned_state else 0
        self._states = self._room(n_states * self.Hp)
        if n_states:
            states = Rows(self.at.state, H, n_states, H, self._states, self.Hp, 0)
            self.rows["rows"].append(states)
        n_vectors = sum(n for _, n in self.cell.elementwise_vectors) * self.Hp
        self._vectors = [self._room(n_vectors) for _ in range(net.runs)]
        self.n_vectors = self.n_parameters
        for place in range(net.runs):
            self.rows["runs"].append(self._run(place))

    def _run(self, place: int) -> UnitRun:
        """Add the run's rows to all tables; return its sizes."""
        net, cell = self.net, self.cell
        source = Source(
            self.at.W[place],
            self.at.vectors[place],
            net.hidden_size,
            Columns(net.run_input(place), net.hidden_size),
        )
        early = [p for p in cell.pieces if p.late is None]
        late = [p for p in cell.pieces if p.late is not None]
        inputs = [p for p in early if p.meets != STATE]
        states = [p for p in early if p.meets == STATE]
        first = {name: len(self.rows[name]) for name in ("products", "gradients", "backs")}
        late_row = (cell.late_row or 0) * self.Hp
        empty = self._empty_products(inputs)
        n_early = empty + len(by_rows(inputs, row_of))
        down = self.to_input or place >= net.directions
        backs = [
            self._blocks(source, inputs, "x", 0, down),
            self._blocks(source, states, "h", 0),
            self._blocks(source, late, "late", late_row),
        ]
        for found in (backs[1], backs[2], backs[0]):
            self.rows["backs"] += found
        self._place_vectors(source, self._vectors[place])
        return UnitRun(
            I=source.columns.I,
            x_step=line(source.columns.I + 1, self.lanes),
            reverse=place % net.directions,
            product=first["products"],
            n_early=n_early,
            n_products=len(backs[1]),
            n_late=len(backs[2]),
            gradient=first["gradients"],
            n_gradients=len(self.rows["gradients"]) - first["gradients"],
            back=first["backs"],
            n_to_h=len(backs[1]),
            n_to_late=len(backs[2]),
            n_to_x=len(backs[0]),
            vectors=self._vectors[place],
            state=self._states + place * self.Hp,
        )

    def _empty_products(self, inputs: list[Piece]) -> int:
        """Products that make the rows zero which meet neither x nor 1."""
        met = {p.row for p in inputs}
        rows = [i for i, row in enumerate(self.cell.rows) if row.gate and i not in met]
        for row in rows:
            self.rows["products"].append(UnitProduct(0, 0, 0, 0, self.Hp, 0, row * self.Hp))
        return len(rows)

    def _blocks(
        self, source: Source, pieces: list[Piece], met: str, col: int, down: bool = True
    ) -> list[UnitBack]:
        """Weights of consecutive gates that meet the same: their products and gradients.

        Parameters
        ----------
        met : str
            One of `SOURCES`.
        col : int
            Column of h or of a that the first weight meets.
        down : bool
            Whether there is a backward product.

        Returns
        -------
        list of UnitBack
            Products of the backward pass.
        """
        backs = []
        for block in by_rows(pieces, row_of):
            mine = [p for p in pieces if block.row <= p.row < block.row + block.n_rows]
            back = down and block.first != ONE
            first = source.columns.start(block.first)
            at = first if met == "x" else col
            grad = min(p.grad for p in mine) * self.Hp
            C, R = source.columns.width(block.first, block.last), block.n_rows * self.Hp
            to, N, narrow = block.row * self.Hp, round_up(C, self.lanes), C <= NARROW
            w = self._room(C * R if narrow else N * R)
            if narrow:  # stands as the forward product reads it
                product = UnitProduct(0, w, C, C, R, at, to)
                if back:
                    turned = self._turned(R * N)
                    self.rows["turns"].append(Turn(w, turned, C, R))
                    backs.append(UnitBack(1, turned, grad, block.n_rows, N))
            else:
                turned = self._turned(R * N)
                self.rows["turns"].append(Turn(w, turned, R, N))
                product = UnitProduct(1, turned, N, C, R, at, to)
                if back:
                    backs.append(UnitBack(0, w, grad, block.n_rows, N))
            self.rows["products"].append(product)
            self.rows["gradients"].append(
                UnitGradient(SOURCES.index(met), grad, R, at, C, int(narrow), w)
            )
            for piece in mine:
                part, row = source.part(piece), (piece.row - block.row) * self.Hp
                self._place(part, w, R, C if narrow else N, row, part.column - first, narrow)
        return backs

    def _place(
        self, part: Part, w: int, R: int, N: int, row: int, column: int, narrow: bool
    ) -> None:
        """Add the places of weights, rows `row` on and columns `column` on of a matrix (R, N)."""
        H, n = self.net.hidden_size, part.n
        for u, wide in self.panels(R if narrow else N):
            if narrow:  # rows lie in lanes
                r = max(u, row)
                n_rows = min(u + wide, row + H) - r
                at, flat = w + u * N + column * wide + r - u, part.start + (r - row) * part.down
                rows = Rows(flat, part.down, n_rows, n, at, wide, 1)
                if n_rows > 0:
                    self.rows["rows"].append(rows)
                continue
            c = max(u, column)
            numbers = min(u + wide, column + n) - c
            at, flat = w + u * R + row * wide + c - u, part.start + c - column
            if numbers > 0:
                self.rows["rows"].append(Rows(flat, part.down, H, numbers, at, wide, 0))

    def panels(self, N: int) -> list[tuple[int, int]]:
        """First column and width of each panel of N columns."""
        found, u, lanes = [], 0, self.lanes
        for vecs in (self.tile.vecs, min(2, self.tile.vecs), 1):
            while u + vecs * lanes <= N:
                found.append((u, vecs * lanes))
                u += vecs * lanes
        return found

    def _place_vectors(self, source: Source, at: int) -> None:
        """Add the places of vectors that the cell's kernels read."""
        H = self.net.hidden_size
        for first, n in self.cell.elementwise_vectors:
            flat = source.vectors + first * H
            self.rows["rows"].append(Rows(flat, H, n, H, at, self.Hp, 0))
            at += n * self.Hp

    # ----------------------------------------------------------------------------- readout

    def _place_readout(self) -> None:
        """Add V (O, 1 + D H) to the tables, if there is a head, as the batch driver reads out."""
        O, DH, lanes = self.net.output_size, self.height, self.lanes
        V = self.v = self._room(O * (1 + DH))
        self.v_forward = self.v_backward = self.dv = 0
        self.narrow = O < lanes
        if not O:
            return
        self.rows["rows"].append(Rows(self.at.V, 0, 1, O * (1 + DH), V, 0, 0))
        self.v_forward = self._turned(round_up(O, READ_ROWS) * (1 + DH))
        self.v_backward = self._turned(round_up(DH, READ_ROWS) * O)
        self.rows["packs"] += [
            Pack(V, 1 + DH, 1, O, 1 + DH, self.v_forward, 1 + DH, 0),
            Pack(V + 1, 1, 1 + DH, DH, O, self.v_backward, O, 0),
        ]
        R, C, down, right = (1 + DH, O, 1, 1 + DH) if self.narrow else (O, 1 + DH, 1 + DH, 1)
        self.dv = gradient_size(R, C, READ_ROWS, lanes, 1)
        whole = {"row": 0, "n_rows": R, "column": 0, "n_columns": C}
        part = Unpack(grads=0, R=R, C=C, **whole, out=V, down=down, right=right)
        self.rows["unpacks"].append(part)
