"""Models read from Keras models; Keras is imported only when needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .._optional import extra
from .keras import HEADS, KerasLayer, array_of, cells_of, permuted, run_ending

#: layers in order: embedding, noise, recurrent layers and dropout, head, skip, shape of the outputs
ORDER = re.compile("E?N?R(D?R)*D?HS?F?")
STATES = ("h0", "c0")  #: names of learned initial states


class KerasParts(NamedTuple):
    """The parts of a Keras model of which ours is made."""

    kind: Any  #: class of our model
    arguments: dict[str, Any]
    parameters: dict[str, np.ndarray]
    activation: str  #: of the head; a key of `HEADS`
    form: tuple[int, ...]  #: axes of the outputs of a sequence or step, or none


def read_model(source: Any, models: Mapping[str, Any]) -> KerasParts:
    """Return one of `models`, its arguments and its parameters; see `models.from_keras`."""
    keras = extra("keras", "keras")
    chain: list[tuple[str, Any]] = []
    states: dict[str, Any] = {}
    for layer in _leaves(keras, source):
        letter = _letter(keras, layer)
        if letter == "I":
            states[layer.name] = layer
        else:
            chain.append((letter, layer))
    letters = "".join(letter for letter, _ in chain)
    if ORDER.fullmatch(letters) is None:
        names = ", ".join(type(layer).__name__ for _, layer in chain)
        raise ValueError(
            "a model is an Embedding or none, recurrent layers with Dropout or without, and a "
            f"Dense layer; got {names or 'none'}"
        )
    parts = {letter: layer for letter, layer in chain}
    head, rnns = parts["H"], [layer for letter, layer in chain if letter == "R"]
    kind, arguments, parameters = _recurrent(keras, rnns, models)
    if "E" in parts:
        if parts["E"].mask_zero:
            raise ValueError(f"layer {parts['E'].name!r} has mask_zero=True; models have no masks")
        parameters["embedding"] = array_of(parts["E"].embeddings)
        arguments["input_size"], arguments["embedding_size"] = parameters["embedding"].shape
    if "N" in parts:
        arguments["input_noise"] = float(parts["N"].stddev)
    arguments |= _dropout(chain)
    parameters |= _initial_states(states, arguments)
    arguments["learn_initial_state"], arguments["skip"] = bool(states), "S" in parts
    parameters["Why"] = array_of(head.kernel).T
    parameters["by"] = _bias(head, parameters["Why"])
    arguments["output_size"] = len(parameters["Why"])
    activation = _function(keras, head.activation)
    if activation not in HEADS:
        raise ValueError(
            f"layer {head.name!r} has activation={activation}; a head has {', '.join(HEADS)}"
        )
    form = tuple(parts["F"].target_shape) if "F" in parts else ()
    return KerasParts(
        kind, arguments, parameters, activation, form[1:] if rnns[-1].return_sequences else form
    )


def _leaves(keras: Any, source: Any) -> Iterator[Any]:
    """Yield the layers of a model, or of a list, in place of the models among them."""
    if isinstance(source, (list, tuple)):
        layers = source
    elif isinstance(source, keras.Model):
        layers = source.layers
    else:
        raise TypeError(
            f"model must be a keras.Model or a list of layers; got {type(source).__name__}"
        )
    for layer in layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(keras, layer)
        elif type(layer) is keras.layers.TimeDistributed:
            yield layer.layer
        elif type(layer) is not keras.layers.InputLayer:
            yield layer


def _letter(keras: Any, layer: Any) -> str:
    """Return the letter of a layer in `ORDER`, or I for an initial state.

    Raises
    ------
    ValueError
        No model has such a layer, or the layer is frozen or has no weights yet.
    """
    from .keras_layers import InitialState  # which imports Keras

    L = keras.layers
    letters: dict[type, str] = {
        L.Embedding: "E",
        L.GaussianNoise: "N",
        L.Dropout: "D",
        L.Dense: "H",
        L.Add: "S",
        L.Reshape: "F",
        InitialState: "I",
        **dict.fromkeys((L.SimpleRNN, L.GRU, L.LSTM, L.RNN, L.Bidirectional), "R"),
    }
    name = getattr(layer, "name", layer)
    if type(layer) not in letters:
        raise ValueError(f"layer {name!r} is a {type(layer).__name__}, which models do not have")
    if not layer.built:
        raise ValueError(f"layer {name!r} has no weights yet: call the model, or build it")
    if len(layer.trainable_weights) < len(layer.weights):
        raise ValueError(
            f"layer {name!r} is frozen (trainable=False), but a model trains all its parameters; "
            "set trainable = True if that will do"
        )
    return letters[type(layer)]


def _function(keras: Any, function: Any) -> str:
    """Return the name of one of Keras's activations; of another function in brackets."""
    from . import keras_layers  # which imports Keras

    name = getattr(function, "__name__", type(function).__name__)
    known = [getattr(module, name, None) for module in (keras.activations, keras_layers)]
    return name if any(function is each for each in known) else f"<{name}>"


def _kinds(keras: Any, models: Mapping[str, Any]) -> dict[type, tuple[Any, dict[str, Any]]]:
    """Return the models of Keras's cells, with the options that the kind of cell says."""
    from . import keras_layers  # which imports Keras

    kinds: dict[type, tuple[Any, dict[str, Any]]] = {}
    for model in models.values():
        layer = model.keras_layer
        if layer is not None:
            own = getattr(keras_layers, layer.name, None)
            kinds[own or getattr(keras.layers, f"{layer.name}Cell")] = model, {}
            if layer.cell_with is not None:
                option, name = layer.cell_with
                kinds[getattr(keras_layers, name)] = model, {option: True}
    return kinds


