"""Sequences to train on or to predict from, in blocks that fit in memory.

In-memory data is a single block.  Data on disk, such as a memmap, is read in slices: a thread reads
the next slice while the kernels run.  `parts` has the visits of an epoch.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..layout.network import Network
from ..tuning import TUNING
from . import checks
from .arrays import real
from .blocks import Block
from .files import File
from .parts import Part
from .plain import all_none, plain_block
from .readers import holds, n_entries, opened, read_part
from .sequences import is_list, read_sequences
from .slices import Slices
from .states import read_state, slice_state
from .targets import read_targets
from .weights import balanced, class_counts, class_labels

#: arguments that weigh sequences, steps and classes
WEIGHTS = ("mask", "sample_weight", "class_weight", "missing")
#: of these, arguments that have no entry for each sequence
OF_ALL = ("class_weight", "missing")
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
            name: value if name in OF_ALL else opened(name, value, files)
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
        for name in OF_ALL:
            per_sequence.pop(name, None)
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
            key: value if key in OF_ALL else read(key, value)
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
        sizes = [stop - start for start, stop in self.blocks]
        return Part(self, lambda k: np.arange(sizes[k], dtype=np.int64), sizes, is_whole=True)

    def chosen(self, samples: np.ndarray) -> Dataset:
        """Return some sequences of a single block, as data of these sequences alone would be.

        Their rows are not copied, unless they are all whole: such rows lie side by side.
        """
        assert self._single is not None
        other = copy.copy(self)
        other._single = self._single.chosen(self.net, samples, together=True)
        other.blocks = [(0, len(samples))]
        return other

    def labels(self) -> np.ndarray:
        """Return the class of each sequence, (N,) int64; blocks are read without their inputs.

        The model has classes, and one output for each sequence.
        """
        if self._single is not None:
            assert self._single.targets is not None
            return class_labels(self._single.targets.y, self.net)

        def read(start: int, stop: int) -> np.ndarray:
            name = f"{self.prefix}y[{start}:{stop}]"
            y = read_part(name, self.y, (start, stop))
            return checks.targets(name, y, stop - start, self.net, self.check_finite)

        return np.concatenate([class_labels(read(*place), self.net) for place in self.blocks])
