"""Models from the JSON of audio plug-ins, which `rtneural` describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import validation
from ..data.checks import parameter
from ..errors import ModelFileError
from ..losses import LOSSES
from ..saving import files, strict_json
from .rtneural import ACTIVATIONS, ending, gate_order, second_biases

DENSE = ("dense", "time-distributed-dense")  #: types of RTNeural's last layer
SIZES = ("input_size", "hidden_size", "output_size")  #: of GuitarML, in `model_data`


class Found(NamedTuple):
    """A model in a file."""

    kind: Any  #: class of models
    arguments: dict[str, Any]
    activation: str  #: of the dense layer, or ""
    parameters: dict[str, np.ndarray]


def read_rtneural(path: Any, models: Mapping[str, Any], dtype: np.dtype) -> Found:
    """Return the model in a file; see `models.from_rtneural`.

    Raises
    ------
    ModelFileError
        The file is no JSON of this kind, or `models` cannot compute the same.
    """
    path = validation.path("path", path)
    with open(files.open_regular(path), "rb") as file:
        data = file.read()
    try:
        content = strict_json.read(data)
        if not isinstance(content, dict):
            raise ValueError("no object of JSON")
        if "layers" in content:
            return _rtneural(content, models, dtype)
        if "state_dict" in content:
            return _guitarml(content, models, dtype)
        raise ValueError("neither layers, as of RTNeural, nor a state_dict, as of GuitarML")
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: {error}") from error


def loss_of(activation: str, loss: str | None) -> str:
    """Return the loss of a model with outputs of this activation.

    Raises
    ------
    TypeError, ValueError
        `loss` is none, or its outputs are others.
    """
    if loss is None:
        same = (name for name, each in LOSSES.items() if _name_of(each) == activation)
        return next(same) if activation else "mse"
    loss = validation.choice("loss", loss, LOSSES)
    if activation and activation != _name_of(LOSSES[loss]):
        raise ValueError(f"loss {loss} has other outputs than the file's, which are {activation}")
    return loss


def _name_of(loss: Any) -> str:
    """Return the name of the activation of a loss, or "" if RTNeural has none."""
    return ACTIVATIONS.get(loss.activation, "")


def _item(of: Any, key: Any, name: str) -> Any:
    """Return an item of an object or a list.

    Raises
    ------
    ValueError
        There is none.
    """
    try:
        return of[key]
    except (KeyError, IndexError, TypeError):
        raise ValueError(f"there is no {name}") from None


def _skip(n: Any, outputs: int, name: str) -> bool:
    """Return whether the first inputs are added to the outputs; `n` says how many."""
    number = validation.whole(name, n, 0)
    if number not in (0, outputs):
        raise ValueError(f"{name} must be 0, or {outputs} as there are outputs; got {number}")
    return number > 0


# --------------------------------------------------------------------------------------- RTNeural


def _rtneural(content: dict[str, Any], models: Mapping[str, Any], dtype: np.dtype) -> Found:
    """Return a model of `layers`."""
    kinds = {kind.rtneural_layer.name: kind for kind in models.values() if kind.rtneural_layer}
    layers = content["layers"]
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ValueError(f"layers must be a list of objects; got {validation.shown(layers)}")
    types = [_item(layer, "type", f"layers[{i}].type") for i, layer in enumerate(layers)]
    n = next((i for i, name in enumerate(types) if name not in kinds), len(types))
    rest = types[n:]
    if not n or len(set(types[:n])) > 1 or rest[:1] not in [[name] for name in DENSE]:
        raise ValueError(
            f"its layers must be of one type, {' or '.join(kinds)}, with a dense layer behind "
            f"them; got {validation.shown(types)}"
        )
    activation = _activation(layers[n:], rest, n)
    if activation and content.get("in_skip"):
        raise ValueError(f"in_skip adds inputs behind the activation {activation}")
    kind = kinds[types[0]]
    input_size = size = validation.whole("in_shape[-1]", _last(content, "in_shape", "in_shape"))
    hidden, outputs = (
        validation.whole(f"layers[{i}].shape[-1]", _last(layers[i], "shape", f"layers[{i}].shape"))
        for i in (0, n)
    )
    parameters: dict[str, np.ndarray] = {}
    for i in range(n):
        weights = _weights(layers[i], f"layers[{i}].weights", 3)
        parameters |= _recurrent(kind, weights, size, hidden, i, dtype)
        size = hidden
    name, weights = f"layers[{n}].weights", _weights(layers[n], f"layers[{n}].weights", 2)
    parameters["Why"] = parameter(f"{name}[0]", weights[0], (hidden, outputs), dtype).T
    parameters["by"] = parameter(f"{name}[1]", weights[1], (outputs,), dtype)
    arguments = {
        "input_size": input_size,
        "hidden_size": hidden,
        "output_size": outputs,
        "num_layers": n,
        "skip": _skip(content.get("in_skip", 0), outputs, "in_skip"),
    }
    return Found(kind, arguments, activation, parameters)


def _last(of: Any, key: str, name: str) -> Any:
    """Return the last number of a shape."""
    return _item(_item(of, key, name), -1, f"{name}[-1]")


def _weights(layer: Any, name: str, n: int) -> Any:
    """Return the arrays of a layer, of which there must be `n`."""
    weights = _item(layer, "weights", name)
    if not isinstance(weights, list) or len(weights) != n:
        raise ValueError(f"{name} must be a list of {n}; got {validation.shown(weights)}")
    return weights


def _activation(layers: list[Any], types: list[Any], first: int) -> str:
    """Return the activation of the dense layer, its own or that of a layer behind it."""
    found = layers[0].get("activation", "")
    if types[1:] == ["activation"] and not found:
        found = layers[1].get("activation", "")
    elif types[1:]:
        raise ValueError(f"layers[{first + 1}] must be an activation; got {types[1:]}")
    if found not in ("", *ACTIVATIONS.values()):
        raise ValueError(f"layers[{first}] has the activation {validation.shown(found)}")
    return found


def _recurrent(
    kind: Any, weights: Any, inputs: int, n: int, layer: int, dtype: np.dtype
) -> dict[str, np.ndarray]:
    """Return the parameters of a recurrent layer of n units."""
    order, name, end = np.argsort(gate_order(kind)), f"layers[{layer}].weights", ending(layer)
    rows, second = len(order) * n, second_biases(kind, n)

    def turned(place: int, *shape: int) -> np.ndarray:
        array = parameter(f"{name}[{place}]", weights[place], shape, dtype)
        return array.T.reshape(len(order), n, -1)[order].reshape(rows, -1)

    found = {f"Wxh{end}": turned(0, inputs, rows), f"Whh{end}": turned(1, n, rows)}
    biases = turned(2, *[2] * (second is not None), rows).T
    return found | _biases(kind, *biases, n=n, end=end)


def _biases(kind: Any, *biases: np.ndarray, n: int, end: str) -> dict[str, np.ndarray]:
    """Return our biases of one or two, of x and of h_{t-1}, in our order of gates."""
    second = second_biases(kind, n)
    if second is None:
        return {f"bh{end}": sum(biases[1:], biases[0])}
    name, rows = second
    of_x, of_h = biases[0], biases[1].copy()
    found = {f"{name}{end}": biases[1][rows]}
    of_h[rows] = 0
    return found | {f"bh{end}": of_x + of_h}


# --------------------------------------------------------------------------------------- GuitarML


def _guitarml(content: dict[str, Any], models: Mapping[str, Any], dtype: np.dtype) -> Found:
    """Return a model of `state_dict` and `model_data`."""
    data, state = _item(content, "model_data", "model_data"), content["state_dict"]
    for name, value in (("model_data", data), ("state_dict", state)):
        if not isinstance(value, dict):
            raise ValueError(f"{name} must be an object; got {validation.shown(value)}")
    kinds = {kind.torch_layer.name: kind for kind in models.values() if kind.torch_layer}
    unit = _item(data, "unit_type", "model_data.unit_type")
    kind = kinds[validation.choice("model_data.unit_type", unit, kinds)]
    sizes = {
        name: validation.whole(f"model_data.{name}", _item(data, name, f"model_data.{name}"))
        for name in SIZES
    }
    layers = validation.whole("model_data.num_layers", data.get("num_layers", 1))
    inputs, n, outputs = sizes.values()
    rows = n * kind(1, 1)._net.gates
    left = dict(state)

    def taken(name: str, *shape: int) -> np.ndarray:
        array = parameter(name, _item(left, name, name), shape, dtype)
        del left[name]
        return array

    parameters = {}
    for layer in range(layers):
        end = ending(layer)
        parameters[f"Wxh{end}"] = taken(f"rec.weight_ih_l{layer}", rows, n if layer else inputs)
        parameters[f"Whh{end}"] = taken(f"rec.weight_hh_l{layer}", rows, n)
        biases = (taken(f"rec.bias_{of}_l{layer}", rows) for of in ("ih", "hh"))
        parameters |= _biases(kind, *biases, n=n, end=end)
    parameters["Why"] = taken("lin.weight", outputs, n)
    parameters["by"] = np.zeros(outputs, dtype)
    if "lin.bias" in left:
        parameters["by"] = taken("lin.bias", outputs)
    if left:
        raise ValueError(f"state_dict has {validation.shown(next(iter(left)))}, which no model has")
    skip = _skip(data.get("skip", 0), outputs, "model_data.skip")
    return Found(kind, {**sizes, "num_layers": layers, "skip": skip}, "", parameters)
