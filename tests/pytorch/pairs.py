"""A layer of `torch.nn` beside the same one of rnn_fast, and all that both compute."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import rnn_fast.torch


def pair(kind: str, *sizes: int, dtype: Any = torch.float64, **options: Any):
    """Return a layer of `torch.nn` and one of rnn_fast with the same weights."""
    theirs = getattr(torch.nn, kind)(*sizes, dtype=dtype, **options)
    ours = getattr(rnn_fast.torch, kind)(*sizes, dtype=dtype, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


class Batch(NamedTuple):
    """Inputs of a layer."""

    x: torch.Tensor
    states: tuple[torch.Tensor, ...] = ()  #: none, h, or h and c
    lengths: torch.Tensor | None = None  #: to pack x
    enforce_sorted: bool = False


def batch(layer, N=11, T=6, state=False, lengths=None, enforce_sorted=False):
    """Draw inputs for a layer; with N = 0 of one sequence without a batch."""
    N_, I, H = N or 1, layer.input_size, layer.hidden_size
    runs, dtype = layer.num_layers * (1 + layer.bidirectional), layer.weight_ih_l0.dtype
    x = torch.randn((N_, T, I) if layer.batch_first else (T, N_, I), dtype=dtype)
    states = [torch.randn(runs, N_, H, dtype=dtype) for _ in range(1 + (layer.mode == "LSTM"))]
    if not N:
        x, states = x.squeeze(0 if layer.batch_first else 1), [s.squeeze(1) for s in states]
    return Batch(x, tuple(states) if state else (), lengths, enforce_sorted)


def called(layer, batch: Batch, x=None, states=None):
    """Return the outputs, packed data if the input is packed, and the final states."""
    x, states = batch.x if x is None else x, batch.states if states is None else states
    if batch.lengths is not None:
        order = {"batch_first": layer.batch_first, "enforce_sorted": batch.enforce_sorted}
        x = pack_padded_sequence(x, batch.lengths, **order)
    is_pair = layer.mode == "LSTM"
    output, final = layer(x, (tuple(states) if is_pair else states[0]) if states else None)
    assert isinstance(output, PackedSequence) == isinstance(x, PackedSequence)
    return [*(output if isinstance(x, PackedSequence) else (output,))], (
        [*final] if is_pair else [final]
    )


def computed(layer, batch: Batch, seed: int = 0) -> list[torch.Tensor | None]:
    """Return outputs, final states, and gradients with respect to all inputs and weights."""
    x = batch.x.clone().requires_grad_()
    states = [state.clone().requires_grad_() for state in batch.states]
    output, final = called(layer, batch, x, states)
    generator = torch.Generator().manual_seed(seed)
    results = [output[0], *final]
    weights = [torch.randn(r.shape, generator=generator, dtype=r.dtype) for r in results]
    loss = sum((a * b).sum() for a, b in zip(results, weights, strict=True))
    wanted = [x, *states, *layer.parameters()]
    return [*output, *final, *torch.autograd.grad(loss, wanted)]


def same(a, b, tolerance=1e-12):
    """Check that two lists of tensors are alike: shapes, dtypes, layouts of outputs, numbers."""
    for p, q in zip(a, b, strict=True):
        assert (p is None) == (q is None)
        if p is not None:
            assert p.shape == q.shape and p.dtype == q.dtype
            torch.testing.assert_close(p, q, atol=tolerance, rtol=tolerance)


def check(layers, *arguments, tolerance=1e-12, **options) -> None:
    """Check that a pair of layers computes the same, with gradients and without."""
    theirs, ours = layers
    inputs = batch(theirs, *arguments, **options)
    same(computed(theirs, inputs), computed(ours, inputs), tolerance)
    with torch.no_grad():
        a, b = called(theirs, inputs), called(ours, inputs)
    same([*a[0], *a[1]], [*b[0], *b[1]], tolerance)
