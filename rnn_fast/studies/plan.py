"""The plan of a study: its rows, checked, as records that a worker can train from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..engine.plain import demand_compiler
from ..engine.tiling import seconds_per_row
from ..layout.parameters import penalty_coefficients
from ..models.base import Model
from ..models.loading import MODELS
from ..training.config import TrainingConfig
from ..validation import choice, flag, generator, hint, option, shown
from .checks import ARGUMENTS, FIT, REFUSED, check_names, check_parts, index_array, namer
from .plain import digest_of, plain, text_of
from .runs import INDICES, Runs
from .sources import Sources, split_of


@dataclass(frozen=True)
class RunConfig(TrainingConfig):
    """Options of a training whose validation data are a part of the study's data."""

    holds_out: bool = option(flag, False)

    @property
    def validates(self) -> bool:
        """True if there are validation data."""
        return self.holds_out or self.validation_split > 0


class Run(NamedTuple):
    """A row of a study, all that is needed to train it from the data."""

    id: str  #: digest of the row's content
    name: str  #: for messages
    cell: str
    model: dict[str, Any]  #: arguments of the model
    config: RunConfig
    class_weight: Any
    data: Any  #: key of the data
    train: np.ndarray | None  #: ascending; None: all sequences
    validation: np.ndarray | None
    test: np.ndarray | None
    text: str  #: JSON of the row's content but the index arrays, with the seed, for the store
    cost: float  #: estimated seconds, of the most epochs


def kind_of(model: Any) -> str:
    """Return the cell of a class of models.

    Raises
    ------
    TypeError
        It is none of the classes of models.
    """
    for cell, kind in MODELS.items():
        if model is kind:
            return cell
    names = ", ".join(kind.__name__ for kind in MODELS.values())
    raise TypeError(f"model must be {names}, or None for rows with a `cell`; got {shown(model)}")


