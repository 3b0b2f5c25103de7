"""Where a training's sequences come from: blocks of them that fit in memory, read ahead.

What is in memory is one block.  What is not, a memmap or a dataset on disk, is read in slices; a
thread reads the next one while the kernels run.  Sequences are shuffled exactly within a block, and
so are the blocks: with one block that is exact, with more it is nearly so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..layout.network import Network
from ..losses.measures import Spread
from ..tuning import TUNING
from . import checks
from .blocks import Block, Visit
from .prefetch import read_ahead
from .readers import cut, has, is_cut, length, opened, whole
from .sequences import read_sequences
from .states import read_state
from .targets import read_targets
from .weights import balanced, class_counts

#: what weighs sequences and steps
WEIGHTS = ("mask", "sample_weight", "class_weight")


class Dataset:
    """N sequences, cut into blocks.

    Parameters
    ----------
    net : Network
    X, y : array-like, source or path
        As `Model.fit` has them; y is None where nothing is compared.
    lengths, state : array-like, optional
    block : int or None
        Sequences in a block; without, what is in memory is one block.
    batch_size : int
        Blocks are made of whole batches, if `block` is not given.
    check_finite : bool
    prefix : str
        Of the names of X and y, for messages.
    whole : bool
        Whether it is to be one block whatever its size.
    **weights
        As for `data.targets`.

    Raises
    ------
    TypeError, ValueError
        As `data` does; of what is read later, then.
    """

    def __init__(
        self,
        net: Network,
        X: Any,
        y: Any = None,
        *,
        lengths: Any = None,
        state: Any = None,
        trains: bool = False,
        block: int | None = None,
        batch_size: int = 1,
        check_finite: bool = True,
        prefix: str = "",
        whole: bool = False,
        **weights: Any,
    ):
        self.net, self.check_finite, self.prefix, self.trains = net, check_finite, prefix, trains
        if lengths is None and has(X, "lengths"):
            lengths = X
        self.state = state
        self.X, self.y = opened(f"{prefix}X", X), opened(f"{prefix}y", y)
        self.lengths = opened("lengths", lengths)
        self.weights = {
            name: value if name == "class_weight" else opened(name, value)
            for name, value in weights.items()
        }
        cut = None if whole else self._cut(block, batch_size)
        self._whole = None if cut else self._load(None)
        self.blocks = cut or [(0, len(self._whole.given))]  # type: ignore[union-attr]
        if cut:
            self._check_lengths()
            self._load(self.blocks[-1])  # what does not fit is to be known at once
            if isinstance(self.weights.get("class_weight"), str):
                self.weights["class_weight"] = self._balanced()

    def __len__(self) -> int:
        return self.blocks[-1][1]

    def _cut(self, block: int | None, batch_size: int) -> list[tuple[int, int]] | None:
        """(start, stop) of each block, or None if all is to be one."""
        if not is_cut(self.X) and (block is None or not isinstance(self.X, np.ndarray)):
            return None
        checks.shape_of_sequences(f"{self.prefix}X", tuple(self.X.shape), self.net)
        n = self.X.shape[0]
        if block is None:
            size = self.X.dtype.itemsize * int(np.prod(self.X.shape[1:]))
            block = max(1, TUNING.block_bytes // (size * batch_size)) * batch_size
        if n <= block:
            return None
        return [(start, min(n, start + block)) for start in range(0, n, block)]

    def _check_lengths(self) -> None:
        """Whether everything is as long as X, before parts of it are taken."""
        n, per_sequence = len(self), {"lengths": self.lengths, f"{self.prefix}y": self.y}
        per_sequence |= {k: v for k, v in self.weights.items() if k != "class_weight"}
        for name, value in per_sequence.items():
            found = n if value is None else length(value)
            if found != n:
                raise ValueError(f"{name} must have {n} entries, as X has; got {found}")

    def _load(self, place: tuple[int, int] | None) -> Block:
        """One block, or for None all, as the kernels take it."""
        here, take = "", whole
        state = self.state
        if place is not None:
            here = f"[{place[0]}:{place[1]}]"
            take = lambda value: cut(value, *place)  # noqa: E731
            if state is not None:
                own = slice(*place)
                pair = isinstance(state, (list, tuple))
                state = [s[:, own] for s in state] if pair else state[:, own]
        name, check = self.prefix, self.check_finite
        try:
            X, y, lengths = take(self.X), take(self.y), take(self.lengths)
        except OSError as error:
            raise OSError(error.errno, f"{name}X{here} cannot be read: {error}") from error
        given = read_sequences(f"{name}X{here}", X, self.net, check, lengths)
        state = read_state(state, len(given), self.net, trains=self.trains)
        if y is None:
            return Block(given, None, state)
        weights = {
            key: value if key == "class_weight" else take(value)
            for key, value in self.weights.items()
        }
        weights["part"] = place is not None
        y = read_targets(f"{name}y{here}", y, given, self.net, check, **weights)
        return Block(given, y, state)

    def _balanced(self) -> dict[int, float]:
        """The weights that ``class_weight="balanced"`` stands for, of all blocks together."""
        weights, self.weights = self.weights, {**self.weights, "class_weight": None}
        self.weights["sample_weight"] = None
        counts: Any = 0
        for place in self.blocks:
            given, targets, _ = self._load(place)
            assert targets is not None
            counts = counts + class_counts(given, targets, self.net)
        self.weights = weights
        return balanced(weights["class_weight"], counts)

    def load(self, k: int) -> Block:
        """Block number k."""
        return self._whole or self._load(self.blocks[k])

    def whole(self) -> Part:
        """All sequences."""
        return Part(self, lambda k, n: np.arange(n, dtype=np.int64))

    def split_sizes(self, share: float) -> dict[int, int]:
        """How many sequences a block of each size holds out.

        Raises
        ------
        ValueError
            All of one.
        """
        sizes = {stop - start for start, stop in self.blocks}
        return {n: held_out(share, n) for n in sizes} if share else {}

    def split(self, share: float, generator: np.random.Generator) -> tuple[Part, Part]:
        """Those to train on, and a share of those of each block, at least one, that is held out."""
        if len(self.blocks) == 1:
            drawn = generator.permutation(len(self))
            draw: Callable[[int, int], np.ndarray] = lambda k, n: drawn  # noqa: E731
        else:
            seed = int(generator.integers(2**62))
            draw = lambda k, n: np.random.default_rng([seed, k]).permutation(n)  # noqa: E731

        def part(of: slice) -> Callable[[int, int], np.ndarray]:
            return lambda k, n: np.sort(draw(k, n)[of])

        held = self.split_sizes(share)
        train = Part(self, lambda k, n: part(slice(held[n], None))(k, n))
        return train, Part(self, lambda k, n: part(slice(held[n]))(k, n))


def held_out(share: float, n: int) -> int:
    """How many of n sequences are held out.

    Raises
    ------
    ValueError
        All of them would be.
    """
    held = max(1, round(share * n))
    if held == n:
        raise ValueError(f"validation_split={share:g} of {n} sequences leaves none to train on")
    return held


class Part:
    """Some sequences of each block of a feed: ``choose(k, n)`` of block k, which has n."""

    def __init__(self, feed: Dataset, choose: Callable[[int, int], np.ndarray]):
        self.feed, self._choose = feed, choose
        self.sizes = [len(self.samples(k)) for k in self._distinct()]
        if len(self.sizes) < len(feed.blocks):  # all but the last are of a size
            self.sizes = [self.sizes[0]] * (len(feed.blocks) - 1) + self.sizes[-1:]
        self._spreads: dict[int, Spread] = {}

    def _distinct(self) -> list[int]:
        return sorted({0, len(self.feed.blocks) - 1})

    def __len__(self) -> int:
        return sum(self.sizes)

    def samples(self, k: int) -> np.ndarray:
        """Those of block k, in ascending order."""
        start, stop = self.feed.blocks[k]
        return self._choose(k, stop - start)

    def batches(self, batch_size: int | None) -> int:
        """In an epoch: no batch is of two blocks."""
        return sum(-(-n // (batch_size or n)) for n in self.sizes)

    def seen(self, visit: Visit) -> None:
        """Take note that all batches of a visit have been worked on."""
        self._spreads[visit.key] = visit.spread

    def spread(self) -> Spread:
        """That of the targets seen."""
        return sum((self._spreads[k] for k in sorted(self._spreads)), Spread())

    def record(self) -> Any:
        """What has been seen, in terms of JSON."""
        return [[k, *spread.record()] for k, spread in self._spreads.items()]

    def restore(self, record: Any, epochs: int) -> None:
        """Go on after so many epochs, and with what `record` gave."""
        self._spreads = {k: Spread(*rest) for k, *rest in record}

    def epoch(
        self,
        generator: np.random.Generator | None,
        batch_size: int | None,
        skip: int = 0,
    ) -> Iterator[Visit]:
        """All blocks, and of each all samples, but for `skip` batches.

        The order is drawn from the generator, now; without one it is that of the data.
        """
        shuffle = generator is not None
        if len(self.sizes) == 1:
            order = self.samples(0)
            if generator is not None:
                order = order[generator.permutation(len(order))]
            return iter([self._visit(0, order, skip)])
        places, seed = np.arange(len(self.sizes)), 0
        if generator is not None:
            places, seed = generator.permutation(places), int(generator.integers(2**62))
        visits = []
        for k in places.tolist():
            n = -(-self.sizes[k] // (batch_size or self.sizes[k]))
            if skip < n:
                visits.append((k, seed, shuffle, skip))
            skip = max(0, skip - n)
        return read_ahead(self._read, visits)

    def _read(self, visit: tuple[int, int, bool, int]) -> Visit:
        k, seed, shuffle, skip = visit
        order = self.samples(k)
        if shuffle:
            order = order[np.random.default_rng([seed, k]).permutation(len(order))]
        return self._visit(k, order, skip)

    def _visit(self, k: int, order: np.ndarray, skip: int) -> Visit:
        block, spread = self.feed.load(k), self._spreads.get(k)
        if spread is None and self.feed.trains:
            spread = block.spread(self.feed.net, self.samples(k))
        return Visit(block, order, skip, k, spread or Spread())

    def __iter__(self) -> Iterator[Visit]:
        """All blocks in their order."""
        return self.epoch(None, None)
