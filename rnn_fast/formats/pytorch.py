"""Conversion from and to PyTorch modules; PyTorch is imported only when needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._optional import extra
from ..cells.specs import CELLS

if TYPE_CHECKING:
    import torch


class TorchLayer(NamedTuple):
    """The PyTorch layer that corresponds to a model class."""

    name: str  #: class in torch.nn
    passes_on: tuple[str, ...] = ()  #: options with the same name in both
    needs: Mapping[str, Any] = {}  #: the only values of our options that PyTorch supports
    second_bias: tuple[str, str] | None = None  #: gate with two biases, and our name of the second


def read_module(
    module: torch.nn.Module,
    head: torch.nn.Linear | None = None,
    embedding: torch.nn.Embedding | None = None,
    *,
    return_sequences: bool = False,
    models: Mapping[str, Any],
) -> tuple[Any, dict[str, Any], dict[str, np.ndarray]]:
    """Return one of `models`, its arguments and its parameters; see `models.from_torch`."""
    torch = extra("torch", "torch")
    from .torch_network import STATES, TorchNetwork, check_forward  # which imports PyTorch

    kinds = {
        getattr(torch.nn, model.torch_layer.name): model
        for model in models.values()
        if model.torch_layer is not None
    }
    rnn = _one(module, tuple(kinds), "recurrent layer (RNN, GRU or LSTM)")
    if head is None:
        head = _one(module, (torch.nn.Linear,), "Linear layer")
    if embedding is None:
        embedding = next((m for m in module.modules() if isinstance(m, torch.nn.Embedding)), None)
    kind = next(kind for kind in kinds if isinstance(rnn, kind))
    _check_layer("module", rnn, kind)
    _check_layer("head", head, torch.nn.Linear)
    if embedding is not None:
        _check_layer("embedding", embedding, torch.nn.Embedding)
    _check_fit(rnn, head, embedding)
    _check_trained(rnn, head, embedding)
    initial = module.initial if isinstance(module, TorchNetwork) else []
    if module is not rnn:
        network = TorchNetwork(rnn, head, embedding, return_sequences, initial)
        check_forward(module, network)
    model = kinds[kind]
    layer = model.torch_layer
    first = _array(rnn.weight_ih_l0)
    arguments = {
        "input_size": rnn.input_size if embedding is None else embedding.num_embeddings,
        "hidden_size": rnn.hidden_size,
        "output_size": head.out_features,
        "num_layers": rnn.num_layers,
        "bidirectional": rnn.bidirectional,
        "dropout": float(rnn.dropout),
        "embedding_size": None if embedding is None else embedding.embedding_dim,
        "dtype": first.dtype,
    }
    arguments |= {name: getattr(rnn, name) for name in layer.passes_on}
    if initial:
        arguments["learn_initial_state"] = True
    parameters = {name: _array(part) for name, part in zip(STATES, initial, strict=False)}
    parameters |= {"Why": _array(head.weight), "by": np.zeros(head.out_features, first.dtype)}
    if head.bias is not None:
        parameters["by"] = _array(head.bias)
    if embedding is not None:
        parameters["embedding"] = _array(embedding.weight)
    for ours, theirs in _names(rnn.num_layers, rnn.bidirectional).items():
        parameters[f"Wxh{ours}"] = _array(getattr(rnn, f"weight_ih_{theirs}"))
        parameters[f"Whh{ours}"] = Whh = _array(getattr(rnn, f"weight_hh_{theirs}"))
        biases = [np.zeros(len(Whh), Whh.dtype)] * 2
        if rnn.bias:
            biases = [_array(getattr(rnn, f"bias_{kind}_{theirs}")) for kind in ("ih", "hh")]
        if layer.second_bias is not None:
            gate, name = layer.second_bias
            rows = _rows(model, gate, rnn.hidden_size)
            parameters[f"{name}{ours}"] = biases[1][rows].copy()
            biases[1][rows] = 0
        parameters[f"bh{ours}"] = biases[0] + biases[1]
    return model, arguments, parameters


def _rows(model: Any, gate: str, hidden_size: int) -> slice:
    """Return the rows of a gate; PyTorch has the gates in the same order."""
    start = CELLS[model.cell].gates.index(gate) * hidden_size
    return slice(start, start + hidden_size)


def _one(module: Any, kinds: tuple[type, ...], what: str) -> Any:
    """Return the only layer of one of `kinds` in a module, or the module itself."""
    found = [m for m in getattr(module, "modules", list)() if isinstance(m, kinds)]
    if len(found) != 1:
        raise TypeError(f"one {what} is needed; {type(module).__name__} has {len(found) or 'none'}")
    return found[0]


def to_module(model: Any) -> torch.nn.Module:
    """Return a PyTorch module that computes the logits of a model; see `Model.to_torch`."""
    layer = model.torch_layer
    if layer is None:
        raise ValueError(f"PyTorch has no layer that computes as {type(model).__name__}")
    if model.skip:
        raise ValueError("the layers and the head of a module have no skip from input to output")
    torch = extra("torch", "torch")
    for name, value in layer.needs.items():
        if getattr(model, name) != value:
            raise ValueError(f"PyTorch has no {layer.name} with {name}={getattr(model, name)}")
    dtype, kind = getattr(torch, model.dtype.name), getattr(torch.nn, layer.name)
    options = {name: getattr(model, name) for name in layer.passes_on}
    D, E = 1 + model.bidirectional, model.embedding_size
    rnn = kind(
        E or model.input_size,
        model.hidden_size,
        model.num_layers,
        batch_first=True,
        dropout=model.dropout if model.num_layers > 1 else 0.0,
        bidirectional=model.bidirectional,
        dtype=dtype,
        **options,
    )
    head = torch.nn.Linear(D * model.hidden_size, model._net.output_size, dtype=dtype)
    embedding = torch.nn.Embedding(model.input_size, E, dtype=dtype) if E else None
    weights = model.parameters
    with torch.no_grad():

        def put(parameter: Any, array: np.ndarray) -> None:
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))

        for ours, theirs in _names(model.num_layers, model.bidirectional).items():
            put(getattr(rnn, f"weight_ih_{theirs}"), weights[f"Wxh{ours}"])
            put(getattr(rnn, f"weight_hh_{theirs}"), weights[f"Whh{ours}"])
            put(getattr(rnn, f"bias_ih_{theirs}"), weights[f"bh{ours}"])
            second = np.zeros_like(weights[f"bh{ours}"])
            if layer.second_bias is not None:
                gate, name = layer.second_bias
                second[_rows(model, gate, model.hidden_size)] = weights[f"{name}{ours}"]
            put(getattr(rnn, f"bias_hh_{theirs}"), second)
        put(head.weight, weights["Why"])
        put(head.bias, weights["by"])
        if embedding is not None:
            put(embedding.weight, weights["embedding"])
    from .torch_network import STATES, TorchNetwork  # which imports PyTorch

    states = [torch.from_numpy(weights[name].copy()) for name in STATES if name in weights]
    initial = [torch.nn.Parameter(state) for state in states]
    return TorchNetwork(rnn, head, embedding, model.return_sequences, initial)


def _names(layers: int, bidirectional: bool) -> dict[str, str]:
    """Return the endings of the parameter names of each run: ours to PyTorch's."""
    return {
        (f"_l{layer}" if layer else "") + end: f"l{layer}{end}"
        for layer in range(layers)
        for end in ("", "_reverse")[: 1 + bidirectional]
    }


