"""Records of the units driver: sizes, buffers, tables.  Its job is a `BatchJob`.

A row is one sample at one step: row ``s * samples + b`` of a run belongs to sample b of the batch
at the run's step s.  A row of a matrix holds the numbers of the units side by side, each gate
padded to whole vector registers of `Hp` units.

A matrix of weights (height, N) stands in panels, strips of columns one after the other: element
(k, c) of the strip from column u on, which is `wide` numbers wide, is ``u * height + k * wide + c -
u``.  Strips are as wide as the register tile, then two registers, then one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .pointers import Doubles, Ints


class UnitSizes(NamedTuple):
    """Sizes of the units driver, in elements, and its tables."""

    T: int  # steps there is room for
    H: int
    O: int
    Y: int  # numbers in a target
    layers: int
    directions: int
    states: int  # state vectors of a run
    sequences: int  # 1: an output after every step
    embedding: int  # size, or 0
    dropout: int  # 1: there is room for masks
    readout_dropout: int  # 1: there is room for a mask of the top layer
    skip: int  # 1: the first O inputs of a step are added to its logits
    learned_state: int  # 1: the initial state is a parameter
    carries: int  # 1: dh_{t-1} has a part that does not go through a product
    samples: int  # rows of a step: samples of a batch, rounded up to whole tiles
    Hp: int  # units, rounded up to whole registers
    a_step: int  # from a row of a to the next
    h_step: int
    da_step: int
    dy_step: int
    n_grads: int  # gates of a row of da
    chunk: int  # steps of the backward pass between weight gradients
    parameters: int  # length of `UnitBuffers.w`
    vectors: int  # of these the first: learned states, and vectors of the cells
    dv: int  # length of `UnitBuffers.dv`
    v: int  # V (O, 1 + D H) in `UnitBuffers.w`
    narrow: int  # 1: the gradient of V^T is accumulated
    v_forward: int  # in `UnitBuffers.turned`, as of the batch driver: V (Op / rows, 1 + D H, rows)
    v_backward: int  # (D H / rows, O, rows)
    state_at: int  # in the flat vector of parameters
    embedding_at: int
    options: Doubles  # of the cell
    runs: Ints  # `UnitRun` of each run
    places: Ints  # offsets of the `UnitRunBuffers` of each run
    products: Ints  # `UnitProduct`
    backs: Ints  # `UnitBack`
    gradients: Ints  # `UnitGradient`
    turns: Ints  # `Turn`
    n_turns: int
    rows: Ints  # `Rows`
    n_rows: int
    packs: Ints  # `Pack`: V's two forms
    n_packs: int
    unpacks: Ints  # `Unpack`: the gradient of V
    n_unpacks: int


class UnitRun(NamedTuple):
    """Sizes of one run."""

    I: int  # height of x_t
    x_step: int  # from a row of x to the next: x_t, 1, padding
    reverse: int  # 1: reads from the end
    product: int  # its first row in the table
    n_early: int  # products with x and 1, for all steps at once
    n_products: int  # products with h_{t-1}
    n_late: int  # products with the late row
    gradient: int  # its first row in the table
    n_gradients: int
    back: int  # its first row in the table
    n_to_h: int  # products of da with Whh, for dh
    n_to_late: int  # for dlate
    n_to_x: int  # with Wxh, for dx
    vectors: int  # (n, Hp) in `UnitBuffers.w`: vectors that the cell reads
    state: int  # (Hp) there: learned state h; c is `runs` further on


class UnitBuffers(NamedTuple):
    """Work memory of the units driver."""

    da: Any  # (chunk * samples, da_step): gradient with respect to a
    dh: Any  # (samples, Hp)
    dc: Any  # (samples, Hp)
    dlate: Any  # (samples, Hp): with respect to the row of a that late products meet
    dy: Any  # (rows, dy_step): gradient with respect to a layer's outputs
    dx: Any  # (rows, dy_step): with respect to its inputs
    top: Any  # (1 + D H, lanes): [1; y] of as many rows as a register has lanes
    dtop: Any  # (D H, lanes): gradient with respect to y
    logits: Any  # (Op, lanes)
    targets: Any  # (Y, lanes)
    weights: Any  # (lanes)
    losses: Any  # (lanes)
    hits: Any  # (lanes)
    panel: Any  # (lanes, lanes)
    dv: Any  # accumulated gradient of V
    lengths: Any  # (samples)
    w: Any  # parameters, in panels, without an embedding
    turned: Any  # copies of some, turned around
    dw: Any  # gradients, as w
    moments: Any  # state of the optimizer, rows as w
    penalties: Any  # l1 and l2, rows as w


class UnitRunBuffers(NamedTuple):
    """Work memory of one run."""

    x: Any  # (rows, x_step): x_t, 1, zeros
    a: Any  # (rows, a_step): pre-activations, and what the backward pass reads
    h: Any  # (samples + rows, h_step): h_{t-1} in row t, h_t a step further
    c: Any  # (samples + rows, h_step) of a cell with memory
    mask: Any  # (rows, D H): factors of dropout on its layer's output, in a layer's first run


class UnitProduct(NamedTuple):
    """A product of the forward pass: ``a[to:to + N] = or += b[at:at + K] (K, N)``."""

    turned: int  # 1: of turned weights, 0: of the weights themselves
    packed: int  # place among them
    height: int
    K: int
    N: int
    at: int  # in a row of x, h or a
    to: int  # in a row of a


class UnitBack(NamedTuple):
    """A product of the backward pass: some gates of da with their weights."""

    turned: int
    packed: int
    at: int  # in a row of da
    gates: int
    N: int


class UnitGradient(NamedTuple):
    """A gradient of weights: sum over rows of da[at : at + R]^T b[col : col + C].

    Of a narrow b the transposed matrix (C, R) is accumulated.
    """

    source: int  # place in `SOURCES`
    at: int
    R: int
    col: int
    C: int
    narrow: int
    grads: int  # in `UnitBuffers.dw`


SOURCES = ("x", "h", "late")  #: what weights meet: rows of x, of h, or of the late row of a


class Turn(NamedTuple):
    """Weights (R, C) in panels, to be turned around into a matrix (C, R) in panels."""

    source: int  # in `UnitBuffers.w`
    to: int  # in `UnitBuffers.turned`
    R: int
    C: int


class Rows(NamedTuple):
    """Rows of numbers in the flat vector of parameters, and in `UnitBuffers.w`."""

    flat: int
    down: int  # from row to row there
    n_rows: int
    n: int  # numbers of a row
    at: int
    step: int  # from row to row there, or from number to number where `turned`
    turned: int


class StepJob(NamedTuple):
    """Addresses and numbers that a step with one sequence works on."""

    job: Ints  # `BatchJob` of the sequence, whose x is room for it
    x: Doubles  # (T, I), the sequence
    n: int  # numbers of it
    outputs: Doubles  # (T or 1, O), written: probabilities or values
    learning_rate: Doubles  # (1,)
    task: int  # place in `STEP_TASKS`
    is_finite: int  # written: 1 if x is finite in the reals of the network


STEP_TASKS = ("prepare", "forward", "backward", "gradients")


class StreamJob(NamedTuple):
    """Addresses and numbers that a call of a stream works on."""

    job: Ints  # `BatchJob`, whose x is room for the inputs
    x: Doubles  # (samples, T, I), the next steps
    n: int  # numbers of it
    T: int
    task: int  # place in `STREAM_TASKS`
    is_finite: int  # written: 1 if x is finite in the reals of the network


STREAM_TASKS = ("prepare", "pack", "load", "store", "run")
