"""Forms of a batch in PyTorch, padded or packed, as rows of sequences and back."""

from __future__ import annotations

import numpy as np
import torch

from ..data.rows import Sequences, padded


class Padded:
    """N sequences of T steps, (T, N, I) or with `batch_first` (N, T, I)."""

    def __init__(self, x: torch.Tensor, batch_first: bool) -> None:
        self._batch_first = batch_first
        self._shape = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])

    def rows(self, tensor: torch.Tensor) -> np.ndarray:
        """Return a tensor of this form as (N * T, C): its memory if that is in order."""
        if not self._batch_first:
            tensor = tensor.transpose(0, 1)
        return tensor.detach().contiguous().numpy().reshape(-1, tensor.shape[-1])

    def sequences(self, rows: np.ndarray) -> Sequences:
        """Return rows as N sequences."""
        return padded(rows.reshape(*self._shape, -1))

    def shaped(self, rows: np.ndarray) -> torch.Tensor:
        """Return rows (N * T, C) as a contiguous tensor of this form, no view of another one."""
        array = rows.reshape(*self._shape, -1)
        if self._batch_first:
            return torch.from_numpy(array)
        by_time = torch.from_numpy(array).transpose(0, 1)
        return torch.empty(by_time.shape, dtype=by_time.dtype).copy_(by_time)


class Packed:
    """Sequences step after step, long ones first: the data of a `PackedSequence`.

    Parameters
    ----------
    batch_sizes : (T,) torch.Tensor
        Sequences that have each step.
    """

    def __init__(self, batch_sizes: torch.Tensor) -> None:
        sizes = batch_sizes.numpy()
        N, n = int(sizes[0]), int(sizes.sum())
        self._lengths = np.searchsorted(-sizes, -np.arange(N)).astype(np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        first = np.cumsum(sizes) - sizes  # place of each step in the data
        steps = np.repeat(np.arange(len(sizes)), sizes)
        sequence = np.arange(n) - first[steps]
        places = self._starts[sequence] + steps
        back = np.empty_like(places)
        back[places] = np.arange(n)
        self._places, self._back = torch.from_numpy(places), torch.from_numpy(back)

    def rows(self, tensor: torch.Tensor) -> np.ndarray:
        """Return packed data as rows, sequence after sequence."""
        return tensor.detach().index_select(0, self._back).numpy()

    def sequences(self, rows: np.ndarray) -> Sequences:
        """Return rows as sequences."""
        return Sequences(rows, self._starts, self._lengths)

    def shaped(self, rows: np.ndarray) -> torch.Tensor:
        """Return rows as packed data."""
        return torch.from_numpy(rows).index_select(0, self._places)


def form_of(
    x: torch.Tensor, batch_sizes: torch.Tensor | None, batch_first: bool
) -> Padded | Packed:
    """Return the form of an input."""
    return Padded(x, batch_first) if batch_sizes is None else Packed(batch_sizes)
