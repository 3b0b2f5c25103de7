"""Sequences to train on or to predict from, in blocks that fit in memory.

In-memory data is a single block.  Data on disk, such as a memmap, is read in slices: a thread reads
the next slice while the kernels run.  An epoch visits the blocks in random order, and the sequences
of each block in random order.  So with a single block the shuffling is exact.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..layout.network import Network
from ..losses.measures import Spread
from ..tuning import TUNING
from . import checks
from .arrays import real
from .blocks import Block, Visit, count_held_out
from .files import File
from .plain import all_none, plain_block
from .prefetch import read_ahead
from .readers import holds, n_entries, opened, read_part
from .sequences import is_list, read_sequences
from .slices import Slices
from .states import read_state, slice_state
from .targets import read_targets
from .weights import balanced, class_counts

#: arguments that weigh sequences, steps and classes
WEIGHTS = ("mask", "sample_weight", "class_weight")
#: arguments whose names in messages have no prefix, unless `prefixing` puts one there
UNNAMED = ("lengths", "initial_state", *WEIGHTS)
#: in the place of `y`: there are no targets
NO_TARGETS = object()


@contextlib.contextmanager
def prefixing(prefix: str) -> Iterator[None]:
    """Put a prefix before the name of an argument in an error of the block."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind, text = type(error), str(error)
        if not (prefix and kind in (TypeError, ValueError) and text.startswith(UNNAMED)):
            raise
        raise kind(f"{prefix}{text}") from None


