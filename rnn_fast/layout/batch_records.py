"""Records of the batch driver: sizes, buffers, tables, the job."""

from __future__ import annotations

from typing import Any, NamedTuple

from .pointers import Doubles, Ints, Reals


class BatchSizes(NamedTuple):
    """Sizes of the batch driver, in elements, and its tables."""

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
    joined: int  # 1: outputs are copied to `BatchBuffers.top`
    skip: int  # 1: the first O inputs of a step are added to its logits
    learned_state: int  # 1: the initial state is a parameter
    carries: int  # 1: dh_{t-1} has a part that does not go through a product
    late_at: int  # in da_t: the first late row
    n_late: int  # numbers of a sample in the late rows
    chunk: int  # steps of the backward pass between weight gradients
    read: int  # steps read out at a time
    slot: int  # from da_t to da_{t+1}
    logit_step: int  # from the logits of a step to the logits of the next
    dy_step: int
    grads: int  # length of `BatchBuffers.grads`
    dv: int  # place of the gradient of V in it
    narrow: int  # 1: the gradient of V^T stands there
    v_forward: int  # in the packed weights: V (Op / rows, 1 + D H, rows)
    v_backward: int  # (D H / rows, O, rows)
    state_at: int  # in the flat vector of parameters
    embedding_at: int
    options: Doubles  # of the cell
    runs: Ints  # `RunSizes` of each run
    places: Ints  # offsets of the `RunBuffers` of each run
    packs: Ints  # `Pack`
    n_packs: int
    products: Ints  # `Product`
    rank_ks: Ints  # `RankK`
    unpacks: Ints  # `Unpack`
    n_unpacks: int
    spreads: Ints  # `Line`: vectors of the cell, to be spread over the lanes
    n_spreads: int
    sums: Ints  # `Line`: sums over lanes, of vectors and of learned states
    n_sums: int


class RunSizes(NamedTuple):
    """Sizes of one run."""

    I: int  # height of x_t
    reverse: int  # 1: reads from the end
    step: int  # from z_t to z_{t+1}
    keep: int  # from a_t to a_{t+1}
    product: int  # its first row in the table
    n_products: int  # before the late ones
    n_late_products: int
    rank_k: int  # its first row in the table
    n_rank_ks: int
    to_h: int  # in da_t: the rows that Whh^T takes
    n_to_h: int  # numbers of a sample in them
    to_x: int  # the rows that Wxh^T takes
    n_to_x: int
    sums: int  # in `BatchBuffers.grads`: sums over lanes of the vectors' gradients
    state_sums: int  # the same of the initial state
    w: int  # in the packed weights: W, for z -> a
    w_h: int  # Whh, for da -> dh
    w_late: int  # Whh, for the late rows of da -> dlate
    w_x: int  # Wxh, for da -> dx
    vectors: int  # (n, H, lanes): vectors that the cell reads, the same in every lane


class BatchBuffers(NamedTuple):
    """A thread's work memory in the batch driver, for one block of `lanes` samples."""

    top: Any  # (read, 1 + D H, lanes): [1; y_t], of two directions, or after dropout
    logits: Any  # (read, Op, lanes), overwritten by the gradient of the loss
    targets: Any  # (Y, lanes)
    weights: Any  # (lanes): weight of each sample in the loss, 0 in an empty lane
    losses: Any  # (lanes)
    hits: Any  # (lanes): 1 where the prediction is right; of values the squared error
    lengths: Any  # (lanes)
    panel: Any  # (chunk or read, lanes, lanes): columns of z, samples in rows
    da: Any  # (chunk, rows of da, lanes): gradient with respect to a_t
    dh: Any  # (Hp, lanes): with respect to h_t
    dc: Any  # (H, lanes)
    held: Any  # (2, H, lanes): gradients of the lanes whose sequence has ended
    dlate: Any  # (Hp, lanes): with respect to the row that late products meet
    dy: Any  # (T, rows, lanes): with respect to the output of a layer, of every step
    dx: Any  # the same of the layer below
    grads: Any  # accumulated gradients, see `gradient_size`, then sums over lanes


class RunBuffers(NamedTuple):
    """Work memory of one run."""

    z: Any  # (T + 1, I + 1 + H, lanes): x_t, 1, h_{t-1}; the last step holds h_T
    a: Any  # (T or 1, rows, lanes)
    c: Any  # (T + 1, H, lanes) of a cell with memory
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
    grads: int  # in `BatchBuffers.grads`


class Unpack(NamedTuple):
    """A part of an accumulated gradient (R, C), to be written to the flat gradient."""

    grads: int  # in `BatchBuffers.grads`
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
    """``n`` numbers, each with a register for all lanes, in the weights or the gradients."""

    flat: int  # in the flat vector
    n: int
    wide: int  # place of the first register


