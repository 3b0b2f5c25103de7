"""Models made from graphs of ONNX; `loading.from_onnx` describes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ..formats.onnx_reading import Found, difference, read_network
from ..formats.onnx_record import read_record, recorded_parameters, recorded_values
from ..formats.onnx_source import Source
from ..layout.network import Network
from ..losses import LOSSES
from ..validation import choice
from .base import Model
from .stack import Stack


def recorded(
    source: Source,
    options: dict[str, Any],
    seed: Any,
    described: Callable[[dict[str, Any]], Any],
    constraints: Callable[[Any, Any], Any],
) -> Model | Stack | None:
    """Return the model of a graph that `to_onnx` wrote; None if it did not, or another changed it.

    Parameters
    ----------
    source : Source
    options : dict
        Arguments of the model that are not as recorded.
    seed : Generator
    described, constraints : callable
        Of `loading`.

    Raises
    ------
    ValueError
        The graph computes something else.
    ModelFileError
        The record is damaged.
    """
    record = read_record(source)
    if record is None:
        return None
    records = None
    if "stack" in record:
        _refuse_options(options)
        kind, arguments, net = _described_stack(record["stack"])
    else:
        kind, arguments, net, records = described(record["model"])
    parameters = recorded_parameters(source, net, record)
    if parameters is None:
        return None
    if "loss" in options:
        arguments["loss_options"] = None
    model = kind(**{**arguments, **options}, seed=seed)
    if model._net.output_size != net.output_size:
        raise ValueError(f"loss {model.loss} is not for the {net.output_size} logits of the graph")
    for name, array in parameters.items():
        setattr(model, name, array)
    X, state, logits = recorded_values(source, net)
    expected = _logits(model, X, state)
    same = logits.size == expected.size  # the form of the outputs may have other axes
    _check(logits.reshape(expected.shape) if same else logits, expected)
    if records:
        model._set_constraints(constraints(net, records))
    return model


def _refuse_options(options: dict[str, Any]) -> None:
    """Raise ValueError if there are options of a loss, for layers alone."""
    if options:
        raise ValueError(f"{', '.join(options)}: the graph has no head, which a loss needs")


def _described_stack(description: dict[str, Any]) -> tuple[Any, dict[str, Any], Network]:
    """Return the class, the arguments and the network of a description of a `Stack`."""
    try:
        options = dict(description)
        _, net = Stack._network(options.pop("cell"), options)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"unknown architecture, or damaged: {error!s:.200}") from error
    return Stack, description, net


def made(
    source: Source,
    options: dict[str, Any],
    seed: Any,
    models: Mapping[str, Any],
    outputs_of: Callable[[int, str, Any], int],
) -> Model | Stack:
    """Return the model of a graph that another program wrote.

    Parameters
    ----------
    source : Source
    options : dict
        Arguments of the model.
    seed : Generator
    models : mapping
        Classes of models by their names in files.
    outputs_of : callable
        Of `loading`.

    Raises
    ------
    ValueError
        The graph has something that models have not, or computes something else than its layers.
    """
    found = read_network(source)
    sizes, operator = dict(found.sizes), found.operator
    if sizes["output_size"] is None:
        _refuse_options(options)
        del sizes["output_size"]
        model = Stack(operator.cell, **sizes, seed=seed)
    else:
        options["loss"] = _loss(found, options.get("loss"))
        n = outputs_of(sizes["output_size"], options["loss"], options.get("loss_options"))
        sizes |= {"output_size": n, "return_sequences": found.return_sequences}
        model = models[operator.model](**{**sizes, **operator.options, **options}, seed=seed)
    for name, array in found.parameters.items():
        setattr(model, name, array)
    expected = _logits(model, found.X, found.state)
    D = 1 + sizes["bidirectional"]
    if isinstance(model, Stack) and not found.return_sequences:
        forward, *reverse = np.split(expected, D, axis=-1)
        expected = np.concatenate([forward[:, -1], *(part[:, 0] for part in reverse)], axis=-1)
    _check(found.result, found.activation(expected), D if isinstance(model, Stack) else 0)
    return model


def _loss(found: Found, loss: str | None) -> str:
    """Return the loss whose outputs a graph has."""
    if loss is None:
        return next(each.name for each in LOSSES.values() if each.activation is found.activation)
    activation = LOSSES[choice("loss", loss, LOSSES)].activation
    if found.end and activation is not found.activation:
        raise ValueError(f"{found.end}: the outputs of loss {loss} are something else")
    return loss


def _logits(model: Any, X: np.ndarray, state: Any) -> np.ndarray:
    """Return logits (N, T, K) or (N, K); of a `Stack` the states of the top layer."""
    if isinstance(model, Stack):
        return model.states(X, layer=-1, initial_state=state)
    logits = model.decision_function(X, initial_state=state)
    return logits.reshape(*X.shape[: 1 + model.return_sequences], -1)


def _check(result: np.ndarray, expected: np.ndarray, directions: int = 0) -> None:
    """Raise ValueError if a graph has not computed what is expected."""
    why = difference(result, expected, directions)
    if why is not None:
        raise ValueError(f"the graph does more than its layers and its head: {why}")