class Dataset:
    """N sequences, cut into blocks.

    Parameters
    ----------
    net : Network
    X, y : array-like, path, or anything with a shape, a dtype and slices
        As in `Model.fit`.  `y` is `NO_TARGETS` where there are none.
    lengths, state : array-like, optional
    trains : bool
        Whether the data is to train on.
    block : int or None
        Sequences in a block.  None: `Tuning.block_bytes` decide for data on disk, and in-memory
        data is a single block.
    batch_size : int
        Without `block`, blocks are made of whole batches.
    check_finite : bool
    prefix : str
        Put before the names of arguments in messages.
    whole : bool
        Whether all data is a single block whatever its size.
    **weights
        `WEIGHTS`, as for `targets.read_targets`.

    Raises
    ------
    TypeError, ValueError
        The data does not fit.  Of data on disk the shapes and the last block are checked now, and
        each block when it is read.
    """

    def __init__(
        self,
        net: Network,
        X: Any,
        y: Any = NO_TARGETS,
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
        if y is None:
            raise TypeError(f"{prefix}y must be the targets of the sequences; got None")
        if all_none(block, lengths, state, *weights.values()):
            plain = plain_block(net, X, None if y is NO_TARGETS else y, check_finite)
            if plain is not None:
                self.blocks = [(0, len(plain.inputs))]
                self._single: Block | None = plain
                return
        self.state = state
        with prefixing(prefix):
            self._open(X, y, lengths, weights)
            size = None if whole else self._block_size(block, batch_size)
            self._single = self._load(None) if size is None else None
            if self._single is not None:
                self.blocks = [(0, len(self._single.inputs))]
            elif size is not None:
                self._cut(size)

    def _open(self, X: Any, y: Any, lengths: Any, weights: dict[str, Any]) -> None:
        """Keep all arguments as arrays in memory, as lists, or as slices of data on disk."""
        prefix = self.prefix
        files: dict[str, File] = {}  # each is opened once
        if lengths is None and holds(f"{prefix}X", X, "lengths", files):
            lengths = X
        self.X = opened(f"{prefix}X", X, files)
        if not (isinstance(self.X, (np.ndarray, Slices)) or is_list(self.X)):
            self.X = real(f"{prefix}X", self.X)
        self.y = None if y is NO_TARGETS else opened(f"{prefix}y", y, files)
        self.lengths = opened("lengths", lengths, files)
        self.weights = {
            name: value if name == "class_weight" else opened(name, value, files)
            for name, value in weights.items()
        }

    def __len__(self) -> int:
        return self.blocks[-1][1]

    def _block_size(self, block: int | None, batch_size: int) -> int | None:
        """Return the number of sequences in a block; None for a single block."""
        if is_list(self.X) or (block is None and not isinstance(self.X, Slices)):
            return None
        checks.shape_of_sequences(f"{self.prefix}X", self.X.shape, self.net)
        if block is None:
            sequence_bytes = self.X.dtype.itemsize * int(np.prod(self.X.shape[1:]))
            block = max(1, TUNING.block_bytes // (sequence_bytes * batch_size)) * batch_size
        return None if self.X.shape[0] <= block else block

    def _cut(self, size: int) -> None:
        """Cut the data into blocks; raise the errors of its shapes now."""
        n = self.X.shape[0]
        self._check_lengths(n)
        self._load(((n - 1) // size * size, n))  # before there are blocks: n may be a lie
        self.blocks = [(start, min(n, start + size)) for start in range(0, n, size)]
        if isinstance(self.weights.get("class_weight"), str):
            self.weights["class_weight"] = self._balanced(self.weights["class_weight"])

    def _check_lengths(self, N: int) -> None:
        """Check that everything has N entries, as X has, before parts of it are read."""
        per_sequence = {"lengths": self.lengths, f"{self.prefix}y": self.y, **self.weights}
        per_sequence.pop("class_weight", None)
        for name, value in per_sequence.items():
            n = N if value is None else n_entries(value)
            if n != N:
                raise ValueError(f"{name} must have {N} entries, as X has; got {n}")

    def _load(self, place: tuple[int, int] | None, **instead: Any) -> Block:
        """Read the sequences start .. stop - 1, or all for None; `instead` replaces weights."""
        where, prefix, net = f"[{place[0]}:{place[1]}]" if place else "", self.prefix, self.net

        def read(name: str, value: Any) -> Any:
            return read_part(f"{name}{where}", value, place)

        X, y = read(f"{prefix}X", self.X), read(f"{prefix}y", self.y)
        lengths = read("lengths", self.lengths)
        inputs = read_sequences(f"{prefix}X{where}", X, net, self.check_finite, lengths)
        state = slice_state(self.state, net, *place) if place else self.state
        state = read_state(state, len(inputs), net, trains=self.trains)
        if y is None:
            return Block(inputs, None, state)
        weights = {
            key: value if key == "class_weight" else read(key, value)
            for key, value in {**self.weights, **instead}.items()
        }
        targets = read_targets(
            f"{prefix}y{where}", y, inputs, net, self.check_finite, is_part=bool(place), **weights
        )
        return Block(inputs, targets, state)

    def _balanced(self, value: str) -> dict[int, float]:
        """Return the class weights that "balanced" stands for, of all blocks together."""
        counts: Any = 0
        for place in self.blocks:
            inputs, targets, _ = self._load(place, class_weight=None, sample_weight=None)
            assert targets is not None
            counts = counts + class_counts(inputs, targets, self.net)
        return balanced(value, counts)

    def load(self, k: int) -> Block:
        """Return block k."""
        if self._single is not None:
            return self._single
        with prefixing(self.prefix):
            return self._load(self.blocks[k])

    def whole(self) -> Part:
        """Return all sequences, as a part."""
        return Part(self, lambda k, n: np.arange(n, dtype=np.int64), is_whole=True)

    def split_sizes(self, share: float) -> dict[int, int]:
        """Return the number of sequences to hold out of a block, for each size of block.

        Raises
        ------
        ValueError
            All sequences of a block would be held out.
        """
        sizes = {stop - start for start, stop in self.blocks}
        return {n: count_held_out(share, n) for n in sizes} if share else {}

    def split(self, share: float, generator: np.random.Generator) -> tuple[Part, Part]:
        """Return the part to train on, and a random share of each block to hold out."""
        if len(self.blocks) == 1:
            order = generator.permutation(len(self))

            def draw(k: int, n: int) -> np.ndarray:
                return order
        else:
            seed = int(generator.integers(2**62))

            def draw(k: int, n: int) -> np.ndarray:
                return np.random.default_rng([seed, k]).permutation(n)

        n_held = self.split_sizes(share)
        train = Part(self, lambda k, n: np.sort(draw(k, n)[n_held[n] :]))
        return train, Part(self, lambda k, n: np.sort(draw(k, n)[: n_held[n]]))


class Part:
    """Some sequences of each block of a dataset.

    Parameters
    ----------
    dataset : Dataset
    choose : callable
        ``choose(k, n)`` returns sequences of block k, which has n, in ascending order.
    is_whole : bool
        Whether all sequences are chosen.
    """

    def __init__(
        self,
        dataset: Dataset,
        choose: Callable[[int, int], np.ndarray],
        is_whole: bool = False,
    ):
        self.dataset, self._choose, self.is_whole = dataset, choose, is_whole
        last, first = len(dataset.blocks) - 1, self.samples(0)
        self._only = None if last else first  # sequences of a single block
        n_last = len(self.samples(last)) if last else len(first)
        self.sizes = [len(first)] * last + [n_last]  # all blocks but the last are equal
        self._spreads: dict[int, Spread] = {}

    def __len__(self) -> int:
        return sum(self.sizes)

    def samples(self, k: int) -> np.ndarray:
        """Return the sequences of block k, in ascending order."""
        start, stop = self.dataset.blocks[k]
        return self._choose(k, stop - start)

    def batches(self, batch_size: int | None) -> int:
        """Return the number of batches of an epoch; no batch is of two blocks."""
        return sum([-(-n // (batch_size or n)) for n in self.sizes])

    def seen(self, visit: Visit) -> None:
        """Take note that the last batch of a visit is being trained on, perhaps once more."""
        self._spreads[visit.key] = visit.spread

    def spread(self) -> Spread:
        """Return the spread of the targets seen."""
        first, *rest = [self._spreads[k] for k in sorted(self._spreads)] or [Spread()]
        return sum(rest, first)

    def record(self) -> Any:
        """Return what `restore` needs, as JSON can hold it."""
        return [[k, *spread.record()] for k, spread in self._spreads.items()]

    def restore(self, record: Any, epochs: int) -> None:
        """Continue after so many epochs from the state in `record`."""
        self._spreads = {k: Spread(*rest) for k, *rest in record}

    def epoch(
        self,
        generator: np.random.Generator | None,
        batch_size: int | None,
        skip: int = 0,
    ) -> Iterator[Visit]:
        """Return an iterator of the visits of an epoch, except the first `skip` batches.

        The generator draws the order, now.  None: the order of the data.
        """
        if self._only is not None:
            order = self._only
            if generator is not None and len(order) > 1:  # one is in order, and draws nothing
                order = order[generator.permutation(len(order))]
            return iter([self._visit(0, order, skip, stays=True)])
        places, seed = np.arange(len(self.sizes)), None
        if generator is not None:
            places, seed = generator.permutation(places), int(generator.integers(2**62))
        visits = []
        for k in places.tolist():
            n_batches = -(-self.sizes[k] // (batch_size or self.sizes[k]))
            if skip < n_batches:
                visits.append((k, seed, skip))
            skip = max(0, skip - n_batches)
        return read_ahead(self._read, visits)

    def _read(self, visit: tuple[int, int | None, int]) -> Visit:
        k, seed, skip = visit
        order = self.samples(k)
        if seed is not None:
            order = order[np.random.default_rng([seed, k]).permutation(len(order))]
        return self._visit(k, order, skip)

    def _visit(self, k: int, order: np.ndarray, skip: int, stays: bool = False) -> Visit:
        block, spread = self.dataset.load(k), self._spreads.get(k)
        if spread is None and self.dataset.trains:
            spread = block.spread(self.dataset.net, self.samples(k))
        return Visit(block, order, skip, k, spread or Spread(), stays)

    def __iter__(self) -> Iterator[Visit]:
        """Visit all blocks in their order."""
        return self.epoch(None, None)
