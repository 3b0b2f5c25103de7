"""Numbers of one unit and sample, as the functions of a declared cell get them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Point(NamedTuple):
    """Numbers of one unit and sample in a step, as the functions of a cell get them."""

    a: Any  #: tuple of the rows: pre-activations, or what the function before has left
    h_prev: Any
    h: Any  #: in `backward` and `reset_backward` only
    c_prev: Any  #: of a cell with memory
    c: Any  #: of a cell with memory, in `backward` and `reset_backward` only
    vectors: Any  #: tuple: the rows of the vectors that are no row's bias
    options: Any  #: tuple of numbers


class Slopes(NamedTuple):
    """Gradients of the loss, as the functions of a cell get them."""

    da: Any  #: tuple of the rows with a gate, in `reset_backward`: what `backward` has returned
    dh: Any  #: with respect to h_t; in `reset_backward` what `backward` has left
    dc: Any  #: with respect to c_t, of a cell with memory; likewise
    dlate: Any  #: with respect to the row that late products meet, in `reset_backward`
