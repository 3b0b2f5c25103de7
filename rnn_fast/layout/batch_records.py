"""What the kernels of the samples-in-lanes driver read: sizes, buffers, tables, the job."""

from __future__ import annotations

from typing import Any, NamedTuple


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
    v_forward: int  # in the packed weights: V (Op / rows, 1 + D H, rows)
    v_backward: int  # (D H / rows, O, rows)
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
    # in the packed weights
    w: int  # W, for z -> a
    w_h: int  # Whh, for da -> dh
    w_r: int  # the same of the rows that meet r h_{t-1}
    w_x: int  # Wxh, for da -> dx
    beside: int  # (3, H, lanes): peepholes, the same in every lane


class LaneBuffers(NamedTuple):
    """A thread's work memory in the samples-in-lanes driver, for one block of `lanes` samples."""

    top: Any  # (read, 1 + D H, lanes): [1; y_t], where two directions are joined
    logits: Any  # (read, Op, lanes), overwritten by the loss gradient by them
    targets: Any  # (Y, lanes)
    weights: Any  # (lanes): weight of each sample in the loss, 0 in an empty lane
    losses: Any  # (lanes)
    hits: Any  # (lanes): 1 where the prediction is right; of values their squared error
    lengths: Any  # (lanes)
    panel: Any  # (chunk or read, lanes, lanes): columns of z, samples in rows
    da: Any  # (chunk, rows of da, lanes): loss gradient by a_t
    dh: Any  # (Hp, lanes): by h_t, on its way back
    dc: Any  # (H, lanes)
    held: Any  # (2, H, lanes): gradients of the lanes whose sequence has ended
    dr: Any  # (Hp, lanes): by r h_{t-1}, of the GRU that resets before the product
    dy: Any  # (T, rows, lanes): by the output of a layer, of every step
    dx: Any  # the same of the layer below
    grads: Any  # accumulated gradients, see `gradient_size`, then sums over lanes


class RunBuffers(NamedTuple):
    """Work memory of one run."""

    z: Any  # (T + 1, I + 1 + H, lanes): x_t, 1, h_{t-1}; the last step holds h_T
    a: Any  # (T or 1, rows, lanes)
    c: Any  # (T + 1, H, lanes) of the LSTM
    mask: Any  # (T, D H, lanes): factors of dropout on its layer's output, in a layer's first run


class Pack(NamedTuple):
    """A matrix (R, C) to be packed, from row r0 and column k0 of what becomes a product's A.

    ``out[r / rows, k0 + k, r % rows] = source[(r - r0) * down + k * right]``
    """

    source: int  # in the parameters
    down: int
    right: int
    R: int
    C: int
    out: int  # in the packed weights
    height: int  # of the packed matrix, K in all
    k0: int
    r0: int = 0


class Product(NamedTuple):
    """A product of the forward pass: ``a[to:to + R] = or += packed b[at:at + K]``."""

    packed: int  # in the packed weights
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
    grads: int  # in `LaneBuffers.grads`


class Unpack(NamedTuple):
    """A part of an accumulated gradient (R, C), to be written to the flat gradient."""

    grads: int  # in `LaneBuffers.grads`
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
    """``n`` numbers, each with a register for all lanes: in the weights, or `LaneBuffers.grads`."""

    flat: int  # in the flat vector
    n: int
    wide: int  # where the first of these is


class LaneJob(NamedTuple):
    """What a program of the samples-in-lanes driver works on: addresses and numbers.

    An address of 0 means that there is none.
    """

    sizes: int  # of `LaneSizes`
    offsets: int  # of `LaneBuffers`
    work: int  # of this thread
    ids: int  # (6, lanes) integers of this thread: see `samples.Block`
    packed: int  # weights, of all threads
    flats: int  # (groups, stride): gradients of each group of blocks, but for the embedding's
    stride: int
    partial: int  # (groups, 8) doubles: the first three of `result`, of a group of blocks
    tokens: int  # (samples of a round, T, E): gradient by the rows of an embedding
    team: int  # of `Team`
    helps: int  # 1: this thread helps, 0: it leads
    groups: int  # into which a batch is divided, at most
    round: int  # blocks of a batch that are run before the embedding's gradient is taken
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
    result: int  # doubles, added to: weighted loss and hits, weights, penalties, updates, windows


class Team(NamedTuple):
    """Where the words of a team of threads are, on cache lines of their own; see `layers.team`."""

    ticket: int  # phase, and items left of it
    done: int  # items
    items: int  # of the phase; read by who holds one of them
    phase: int  # read by the leader alone
    sleep: int  # address of the C function ``int f(int microseconds)``, or 0
    factor: int  # of all gradients of the task: a double
    task: int  # a `Task`
    end: int  # words in all


TEAM = Team(0, 8, 16, 17, 18, 19, 24, 32)


class Task(NamedTuple):
    """What the leader has the team do: a window of some blocks of a batch."""

    first: int  # the batch's first place in the order
    n: int  # samples of the batch
    window: int  # steps before those that are run
    seed: int  # of dropout
    begin: int  # blocks of the batch
    end: int
    groups: int  # into which these blocks are divided