class Planner:
    """Checks of rows, each different setting once.

    Parameters
    ----------
    cell : str or None
        Cell of all rows; None: each row has its own.
    sources : Sources
    common : mapping
        Arguments of all rows that do not have their own.

    Raises
    ------
    TypeError
        An argument is unknown, or not for studies.
    """

    def __init__(self, cell: str | None, sources: Sources, common: Mapping[str, Any]) -> None:
        self._cell, self._sources, self._common = cell, sources, dict(common)
        for name in common:
            if name in REFUSED:
                raise TypeError(f"fit_many does not take {name}: {REFUSED[name]}")
            known = ARGUMENTS | FIT | {"class_weight"}
            if name not in known:
                advice = hint(name, known, 0.6)
                raise TypeError(f"neither a model nor `fit` has an argument {name!r}{advice}")
        self._models: dict[str, Model] = {}
        self._configs: dict[tuple[str, int], RunConfig] = {}
        self._indices: dict[tuple[int, Any], tuple[Any, np.ndarray, str]] = {}

    def settings(self) -> dict[str, Any]:
        """Return what all rows share, in terms of JSON."""
        return {"cell": self._cell, **{k: plain(k, v) for k, v in self._common.items()}}

    def runs(self, rows: Iterable[Any]) -> list[Run]:
        """Return the rows as runs, in their order.

        Raises
        ------
        TypeError, ValueError
            A row does not fit, or there are two equal ones; the message names the row by its place
            and by what differs from row to row.
        CompilerMissing
            No compiled program can be had.
        """
        table, runs = Runs(rows), {}  # type: ignore[var-annotated]
        if not len(table):
            raise ValueError("runs must have at least one row; got none")
        name = namer(table)
        for place, row in enumerate(table):
            try:
                run = self._run(row)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"{name(place)}: {error}") from error
            if run.id in runs:
                first = runs[run.id].name.partition(" ")[0]
                raise ValueError(f"{name(place)} is equal to {first}; a label tells them apart")
            runs[run.id] = run._replace(name=name(place))
        return list(runs.values())

    def _run(self, row: dict[str, Any]) -> Run:
        """Return a row as a run without a name."""
        check_names(*row)
        whole = {**self._common, **row}
        key = whole.get("data")
        if key not in self._sources.sizes:
            raise ValueError(_no_such_data(key, self._sources.sizes))
        indices = {name: self._index(name, row.get(name), key) for name in INDICES}
        content = {k: plain(k, v) for k, v in row.items() if k not in INDICES}
        identity = {**content, **{k: digest for k, (_, digest) in indices.items()}}
        seed = whole.get("seed")
        id = digest_of(text_of(identity).encode())
        if seed is None:
            seed = int(id[:15], 16)
        else:
            generator(seed)
        model = {k: v for k, v in whole.items() if k in ARGUMENTS and k != "seed"}
        cell, built = self._model(whole.get("cell"), model)
        options = {k: v for k, v in whole.items() if k in FIT}
        config = self._config(built, {**options, "holds_out": indices["validation"][0] is not None})
        train, validation, test = (array for array, _ in indices.values())
        check_parts(config.validation_split, train, validation, test, whole.get("class_weight"))
        weight = plain("class_weight", whole.get("class_weight"))
        dataset = self._sources.dataset(key, built._net, weight)
        if config.validation_split:
            split_of(dataset, train, config)
        lengths = dataset.load(0).inputs.sequences.lengths
        steps = float(lengths.sum() if train is None else lengths[train].sum())
        return Run(
            id=id,
            name="",
            cell=cell,
            model={**model, "seed": seed},
            config=config,
            class_weight=weight,
            data=key,
            train=train,
            validation=validation,
            test=test,
            text=json.dumps({**content, "seed": plain("seed", seed)}),
            cost=seconds_per_row(built._net) * steps * max(config.epochs, 1),
        )

    def _model(self, cell: Any, arguments: dict[str, Any]) -> tuple[str, Model]:
        """Return the cell and a model of such arguments, whatever its parameters."""
        if (cell is None) == (self._cell is None):
            raise ValueError("a row needs a `cell` where model is None, and must have none else")
        cell = choice("cell", self._cell or cell, MODELS)
        key = cell + text_of({k: plain(k, v) for k, v in arguments.items()})
        if key not in self._models:
            model = MODELS[cell](**arguments, seed=0)
            demand_compiler(model._net, "training")
            self._models[key] = model
        return cell, self._models[key]

    def _config(self, model: Model, arguments: dict[str, Any]) -> RunConfig:
        """Return the checked options of a training."""
        key = text_of({k: plain(k, v) for k, v in arguments.items()}), id(model)
        if key not in self._configs:
            own = {"learning_rate": model.learning_rate, "n_threads": 1, "verbose": 0}
            config: RunConfig = RunConfig.checked({**arguments, **own})
            config.check_network(model._net)
            penalty_coefficients(config.l1, config.l2, model._net)
            self._configs[key] = config
        return self._configs[key]

    def _index(self, name: str, value: Any, key: Any) -> tuple[np.ndarray | None, str]:
        """Return an index array in ascending order, and its digest."""
        if value is None:
            return None, ""
        place = id(value), key
        if place not in self._indices:
            array = index_array(name, value, self._sources.sizes[key])
            self._indices[place] = value, array, digest_of(array.tobytes())
        _, array, digest = self._indices[place]  # the value stays: its identity is its key
        return array, digest


def _no_such_data(key: Any, sizes: Mapping[Any, int]) -> str:
    """Return the error about the key of a row, or about the lack of one."""
    if None in sizes:
        return f"data is for X that is a dict of sets of data; got {shown(key)}"
    got = "the row has no data" if key is None else f"got {shown(key)}"
    return f"data must be one of the keys of X, {', '.join(map(repr, sizes))}; {got}"


def with_threads(run: Run, n_threads: int) -> RunConfig:
    """Return the options of a run that so many threads train."""
    return run.config if n_threads == 1 else replace(run.config, n_threads=n_threads)


def like(run: Run) -> str:
    """Return a text that is equal for runs of about the same estimated cost."""
    return f"{run.cost:.2g}"