class BatchJob(NamedTuple):
    """Addresses and numbers that a program of the batch driver works on."""

    sizes: Ints  # `BatchSizes`
    offsets: Ints  # `BatchBuffers`
    tail_sizes: Ints  # the same of a narrower tile, for the last block of a batch, or 0
    tail_offsets: Ints
    work: Reals  # of this thread
    ids: Ints  # `LaneIds` of this thread, (6, lanes)
    packed: Reals  # weights, of all threads
    flats: Reals  # (groups, stride): gradients of each group of blocks, without the embedding's
    stride: int
    partial: Doubles  # (groups, `PARTIAL`): loss, hits and weights of a group of blocks
    dtokens: Reals  # (samples of a round, T, E): gradient with respect to rows of an embedding
    team: Ints  # `Team`
    helps: int  # 1: this thread helps, 0: it leads
    groups: int  # into which a batch is divided, at most
    round: int  # blocks of a batch that are run before the embedding's gradient is taken
    x: Reals  # (rows, I)
    tokens: Ints  # (rows,), in place of x with an embedding
    starts: Ints  # (N,): the row where a sequence starts
    lengths: Ints  # (N,)
    y: Reals  # (N or rows, Y)
    weights: Reals  # (N or rows,), or 0
    order: Ints  # (n,): samples to visit
    n: int
    batch: int  # samples of an update
    stage: int  # one of `STAGES`
    window: int  # steps before the first window; 0 but for a stage
    kept: Reals  # (blocks of a batch, kept_step): `RunBuffers` from stage to stage, or 0
    kept_step: int
    given: Doubles  # `Given`, of a stage, or 0
    evaluate: int  # address of the program of the loss
    loss: Doubles  # `LossNumbers`, then the loss's options
    parameters: Reals
    gradients: Reals  # of the last batch, written
    descend: int  # address of the program that makes an update
    descent: Ints  # its record, a `DescentJob`, of which the drivers write the most
    moments: Reals  # (rows, n_parameters): state of the optimizer
    rows: int
    schedule: Doubles  # learning rate of each batch
    penalties: Reals  # (2, n_parameters): l1 and l2 of each parameter, or 0
    update: int  # 0: only gradients; else n_parameters
    sparse: int  # 1: only the rows in use of an embedding are updated
    state: Reals  # (N, states, runs, H): initial states, or 0
    carry: Reals  # (batch, states, runs, H): states between windows of truncated BPTT, or 0
    dstate: Reals  # as state, written, or 0
    dx: Reals  # (rows, I or E), written, or 0
    activity: Doubles  # `Activity`, or 0
    dfinal: Reals  # as state: gradient with respect to the final states, or 0
    hidden: Reals  # (rows, hidden_step): states after each step, written, or 0
    hidden_step: int
    wanted: Ints  # `Wanted`
    n_wanted: int
    out: Reals  # predictions, and the forward stage: (N or rows, O) logits, written, or 0
    sums: Doubles  # predictions: (`MEASURED`, n) of each sample of the order, added to, or 0
    final: Reals  # predictions, and the forward stage: as state, written, or 0
    dropout: Doubles  # its probabilities, between layers and before the readout
    noise: Doubles  # its standard deviations, of inputs and of pre-activations, or 0
    seed: int  # of dropout and noise
    result: Doubles  # `Sums`, added to


class LaneIds(NamedTuple):
    """Integers of each lane, (lanes,) each."""

    samples: Any  # number of the sample
    rows: Any  # its first row in the window
    lengths: Any  # its steps in the window
    places: Any  # its place in the batch
    chosen: Any  # room: rows that a step reads
    targets: Any  # room: rows that a step writes


class Sums(NamedTuple):
    """Places of what an epoch sums up."""

    loss: int  # weighted losses
    hits: int  # weighted hits; of values squared errors
    weight: int
    penalty: int  # of all updates
    updates: int
    windows: int  # of truncated BPTT; others count as one
    batches: int  # done: counted with the update, so that no interrupt comes in between


SUMS = Sums(*range(7))
MEASURED = 3  #: numbers that are measured of a sample: the first three of `Sums`
PARTIAL = 8  #: doubles of a group of blocks, a cache line: the first four of `Sums`


class Team(NamedTuple):
    """Places of the words of a team of threads, on cache lines of their own: `kernels.team`."""

    ticket: int  # phase, and items left of it
    done: int  # items
    items: int  # of the phase; read by a thread that holds one of them
    phase: int  # read by the leader alone
    sleep: int  # address of the C function ``int f(int microseconds)``, or 0
    factor: int  # of all gradients of the task: a double
    share: int  # of a step among all of the task: a double
    task: int  # a `Task`
    end: int  # words in all


TEAM = Team(ticket=0, done=8, items=16, phase=17, sleep=18, factor=19, share=20, task=24, end=32)


class Task(NamedTuple):
    """Work of a team: a window of some blocks of a batch."""

    first: int  # the batch's first place in the order
    n: int  # samples of the batch
    window: int  # steps before those that are run
    seed: int  # of dropout and noise
    begin: int  # blocks of the batch
    end: int
    groups: int  # into which these blocks are divided
    stage: int
