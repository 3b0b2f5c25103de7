"""Splits of a dataset into sequences to train on and sequences to hold out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .parts import Blocks, Part

Marks = Callable[[int], np.ndarray]  #: returns (n,) bool for a block of n sequences


def count_held_out(share: float, n: int, what: str = "sequences") -> int:
    """Return the number that a share of n sequences is, at least one.

    Raises
    ------
    ValueError
        None would be left.
    """
    n_held = max(1, round(share * n))
    if n_held == n:
        raise ValueError(f"validation_split={share:g} of {n} {what} leaves none to train on")
    return n_held


class Split:
    """A random share of the sequences of a dataset, to hold out.

    Parameters
    ----------
    dataset : Blocks
    share : float
        Above 0 and below 1.
    labels : (N,) int64 array or None
        Class of each sequence: the share is held out of each class, of all blocks together.  None:
        it is held out of each block.

    Raises
    ------
    ValueError
        All sequences of a class, or of a block, would be held out.
    """

    def __init__(self, dataset: Blocks, share: float, labels: np.ndarray | None = None) -> None:
        self._dataset, self._labels = dataset, labels
        if labels is None:
            self._n_held = [count_held_out(share, stop - start) for start, stop in dataset.blocks]
            return
        classes, counts = np.unique(labels, return_counts=True)
        self._n_held = [
            count_held_out(share, n, f"sequences of class {c}, stratified,")
            for c, n in zip(classes.tolist(), counts.tolist(), strict=True)
        ]
        self._starts = np.cumsum(counts) - counts

    def draw(self, generator: np.random.Generator) -> tuple[Part, Part]:
        """Return the part to train on, and the part to hold out."""
        sizes = [stop - start for start, stop in self._dataset.blocks]
        if self._labels is None:
            is_held, n_held = self._by_block(generator, sizes), self._n_held
        else:
            is_held = self._by_class(generator, self._labels)
            n_held = [int(is_held(k).sum()) for k in range(len(sizes))]
        n_left = [n - held for n, held in zip(sizes, n_held, strict=True)]
        train = Part(self._dataset, lambda k: np.flatnonzero(~is_held(k)), n_left)
        return train, Part(self._dataset, lambda k: np.flatnonzero(is_held(k)), n_held)

    def _by_block(self, generator: np.random.Generator, sizes: list[int]) -> Marks:
        """Draw from each block; return a function that marks the drawn sequences of a block."""
        if len(sizes) == 1:
            order = generator.permutation(sizes[0])
            return lambda k: marked(order[: self._n_held[0]], sizes[0])
        seed = int(generator.integers(2**62))

        def marks(k: int) -> np.ndarray:
            order = np.random.default_rng([seed, k]).permutation(sizes[k])
            return marked(order[: self._n_held[k]], sizes[k])

        return marks

    def _by_class(self, generator: np.random.Generator, labels: np.ndarray) -> Marks:
        """Draw from each class; return a function that marks the drawn sequences of a block."""
        order = generator.permutation(len(labels))
        grouped = order[np.argsort(labels[order], kind="stable")]
        runs = zip(self._starts.tolist(), self._n_held, strict=True)
        drawn = np.concatenate([grouped[start : start + n] for start, n in runs])
        marks = marked(drawn, len(labels))
        return lambda k: marks[slice(*self._dataset.blocks[k])]


def marked(places: np.ndarray, n: int) -> np.ndarray:
    """Return (n,) bool that is True at some places."""
    mask = np.zeros(n, bool)
    mask[places] = True
    return mask
