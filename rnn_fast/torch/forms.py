"""Forms of a batch in PyTorch, padded or packed, as rows of sequences and back."""

from __future__ import annotations

import numpy as np
import torch

from ..data.rows import Sequences, padded


class Padded:
    """N sequences of T steps, (T, N, I) or with `batch_first` (N, T, I).

    Attributes
    ----------
    in_order : bool
        Whether the memory of a contiguous tensor of this form has the order of the rows.
    """

    def __init__(self, x: torch.Tensor, batch_first: bool) -> None:
        self.in_order = batch_first
        self._shape = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])

    def rows(self, tensor: torch.Tensor, room: np.ndarray | None = None) -> np.ndarray:
        """Return a tensor of this form as (N * T, C).

        Parameters
        ----------
        tensor : torch.Tensor
            Its memory is returned if that is in order.
        room : (N * T, C) array or None
            Written and returned, if the memory of `tensor` is not in order.
        """
        tensor = tensor.detach() if self.in_order else tensor.detach().transpose(0, 1)
        if room is None or tensor.is_contiguous():
            return tensor.contiguous().numpy().reshape(-1, tensor.shape[-1])
        torch.from_numpy(room).view(tensor.shape).copy_(tensor)
        return room

    def sequences(self, rows: np.ndarray) -> Sequences:
        """Return rows as N sequences."""
        return padded(rows.reshape(*self._shape, -1))

    def shaped(self, rows: np.ndarray) -> torch.Tensor:
        """Return rows (N * T, C) as a contiguous tensor of this form, no view of another one.

        Its memory is that of the rows if they are in order.
        """
        array = rows.reshape(*self._shape, -1)
        if self.in_order:
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

    in_order = False

    def __init__(self, batch_sizes: torch.Tensor) -> None:
        sizes = batch_sizes.numpy()
        N, n = int(sizes[0]), int(sizes.sum())
        self._lengths = np.searchsorted(-sizes, -np.arange(N)).astype(np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        first = np.cumsum(sizes) - sizes  # place of each step in the data
        steps = np.repeat(np.arange(len(sizes)), sizes)
        places = self._starts[np.arange(n) - first[steps]] + steps
        back = np.empty_like(places)
        back[places] = np.arange(n)
        self._places, self._back = torch.from_numpy(places), torch.from_numpy(back)

    def rows(self, tensor: torch.Tensor, room: np.ndarray | None = None) -> np.ndarray:
        """Return packed data as rows, sequence after sequence; in `room`, if there is one."""
        if room is None:
            return tensor.detach().index_select(0, self._back).numpy()
        torch.index_select(tensor.detach(), 0, self._back, out=torch.from_numpy(room))
        return room

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
