"""How parameters and work memory are laid out: plain arithmetic, shared by Python and kernels.

The parameters of a network are two matrices, one behind the other in one flat vector::

    W (H, I + 1 + H)   columns [Wxh | bh | Whh]    a_t = W z_t,   z_t = [x_t; 1; h_{t-1}]
    V (O, 1 + H)       columns [by | Why]          logits = V [1; h_T]

A bias is the weight of a constant one, so each layer is one product and one gradient.

A driver's work memory is one array.  The sizes of its buffers are said here, once: Python makes
the offsets, and hands them to the kernels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

ALIGN = 16  #: elements, 64 bytes of float32
LOSSES = ("bce", "cross_entropy", "mse")


class LaneSizes(NamedTuple):
    """Sizes for the samples-in-lanes driver, all in elements.

    ``Hp`` and ``Op`` are H and O rounded up to whole tiles of rows.
    """

    T: int  # steps
    I: int
    H: int  # hidden units
    O: int
    Y: int  # numbers in a sample's target
    S: int  # I + 1 + H, the height of z_t
    chunk: int  # steps of the backward pass between weight gradients
    step: int  # from z_t to z_{t+1}
    slot: int  # from da_t to da_{t+1}
    dw: int  # numbers that accumulate the gradient of W
    dv: int


class LaneBuffers(NamedTuple):
    """Work memory of the samples-in-lanes driver, for one block of `lanes` samples.

    A panel is `lanes` columns of z with samples in rows.
    """

    z: Any  # (T + 1, I + 1 + Hp, lanes): x_t, 1, h_{t-1}; the last step holds h_T
    da: Any  # (chunk + 1, Hp, lanes): loss gradient by a_t
    logits: Any  # (Op, lanes), overwritten by the loss gradient by them
    targets: Any  # (targets, lanes)
    weights: Any  # (lanes): weight of each sample in the loss, 0 in an empty lane
    losses: Any  # (lanes)
    hits: Any  # (lanes): 1 where the prediction is right
    square: Any  # (lanes, lanes): room to turn x around in
    panel: Any  # (chunk, lanes, lanes)
    w_forward: Any  # (Hp / rows, I + 1 + H, rows): W, for z -> a
    w_backward: Any  # (Hp / rows, H, rows): Whh, for da -> dh
    v_forward: Any  # (Op / rows, 1 + H, rows)
    v_backward: Any  # (Hp / rows, O, rows)
    dw: Any  # see `gradient_size`
    dv: Any


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
    velocity: Any  # the same


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


def round_up(n: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `n`."""
    return (n + step - 1) // step * step


def gradient_size(n_rows: int, n_columns: int, lanes: int, vecs: int) -> int:
    """Elements that accumulate the gradient of a matrix.

    Whole panels of `lanes` columns and, for the first ``n_columns % lanes`` columns, one vector
    register per weight.
    """
    rest = n_columns % lanes
    return n_rows * (n_columns - rest) + n_rows * round_up(rest, vecs) * (lanes // vecs)


def lane_layout(
    T: int,
    I: int,
    H: int,
    O: int,
    Y: int,
    chunk: int,
    rows: int,
    vecs: int,
    lanes: int,
) -> tuple[LaneSizes, LaneBuffers]:
    """Sizes, and the elements of each buffer, for tiles of `rows` by `vecs` (`lanes` samples)."""
    S, Hp, Op = I + 1 + H, round_up(H, rows), round_up(O, rows)
    step, slot = (I + 1 + Hp) * lanes, Hp * lanes
    dw = gradient_size(Hp, S, lanes, vecs)
    dv = gradient_size(Op, 1 + H, lanes, vecs)
    buffers = LaneBuffers(
        z=(T + 1) * step + (vecs - 1) * lanes,  # sums over odd columns read on to the next row
        da=(chunk + 1) * slot,
        logits=Op * lanes,
        targets=Y * lanes,
        weights=lanes,
        losses=lanes,
        hits=lanes,
        square=lanes * lanes,
        panel=chunk * lanes * lanes,
        w_forward=Hp * S,
        w_backward=Hp * H,
        v_forward=Op * (1 + H),
        v_backward=Hp * O,
        dw=dw,
        dv=dv,
    )
    return LaneSizes(T, I, H, O, Y, S, chunk, step, slot, dw, dv), buffers


def unit_layout(
    T: int,
    I: int,
    H: int,
    O: int,
    Y: int,
    vecs: int,
    lanes: int,
) -> tuple[UnitSizes, UnitBuffers]:
    """Sizes, and the elements of each buffer, for tiles `vecs` vectors of `lanes` units wide."""
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
        velocity=parameters,
    )
    return UnitSizes(T, I, H, O, Y, I + 1 + H, lead, Hp, ld, lv, wx, parameters), buffers


def offsets(buffers: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Where each buffer starts in the work array, and the array's length, in elements.

    Every start is a multiple of `ALIGN`, so that whole vectors are aligned.
    """
    ends = np.cumsum([round_up(size, ALIGN) for size in buffers], dtype=np.int64)
    return np.concatenate(([0], ends[:-1])), int(ends[-1])