def _recurrent(
    keras: Any, rnns: list[Any], models: Mapping[str, Any]
) -> tuple[Any, dict[str, Any], dict[str, np.ndarray]]:
    """Return the class, the arguments and the parameters of recurrent layers."""
    kinds, found = _kinds(keras, models), []
    for rnn in rnns:
        _check_run(rnn)
        for cell in cells_of(rnn):
            if type(cell) not in kinds:
                raise ValueError(
                    f"layer {rnn.name!r} has a {type(cell).__name__}, which models do not have"
                )
            kind, options = kinds[type(cell)]
            options = {**options, **_cell_options(keras, rnn.name, cell, kind.keras_layer)}
            found.append((kind, {**options, "hidden_size": cell.units}, len(cells_of(rnn))))
    kind, arguments, D = found[0]
    if any(other != found[0] for other in found):
        raise ValueError(
            "recurrent layers must be of one kind, with the same options, units and directions"
        )
    parameters: dict[str, np.ndarray] = {}
    for run, cell in enumerate(cell for rnn in rnns for cell in cells_of(rnn)):
        parameters |= _weights(kind.keras_layer, cell, run_ending(run, D))
    first = parameters["Wxh"]
    arguments |= {
        "input_size": first.shape[1],
        "num_layers": len(rnns),
        "bidirectional": D == 2,
        "return_sequences": bool(rnns[-1].return_sequences),
        "dtype": first.dtype,
    }
    return kind, arguments, parameters


def _check_run(rnn: Any) -> None:
    """Raise ValueError for an option of a recurrent layer that models do not have."""
    both = hasattr(rnn, "forward_layer")
    wrong = [name for name in ("stateful", "return_state") if getattr(rnn, name)]
    if (rnn.forward_layer if both else rnn).go_backwards:
        wrong.append("go_backwards")
    if wrong:
        raise ValueError(f"layer {rnn.name!r} has {wrong[0]}=True, which models do not have")
    if both and rnn.merge_mode != "concat":
        raise ValueError(
            f"layer {rnn.name!r} has merge_mode={rnn.merge_mode!r}; models have 'concat'"
        )


def _cell_options(keras: Any, name: str, cell: Any, layer: KerasLayer) -> dict[str, Any]:
    """Return the options of our model for those of a cell in layer `name`.

    Raises
    ------
    ValueError
        The cell has another activation, or drops out.
    """
    for option in ("dropout", "recurrent_dropout"):
        if rate := getattr(cell, option, 0):
            raise ValueError(
                f"layer {name!r} has {option}={rate}, with one mask for all steps, but models drop "
                f"out step by step, between layers; set layer.cell.{option} = 0 if that will do"
            )
    options = {}
    for ours, theirs in (*layer.options.items(), *((None, key) for key in layer.fixed)):
        if hasattr(cell, theirs):  # one of `keras_layers` has not all
            value = getattr(cell, theirs)
            value = _function(keras, value) if callable(value) else value
            if ours is not None:
                options[ours] = value
            elif value != layer.fixed[theirs]:
                raise ValueError(
                    f"layer {name!r} has {theirs}={value}; models have {layer.fixed[theirs]}"
                )
    return options


def _weights(layer: KerasLayer, cell: Any, end: str) -> dict[str, np.ndarray]:
    """Return the parameters of one run, whose names end in `end`."""
    back = [layer.order.index(gate) for gate in range(len(layer.order))]
    found = {"Wxh": permuted(array_of(cell.kernel).T, back)}
    found["Whh"] = permuted(array_of(cell.recurrent_kernel).T, back)
    has_two = getattr(cell, "reset_after", False)
    bias = np.zeros((1 + has_two, len(found["Wxh"])), found["Wxh"].dtype)
    if getattr(cell, "bias", None) is not None:
        bias[:] = array_of(cell.bias)
    if has_two:
        assert layer.second_bias is not None
        place, name = layer.second_bias
        second = np.split(bias[1], len(back))[place]
        found[name] = second.copy()
        second[:] = 0
    found["bh"] = permuted(bias.sum(0), back)
    found |= {name: array_of(getattr(cell, name)) for name in layer.vectors if hasattr(cell, name)}
    return {f"{name}{end}": array for name, array in found.items()}


def _initial_states(layers: dict[str, Any], arguments: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the learned initial states, (layers * directions, H) each, of layers by name."""
    D = 1 + arguments["bidirectional"]
    ends = [run_ending(run, D) for run in range(arguments["num_layers"] * D)]
    found = {
        name: np.stack([array_of(layers[f"{name}{end}"].state) for end in ends])
        for name in STATES
        if all(f"{name}{end}" in layers for end in ends)
    }
    if len(found) * len(ends) < len(layers):
        raise ValueError(
            f"initial states must be named h0{ends[-1]} and so on; got {', '.join(layers)}"
        )
    return found


def _dropout(chain: list[tuple[str, Any]]) -> dict[str, float]:
    """Return the rates of dropout between recurrent layers and before the head.

    Raises
    ------
    ValueError
        The rates between the layers differ.
    """
    letters = "".join(letter for letter, _ in chain)
    last, between, found = letters.rindex("R"), [0.0] * (letters.count("R") - 1), {}
    for place, (letter, layer) in enumerate(chain):
        if letter == "D" and place > last:
            found["readout_dropout"] = float(layer.rate)
        elif letter == "D":
            between[letters[:place].count("R") - 1] = float(layer.rate)
    if len(set(between)) > 1:
        raise ValueError(f"models have one rate of dropout between all layers; got {between}")
    return found | ({"dropout": between[0]} if between else {})


def _bias(layer: Any, like: np.ndarray) -> np.ndarray:
    """Return the bias of a layer, zeros if it has none."""
    return np.zeros(len(like), like.dtype) if layer.bias is None else array_of(layer.bias)
