"""The units-in-lanes driver: sizes, buffers, and what an online step works on."""

from __future__ import annotations

from typing import Any, NamedTuple

from .memory import round_up


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
