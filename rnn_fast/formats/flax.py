"""Parameters for Flax modules and from them; Flax itself is not needed.

The cells are of `flax.linen` and `flax.nnx`, 0.12: kernels are (inputs, outputs); linen has a
kernel for each gate, nnx one for all gates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..validation import choice, shown
from .keras import run_ending

APIS = ("linen", "nnx")
STATES = ("h0", "c0")  #: names of learned initial states
Path = tuple[str, ...]


class FlaxCell(NamedTuple):
    """The Flax cell that corresponds to a model class."""

    name: str  #: class in flax.linen and flax.nnx
    gates: tuple[str, ...] = ("",)  #: endings of Flax's names of the gates, in our order
    bias: str = "i"  #: the product that has the bias: i of the input, h of the state
    second_bias: tuple[int, str] | None = None  #: place of the gate with two, our second's name
    needs: Mapping[str, Any] = {}  #: the only values of our options that Flax supports

    def paths(self, linen: bool) -> dict[str, list[Path]]:
        """Return the places of our parameters in the tree of a cell, one for each kernel."""
        ends = [f"{end}" for end in self.gates] if linen else [""]
        stem = "" if linen else "dense_"
        found: dict[str, list[Path]] = {
            "Wxh": [(f"{stem}i{end}", "kernel") for end in ends],
            "Whh": [(f"{stem}h{end}", "kernel") for end in ends],
            "bh": [(f"{stem}{self.bias}{end}", "bias") for end in ends],
        }
        if self.second_bias is not None and linen:
            place, name = self.second_bias
            found[name] = [(f"h{ends[place]}", "bias")]
        return found


def to_parameters(model: Any, api: str) -> dict[str, Any]:
    """Return a tree of a model's parameters; see `Model.to_flax`."""
    linen = choice("api", api, APIS) == APIS[0]
    cell = model.flax_cell
    if cell is None:
        raise ValueError(f"Flax has no cell that computes as {type(model).__name__}")
    for name, value in cell.needs.items():
        if getattr(model, name) != value:
            raise ValueError(f"Flax has no {cell.name} with {name}={getattr(model, name)}")
    weights, paths, D = model.parameters, cell.paths(linen), 1 + model.bidirectional
    if cell.second_bias is not None and cell.second_bias[1] not in paths:
        name = cell.second_bias[1]
        if any(weights[key].any() for key in weights if key.partition("_")[0] == name):
            raise ValueError(
                f"nnx.{cell.name} has no bias in place of {name}, which is not zero here; "
                "linen's has"
            )
    tree: dict[str, Any] = {}
    for run in range(model._net.runs):
        end, layer = run_ending(run, D), tree.setdefault(_layer_name(run, D), {})
        for name, places in paths.items():
            for (part, leaf), block in zip(
                places, np.split(weights[f"{name}{end}"], len(places)), strict=True
            ):
                layer.setdefault(part, {})[leaf] = np.array(block.T, order="C")
    tree["head"] = {"kernel": np.array(weights["Why"].T, order="C"), "bias": weights["by"]}
    if model.embedding_size:
        tree["embedding"] = {"embedding": weights["embedding"]}
    tree |= {name: weights[name] for name in STATES if name in weights}
    return _copied(tree)


def _layer_name(run: int, directions: int) -> str:
    """Return the name of the cell of a run."""
    layer, reverse = divmod(run, directions)
    return f"layer_{layer}" + ("_reverse" if reverse else "")


def _copied(tree: Any) -> Any:
    """Return a tree of plain arrays of its own."""
    if isinstance(tree, dict):
        return {name: _copied(part) for name, part in tree.items()}
    return np.array(tree)


def read_parameters(
    params: Any, bidirectional: bool, models: Mapping[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, np.ndarray]]:
    """Return one of `models`, its arguments and its parameters; see `models.from_flax`."""
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be a tree of parameters, such as a dict; got {type(params).__name__}"
        )
    flat = dict(_leaves(params, ()))
    cells = _cells(flat, models)
    if not cells:
        raise ValueError(
            f"params have no SimpleCell, GRUCell or LSTMCell; they are {_listed(flat)}"
        )
    order, D = _ordered(cells, bidirectional)
    kind, first = cells[order[0]]
    H = first["Whh"].shape[1]
    parameters = {
        f"{name}{run_ending(run, D)}": array
        for run, path in enumerate(order)
        for name, array in cells[path][1].items()
    }
    parameters |= _rest(flat, D * H)
    arguments = {
        "input_size": first["Wxh"].shape[1],
        "hidden_size": H,
        "output_size": len(parameters["Why"]),
        "num_layers": len(order) // D,
        "bidirectional": D == 2,
        "learn_initial_state": any(name in parameters for name in STATES),
        "dtype": first["Whh"].dtype,
    }
    if "embedding" in parameters:
        arguments["input_size"], arguments["embedding_size"] = parameters["embedding"].shape
    return kind, arguments, parameters


