"""Passes over tensors: forward, backward, and forward alone."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..engine import operations
from ..engine.chance import Chance
from ..engine.passes import Passes
from ..engine.threads import Team
from ..engine.tiling import seconds_per_row
from ..engine.workspace import spaces
from ..layout.network import Network
from ..tuning import TUNING
from .forms import form_of
from .weights import packed, unpacked


class Layers(NamedTuple):
    """Everything about layers except their weights."""

    cell: str  #: key in `CELLS`
    input_size: int
    hidden_size: int
    num_layers: int
    directions: int
    batch_first: bool
    dropout: float  #: 0 in evaluation

    def network(self, dtype: torch.dtype) -> Network:
        """Return the network of these layers, without a head."""
        return _network(DTYPES[dtype], *self[:5])


DTYPES = {torch.float32: np.dtype("float32"), torch.float64: np.dtype("float64")}


@functools.lru_cache(256)
def _network(dtype: np.dtype, cell: str, I: int, H: int, layers: int, directions: int) -> Network:
    return Network(cell, dtype, I, H, 0, "linear", layers, directions, sequences=True)


class Tensors(NamedTuple):
    """Tensors that layers compute with."""

    x: torch.Tensor  #: padded, or the data of a `PackedSequence`
    hx: Sequence[torch.Tensor]  #: initial states (runs, N, H): none, h, or h and c
    weights: Sequence[torch.Tensor]  #: as of `weights.packed`
    batch_sizes: torch.Tensor | None  #: of a `PackedSequence`
    seed: torch.Tensor | None  #: of dropout: an integer in [0, 2**62)


class Recurrence:
    """A forward pass, and backward passes for gradients with respect to its outputs."""

    def __init__(self, layers: Layers, tensors: Tensors, input_gradients: bool) -> None:
        x, hx, weights, batch_sizes, seed = tensors
        self._net = net = layers.network(x.dtype)
        self._form = form_of(x, batch_sizes, layers.batch_first)
        self._n_weights = len(weights) // net.runs
        self._data = self._form.sequences(self._form.rows(x))
        self._state, self._input_gradients = by_sequence(hx), input_gradients
        self._passes = Passes(
            net,
            packed(net, weights),
            self._data,
            state=self._state,
            chance=Chance(dropout=layers.dropout if seed is not None else 0.0),
            seed=0 if seed is None else int(seed),
            input_gradients=input_gradients,
        )

    def forward(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the outputs, and the final states (runs, N, H) each."""
        net, n = self._net, len(self._data.starts)
        final = np.zeros((n, net.states, net.runs, net.hidden_size), net.dtype)
        out = self._room("outputs", net.outputs)
        if out is None:
            out = np.empty((len(self._data.x), net.outputs), net.dtype)
        with team(net, len(self._data.x)) as threads:
            self._passes.forward(out=out, final=final, team=threads)
        return self._form.shaped(out), by_run(final)

    def backward(
        self, doutput: torch.Tensor | None, dfinal: Sequence[torch.Tensor | None]
    ) -> tuple[torch.Tensor | None, list[torch.Tensor], list[torch.Tensor]]:
        """Return the gradients with respect to the input, initial states and weights.

        Parameters
        ----------
        doutput : torch.Tensor or None
            Gradient with respect to the outputs; None stands for zeros.
        dfinal : sequence
            The same of each of the final states.
        """
        net, x = self._net, self._data.x
        gradients = np.empty(net.n_parameters, net.dtype)
        dx = None
        if self._input_gradients:
            dx = self._room("inputs", net.features)
            dx = np.empty_like(x) if dx is None else dx
        dstate = None if self._state is None else np.empty_like(self._state)
        if doutput is None:
            rows = np.zeros((len(x), net.outputs), net.dtype)
        else:
            rows = self._form.rows(doutput, self._room("outputs", net.outputs))
        with team(net, len(self._data.x)) as threads:
            self._passes.backward(
                rows,
                gradients,
                dfinal=by_sequence(filled(dfinal)),
                dstate=dstate,
                dx=dx,
                team=threads,
            )
        return (
            None if dx is None else self._form.shaped(dx),
            [] if dstate is None else by_run(dstate),
            unpacked(net, gradients, self._n_weights),
        )

    def _room(self, name: str, columns: int) -> np.ndarray | None:
        """Return room for rows that are copied, since they are not in PyTorch's order."""
        return None if self._form.in_order else self._passes.room(name, columns)


def n_sequences(layers: Layers, x: torch.Tensor, batch_sizes: torch.Tensor | None) -> int:
    """Return N, the number of sequences of an input."""
    if batch_sizes is not None:
        return int(batch_sizes[0])
    return x.shape[0 if layers.batch_first else 1]


def predicted(layers: Layers, tensors: Tensors) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return what `Recurrence.forward` returns, without anything kept, nor dropout."""
    x, hx, weights, batch_sizes, _ = tensors
    net, form = layers.network(x.dtype), form_of(x, batch_sizes, layers.batch_first)
    data = form.sequences(form.rows(x))
    out = np.zeros((len(data.x), net.outputs), net.dtype)
    final = np.zeros((len(data.starts), net.states, net.runs, net.hidden_size), net.dtype)
    top = operations.wanted_layer(net, net.layers - 1)
    with team(net, len(data.x)) as threads:
        operations.predict(
            net,
            data,
            packed(net, weights),
            state=by_sequence(hx),
            final=final,
            hidden=operations.hidden_fields(out, top),
            team=threads,
        )
    spaces.trim()
    return form.shaped(out), by_run(final)


def team(net: Network, n_rows: int) -> Team | contextlib.nullcontext[None]:
    """Return a team of as many threads as PyTorch may use, or none for little work."""
    if seconds_per_row(net) * n_rows > TUNING.worth_seconds and torch.get_num_threads() > 1:
        return Team(torch.get_num_threads())
    return ALONE


ALONE = contextlib.nullcontext()


def by_sequence(states: Sequence[torch.Tensor]) -> np.ndarray | None:
    """Return states (runs, N, H) as one array (N, states, runs, H); None of none."""
    if not states:
        return None
    arrays = [state.detach().numpy() for state in states]
    return np.ascontiguousarray(np.array(arrays).transpose(2, 0, 1, 3))


def by_run(states: np.ndarray) -> list[torch.Tensor]:
    """Return states (N, states, runs, H) as a tensor (runs, N, H) of each."""
    return [torch.from_numpy(part.copy()) for part in states.transpose(1, 2, 0, 3)]


def filled(gradients: Sequence[torch.Tensor | None]) -> Sequence[Any]:
    """Return gradients with zeros in place of None, or nothing if all are None."""
    there = [gradient for gradient in gradients if gradient is not None]
    if not there:
        return ()
    return [torch.zeros_like(there[0]) if g is None else g for g in gradients]
