"""The data of a study: read once, checked once for each form that its models need, shared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..data.files import File
from ..data.parts import Part
from ..data.readers import holds, n_entries, opened, read_part
from ..data.sequences import is_list
from ..data.splits import Split
from ..data.targets import Missing, missing_word
from ..layout.network import Network
from ..training.config import TrainingConfig
from .plain import text_of


class Sources:
    """One set of sequences and targets, or one for each subject.

    Parameters
    ----------
    X, y, lengths, mask, sample_weight
        As in `Model.fit`, or dicts with the same keys of such data.
    missing : "nan" or None
        As in `Model.fit`, of all data.
    check_finite : bool

    Attributes
    ----------
    sizes : dict
        Number of sequences by key; the key of a single set is None.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        lengths: Any = None,
        mask: Any = None,
        sample_weight: Any = None,
        missing: Missing | None = None,
        check_finite: bool = True,
    ) -> None:
        named = {"X": X, "y": y, "lengths": lengths, "mask": mask, "sample_weight": sample_weight}
        named = {name: value for name, value in named.items() if value is not None}
        for name in ("X", "y"):
            if name not in named:
                raise TypeError(f"{name} must be the data of the study; got None")
        self.check_finite, self._datasets = check_finite, {}  # type: ignore[var-annotated]
        self.missing = missing_word("missing", missing)
        if not isinstance(X, Mapping):
            sets = {None: named}
        else:
            for name, value in named.items():
                if not isinstance(value, Mapping) or value.keys() != X.keys():
                    raise ValueError(f"{name} must be a dict with the keys of X, a set for each")
            sets = {key: {k: v[key] for k, v in named.items()} for key in X}
        self._paths = {key: _paths(values) for key, values in sets.items()}
        self._data = {key: _read(values) for key, values in sets.items()}
        self.sizes = {key: n_entries(data["X"]) for key, data in self._data.items()}

    def arguments(self) -> dict[str, Any]:
        """Return arguments that make the same sources elsewhere: data, or the paths of files."""
        columns: dict[str, Any] = {}
        for key, data in self._data.items():
            for name, value in {**data, **self._paths[key]}.items():
                columns.setdefault(name, {})[key] = value
        if None in self._data:
            columns = {name: column[None] for name, column in columns.items()}
        return {**columns, "missing": self.missing, "check_finite": self.check_finite}

    @property
    def has_paths(self) -> bool:
        """True if some data were read from files that were named by their paths."""
        return any(self._paths.values())

    def fingerprint(self) -> dict[str, str]:
        """Return a text for each array, which differs if the numbers do."""
        return {
            name if key is None else f"{name}[{key!r}]": _fingerprint(value)
            for key, data in self._data.items()
            for name, value in data.items()
        }

    def lengths(self, key: Any) -> np.ndarray:
        """Return the steps of each sequence of a set that was checked, (N,)."""
        dataset = next(data for form, data in self._datasets.items() if form[0] == key)
        lengths: np.ndarray = dataset.load(0).inputs.sequences.lengths
        return lengths

    def dataset(self, key: Any, net: Network, class_weight: Any = None) -> Dataset:
        """Return a set as a network takes it, checked on first use.

        Raises
        ------
        TypeError, ValueError
            The data do not fit the network.
        """
        form = key, *(getattr(net, name) for name in FORM), text_of(class_weight)
        if form not in self._datasets:
            data = dict(self._data[key])
            self._datasets[form] = Dataset(
                net,
                data.pop("X"),
                data.pop("y"),
                trains=True,
                check_finite=self.check_finite,
                prefix="" if key is None else f"{key}: ",
                whole=True,
                class_weight=_with_whole_keys(class_weight),
                missing=self.missing,
                **data,
            )
        return self._datasets[form]


#: fields of a network that decide how data are read
FORM = ("dtype", "input_size", "output_size", "target_shape", "loss", "sequences", "embedding")


def _with_whole_keys(class_weight: Any) -> Any:
    """Return class weights whose keys JSON has made text."""
    if not isinstance(class_weight, dict):
        return class_weight
    return {int(k) if k.isdigit() else k: v for k, v in class_weight.items()}


def _paths(named: dict[str, Any]) -> dict[str, str]:
    """Return the absolute paths of the data that are named by paths."""
    return {
        name: os.path.abspath(value)
        for name, value in named.items()
        if isinstance(value, (str, os.PathLike))
    }


def _read(named: dict[str, Any]) -> dict[str, Any]:
    """Return data in memory: arrays, or lists of sequences as they are."""
    files: dict[str, File] = {}
    if "lengths" not in named and holds("X", named["X"], "lengths", files):
        named = {**named, "lengths": named["X"]}
    return {
        name: read_part(name, opened(name, value, files), None) for name, value in named.items()
    }


def _fingerprint(value: Any) -> str:
    """Return shape, dtype and digest of an array, or of a list of arrays."""
    parts = list(map(np.asarray, value)) if is_list(value) else [np.asarray(value)]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.dtype.str}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).data if part.size else b"")
    kinds = f"{len(parts)} arrays" if is_list(value) else f"{parts[0].dtype} {parts[0].shape}"
    return f"{kinds}, sha256 {digest.hexdigest()[:16]}"


# ---------------------------------------------------------------------------------------- parts


def part_of(dataset: Dataset, samples: np.ndarray | None) -> Part:
    """Return sequences of a dataset, with the bits of a dataset that has no others; None: all."""
    if samples is None:
        return dataset.whole()
    own, places = _place(dataset, samples)
    return Part(own, lambda k: places, [len(places)])


def split_of(dataset: Dataset, samples: np.ndarray | None, config: TrainingConfig) -> Split:
    """Return the split of sequences that holds out what `fit` would; None: of all sequences."""
    own = dataset if samples is None else dataset.chosen(samples)
    return Split(own, config.validation_split, own.labels() if config.stratify else None)


def _place(dataset: Dataset, samples: np.ndarray) -> tuple[Dataset, np.ndarray]:
    """Return a dataset and the places of some sequences in it.

    Where sequences differ in length, the longest of a dataset decides how memory is cut, and so the
    order of sums.  Then it must hold no others.
    """
    lengths = dataset.load(0).inputs.sequences.lengths
    if (lengths == lengths[0]).all():
        return dataset, samples
    return dataset.chosen(samples), np.arange(len(samples))