def _check_fit(rnn: Any, head: Any, embedding: Any) -> None:
    if getattr(rnn, "proj_size", 0):
        raise ValueError(f"rnn has proj_size={rnn.proj_size}; projections are not supported")
    width = rnn.hidden_size * (1 + rnn.bidirectional)
    if head.in_features != width:
        raise ValueError(f"head must take the {width} states of rnn; it takes {head.in_features}")
    if embedding is not None and embedding.embedding_dim != rnn.input_size:
        raise ValueError(
            f"embedding has {embedding.embedding_dim} outputs, but rnn takes {rnn.input_size}"
        )


def _check_layer(name: str, layer: Any, kind: type) -> None:
    """Raise TypeError for what is no layer of a kind, or computes something else."""
    if not isinstance(layer, kind):
        raise TypeError(f"{name} must be a torch.nn.{kind.__name__}; got {type(layer).__name__}")
    if type(layer).forward is not kind.forward:  # type: ignore[attr-defined]
        raise TypeError(
            f"{name} must compute as torch.nn.{kind.__name__}; {type(layer).__name__} has a "
            "forward of its own"
        )


def _check_trained(rnn: Any, head: Any, embedding: Any) -> None:
    """Raise ValueError for a parameter that PyTorch would not train: the model trains all."""
    groups = [{f"head.{n}": p} for n, p in head.named_parameters()]
    for name, parameter in rnn.named_parameters():
        if name.startswith("bias_ih"):  # of two biases, whose sum counts, one may be frozen
            other = name.replace("_ih", "_hh")
            groups.append({name: parameter, other: getattr(rnn, other)})
        elif not name.startswith("bias"):
            groups.append({name: parameter})
    if embedding is not None:
        groups.append({"embedding.weight": embedding.weight})
        for name in ("padding_idx", "max_norm"):
            if (value := getattr(embedding, name)) is not None:
                raise ValueError(
                    f"embedding has {name}={value}, but a model trains all vectors freely; set "
                    f"embedding.{name} = None if that will do"
                )
    for group in groups:
        if not any(parameter.requires_grad for parameter in group.values()):
            raise ValueError(
                f"{' and '.join(group)}: frozen (requires_grad=False), but a model trains all its "
                "parameters; call requires_grad_(True) if that will do"
            )


def _array(tensor: Any) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())
