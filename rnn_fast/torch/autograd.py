"""The recurrence as a function that PyTorch differentiates, in eager mode and in compiled graphs.

What the forward pass keeps is held by a tensor, the handle, that autograd saves and frees as it
does any other.  A handle may be lost on the way, by checkpointing or as saved tensors are moved:
the backward pass then runs forward again.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..cells.specs import CELLS
from .recurrence import Layers, Recurrence, Tensors, n_sequences, predicted


class Held(np.ndarray):
    """The memory of a handle: its number.  The tensor made from it keeps it alive."""

    recurrence: Recurrence


HELD: weakref.WeakValueDictionary[int, Held] = weakref.WeakValueDictionary()
NUMBERS = itertools.count(1)
NONE = 0  #: number of a handle that holds nothing


def handle(recurrence: Recurrence) -> Tensor:
    """Return a tensor that keeps `recurrence` as long as its memory lives."""
    number = next(NUMBERS)
    held = np.array([number]).view(Held)
    held.recurrence = recurrence
    HELD[number] = held
    return torch.from_numpy(held)


def held_by(handle: Tensor, layers: Layers, tensors: Tensors, input_gradients: bool) -> Recurrence:
    """Return the recurrence of a handle, or else run it again."""
    held = HELD.get(int(handle))
    if held is not None:
        return held.recurrence
    recurrence = Recurrence(layers, tensors, input_gradients)
    recurrence.forward()
    return recurrence


# ------------------------------------------------------------------------------------- eager mode


class Differentiable(torch.autograd.Function):
    """The recurrence in eager mode."""

    @staticmethod
    def forward(
        ctx: Any,
        layers: Layers,
        batch_sizes: Tensor | None,
        seed: Tensor | None,
        n_states: int,
        x: Tensor,
        *others: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the outputs, then the final states; `others` are initial states, then weights."""
        tensors = Tensors(x, others[:n_states], others[n_states:], batch_sizes, seed)
        ctx.layers, ctx.seed, ctx.n_states = layers, seed, n_states
        recurrence = Recurrence(layers, tensors, ctx.needs_input_grad[4])
        output, final = recurrence.forward()
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(handle(recurrence), batch_sizes, x, *others)
        return output, *final

    @staticmethod
    def backward(ctx: Any, doutput: Tensor | None, *dfinal: Tensor | None) -> Any:
        """Return the gradients with respect to each argument of `forward`.

        Raises
        ------
        RuntimeError
            Gradients of these gradients are to be taken.
        """
        if torch.is_grad_enabled():
            raise RuntimeError(
                "create_graph=True: layers of rnn_fast have no gradients of gradients; those of "
                "torch.nn have, see rnn_fast.torch.replace(module, inverse=True)"
            )
        held, batch_sizes, x, *others = ctx.saved_tensors
        n = ctx.n_states
        tensors = Tensors(x, others[:n], others[n:], batch_sizes, ctx.seed)
        recurrence = held_by(held, ctx.layers, tensors, ctx.needs_input_grad[4])
        dx, dhx, dweights = recurrence.backward(doutput, dfinal)
        return None, None, None, None, dx, *dhx, *dweights


# -------------------------------------------------------------------------------- compiled graphs

ARGUMENTS = "Tensor x, Tensor[] hx, Tensor[] weights, Tensor? batch_sizes, Tensor? seed"
LAYERS = (
    "str cell, int input_size, int hidden_size, int num_layers, int directions, bool batch_first, "
    "float dropout"
)


@torch.library.custom_op(
    "rnn_fast::recurrence",
    mutates_args=(),
    schema=f"({ARGUMENTS}, bool trains, {LAYERS}) -> (Tensor, Tensor[], Tensor)",
)
def recurrence(
    x: Tensor, hx: Any, weights: Any, batch_sizes: Any, seed: Any, trains: bool, *layers: Any
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return the outputs, the final states and a handle."""
    tensors = Tensors(x, hx, weights, batch_sizes, seed)
    if not trains:
        return *predicted(Layers(*layers), tensors), torch.tensor([NONE])
    forward = Recurrence(Layers(*layers), tensors, input_gradients=True)
    return *forward.forward(), handle(forward)


@recurrence.register_fake
def _(
    x: Tensor, hx: Any, weights: Any, batch_sizes: Any, seed: Any, trains: bool, *layers: Any
) -> tuple[Tensor, list[Tensor], Tensor]:
    shape = Layers(*layers)
    output = x.new_empty((*x.shape[:-1], shape.directions * shape.hidden_size))
    final = [torch.empty_like(h, memory_format=torch.contiguous_format) for h in hx]
    return output, final, torch.empty(1, dtype=torch.int64)


@torch.library.custom_op(
    "rnn_fast::recurrence_backward",
    mutates_args=(),
    schema=f"(Tensor handle, Tensor? doutput, Tensor?[] dfinal, {ARGUMENTS}, {LAYERS}) "
    "-> (Tensor, Tensor[], Tensor[])",
)
def recurrence_backward(
    handle: Tensor,
    doutput: Tensor | None,
    dfinal: Sequence[Tensor | None],
    x: Tensor,
    hx: Any,
    weights: Any,
    batch_sizes: Any,
    seed: Any,
    *layers: Any,
) -> tuple[Tensor | None, list[Tensor], list[Tensor]]:
    """Return the gradients with respect to the input, initial states and weights."""
    tensors = Tensors(x, hx, weights, batch_sizes, seed)
    forward = held_by(handle, Layers(*layers), tensors, input_gradients=True)
    return forward.backward(doutput, dfinal)


@recurrence_backward.register_fake
def _(
    handle: Tensor, doutput: Any, dfinal: Any, x: Tensor, hx: Any, weights: Any, *others: Any
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    def like(tensor: Tensor) -> Tensor:
        return torch.empty_like(tensor, memory_format=torch.contiguous_format)

    return like(x), [like(h) for h in hx], [like(weight) for weight in weights]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    x, hx, weights, batch_sizes, seed, _, *layers = inputs
    ctx.n_states, ctx.layers = len(hx), layers
    ctx.save_for_backward(output[2], batch_sizes, seed, x, *hx, *weights)


def _backward(ctx: Any, doutput: Any, dfinal: Any, _: Any) -> tuple[Any, ...]:
    handle, batch_sizes, seed, x, *others = ctx.saved_tensors
    hx, weights = others[: ctx.n_states], others[ctx.n_states :]
    gradients = torch.ops.rnn_fast.recurrence_backward(
        handle, doutput, dfinal, x, hx, weights, batch_sizes, seed, *ctx.layers
    )
    return *gradients, None, None, None, *(None for _ in ctx.layers)


recurrence.register_autograd(_backward, setup_context=_save)


# ------------------------------------------------------------------------------------------ either


def compute(layers: Layers, tensors: Tensors) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the outputs, and the final states, of layers."""
    x, hx, weights, batch_sizes, seed = tensors
    trains = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *hx, *weights))
    trains = trains or seed is not None
    if torch.compiler.is_compiling():
        if not hx:  # shapes of the final states are those of the initial ones
            N = n_sequences(layers, x, batch_sizes)
            runs = layers.num_layers * layers.directions
            n_states = CELLS[layers.cell].n_states
            hx = [x.new_zeros((runs, N, layers.hidden_size)) for _ in range(n_states)]
        return torch.ops.rnn_fast.recurrence(x, hx, weights, batch_sizes, seed, trains, *layers)[:2]
    if not trains:
        return predicted(layers, tensors)
    output, *final = Differentiable.apply(layers, batch_sizes, seed, len(hx), x, *hx, *weights)
    return output, final
