"""Records of the single driver: sizes, buffers, jobs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .memory import round_up
from .pointers import Doubles, Ints, Reals


class SingleSizes(NamedTuple):
    """Sizes of the single driver, in elements.

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
    wx: int  # start of [Wxh | bh] in w
    parameters: int  # in w, without the copy at its end


class SingleBuffers(NamedTuple):
    """Work memory of the single driver; `lanes` are those of one vector."""

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


class SingleJob(NamedTuple):
    """Addresses and numbers that an epoch of the single driver works on."""

    sizes: Ints  # `SingleSizes`
    offsets: Ints  # `SingleBuffers`
    work: Reals
    x: Reals  # (N, T, I)
    y: Reals  # (N, Y)
    order: Ints  # (n,): samples to visit
    n: int
    batch: int  # samples of an update
    evaluate: int  # address of the program of the loss
    loss: Doubles  # `LossNumbers`, then the loss's options
    parameters: Reals
    n_parameters: int
    descend: int  # as in `BatchJob`
    descent: Ints
    moments: Reals  # (rows, n_parameters): state of the optimizer
    rows: int
    schedule: Doubles  # learning rate of each batch
    penalties: Reals  # (2, n_parameters): l1 and l2 of each parameter, or 0
    result: Doubles  # `Sums`, added to


class OnlineJob(NamedTuple):
    """Addresses and numbers that an online step works on."""

    sizes: Ints  # `SingleSizes`
    offsets: Ints  # `SingleBuffers`
    work: Reals
    x: Doubles  # (T, I), the sequence
    y: Reals  # (Y,), its target
    parameters: Reals
    gradients: Reals
    outputs: Doubles  # (O,), written: probabilities or values
    learning_rate: Doubles  # (1,)
    evaluate: int  # address of the program of the loss
    loss: Doubles  # `LossNumbers`, then the loss's options
    task: int  # place in `TASKS`
    is_finite: int  # written: 1 if x is finite in the reals of the network


TASKS = ("prepare", "forward", "backward", "gradients")


def single_layout(
    T: int,
    I: int,
    H: int,
    O: int,
    Y: int,
    vecs: int,
    lanes: int,
    rows: int,
) -> tuple[SingleSizes, SingleBuffers]:
    """Sizes, and the elements of each buffer, for tiles `vecs` vectors of `lanes` units wide.

    `rows` are those of the optimizer's state.
    """
    lead, Hp = round_up(I + 1, lanes), round_up(H, max(8, vecs * lanes))
    ld, lv = lead + Hp, lanes + Hp
    wx = Hp * Hp + O * lv
    parameters = wx + (I + 1) * Hp
    buffers = SingleBuffers(
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
    return SingleSizes(T, I, H, O, Y, I + 1 + H, lead, Hp, ld, lv, wx, parameters), buffers


def single_places(sizes: SingleSizes, lanes: int) -> np.ndarray:
    """Return the place of each flat parameter in `SingleBuffers.w`."""
    H, I, O, Hp = sizes.H, sizes.I, sizes.O, sizes.Hp
    rows, columns = np.arange(H)[:, None], np.arange(I + 1)
    inputs, states = sizes.wx + columns * Hp + rows, rows * Hp + np.arange(H)
    V = Hp * Hp + lanes - 1 + np.arange(O)[:, None] * sizes.lv + np.arange(1 + H)
    return np.concatenate([np.hstack([inputs, states]).ravel(), V.ravel()])