def _ordered(
    cells: dict[Path, tuple[Any, dict[str, np.ndarray]]], bidirectional: bool
) -> tuple[list[Path], int]:
    """Return the paths of the cells in the order of the runs, and the number of directions.

    Raises
    ------
    ValueError
        A direction is missing, or sizes do not fit.
    """
    order = sorted(cells, key=_place)
    stems, reverse = zip(*map(_place, order), strict=True)
    D = 2 if any(reverse) or bidirectional else 1
    named = stems[::D] == stems[D - 1 :: D] and reverse == (False, True) * (len(order) // 2)
    if len(order) % D or (any(reverse) and not named):
        raise ValueError(f"both directions need a cell in each layer; got {_listed(order)}")
    kind, first = cells[order[0]]
    H = first["Whh"].shape[1]
    for place, path in enumerate(order):
        other, found = cells[path]
        width = D * H if place >= D else first["Wxh"].shape[1]
        if other is not kind or found["Whh"].shape[1] != H or found["Wxh"].shape[1] != width:
            raise ValueError(
                f"{'/'.join(path)} does not fit: cells must be of one kind and size, and each "
                f"takes the {D * H} outputs of the layer before; got {_listed(order)}"
            )
    return order, D


def _leaves(tree: Any, path: Path) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield the arrays of a tree, with their paths."""
    for name, part in tree.items():
        if isinstance(part, Mapping):
            yield from _leaves(part, (*path, str(name)))
        else:
            yield (*path, str(name)), np.asarray(part)


def _listed(paths: Any) -> str:
    """Return paths as text."""
    return ", ".join("/".join(path) for path in paths) or "none"


def _place(path: Path) -> tuple[list[Any], bool]:
    """Return by which a cell is sorted: its path with numbers, and True for the reverse direction.

    Flax's Bidirectional has a `forward_rnn` and a `backward_rnn`.
    """
    text = "/".join(path)
    stem = re.sub("_reverse|reverse|forward|backward", "", text)
    words = [int(word) if word.isdigit() else word for word in re.split(r"(\d+)", stem)]
    return words, re.search("reverse|backward", text) is not None


def _cells(
    flat: dict[Path, np.ndarray], models: Mapping[str, Any]
) -> dict[Path, tuple[Any, dict[str, np.ndarray]]]:
    """Take the cells out of a flat tree: the model and its parameters of each, by path."""
    groups: dict[Path, dict[Path, np.ndarray]] = {}
    for path, array in flat.items():
        part, leaf = path[-2:] if len(path) > 1 else ("", path[0])
        groups.setdefault(path[:-2], {})[part.removesuffix("_"), leaf] = array  # nnx has if_
    found: dict[Path, tuple[Any, dict[str, np.ndarray]]] = {}
    for path, group in groups.items():
        for model in models.values():
            cell = model.flax_cell
            for linen in (True, False) if cell is not None else ():
                if (parameters := _read_cell(cell, linen, group)) is not None:
                    found[path] = model, parameters
    for path in [path for path in flat if path[:-2] in found and len(path) > 1]:
        del flat[path]
    return found


def _read_cell(
    cell: FlaxCell, linen: bool, group: dict[Path, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """Return our parameters of a cell, or None if the arrays are of another."""
    paths = cell.paths(linen)
    if {path for places in paths.values() for path in places} != group.keys():
        return None
    found = {
        name: np.concatenate([group[path].T for path in places]) for name, places in paths.items()
    }
    GH, H = found["Whh"].shape
    if GH != len(cell.gates) * H:  # nnx has the same names for all cells
        return None
    if cell.second_bias is not None:
        found.setdefault(cell.second_bias[1], np.zeros(H, found["bh"].dtype))
    return found


def _rest(flat: dict[Path, np.ndarray], width: int) -> dict[str, np.ndarray]:
    """Return the parameters beside the cells: head, embedding and initial states.

    Raises
    ------
    ValueError
        There is not one Dense layer that takes `width` numbers, or something else.
    """
    kernels = [path for path in flat if path[-1] == "kernel"]
    if len(kernels) != 1:
        raise ValueError(f"params need one Dense layer beside the cells; got {_listed(kernels)}")
    head = kernels[0][:-1]
    found = {"Why": flat.pop((*head, "kernel")).T}
    if found["Why"].shape[1:] != (width,):
        raise ValueError(
            f"{'/'.join(head)} must take the {width} outputs of the cells; its kernel is "
            f"{found['Why'].T.shape}"
        )
    found["by"] = flat.pop((*head, "bias"), np.zeros(len(found["Why"]), found["Why"].dtype))
    for path, array in flat.items():
        name = path[-1]
        if name not in ("embedding", *STATES) or name in found or array.ndim != 2:
            raise ValueError(
                f"params have {shown('/'.join(path))}, which is of no cell, Dense or Embed"
            )
        found[name] = array
    return found
