"""Models written as Keras models; Keras is imported only when needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._optional import extra

if TYPE_CHECKING:
    import keras

PLAIN = "linear"  #: Keras's name of no activation: the head returns logits
#: losses of the activations that a head may have; a plain one also has others
HEADS = {PLAIN: "mse", "sigmoid": "bce", "softmax": "cross_entropy", "exponential": "poisson"}


class KerasLayer(NamedTuple):
    """The Keras layer that corresponds to a model class."""

    name: str  #: layer in keras.layers, or a cell in `keras_layers`
    order: tuple[int, ...] = (0,)  #: places of our gates, in Keras's order
    options: Mapping[str, str] = {}  #: our options to Keras's, which have the same values
    fixed: Mapping[str, str] = {}  #: the only values of Keras's options that we support
    second_bias: tuple[int, str] | None = None  #: Keras's gate with two biases, our second's name
    vectors: tuple[str, ...] = ()  #: parameters of cells in `keras_layers`, named as ours
    cell_with: tuple[str, str] | None = None  #: our option that needs a cell in `keras_layers`


def to_model(model: Any) -> keras.Model:
    """Return a Keras model that computes the logits of a model; see `Model.to_keras`."""
    layer = model.keras_layer
    if layer is None:
        raise ValueError(f"Keras has no layer that computes as {type(model).__name__}")
    keras = extra("keras", "keras")
    _check_dtype(keras, model)
    net, dtype, D = model._net, model.dtype.name, 1 + model.bidirectional
    L = keras.layers
    if net.embedding:
        inputs = L.Input((None,), dtype="int32")
        x = L.Embedding(net.input_size, net.embedding, dtype=dtype, name="embedding")(inputs)
    else:
        x = inputs = L.Input((None, net.input_size), dtype=dtype)
    if model.input_noise:
        x = L.GaussianNoise(model.input_noise, dtype=dtype)(x)
    for k in range(net.layers):
        if k and model.dropout:
            x = L.Dropout(model.dropout, dtype=dtype)(x)
        states = [state for run in range(k * D, k * D + D) for state in _states(model, run, inputs)]
        rnn = _recurrent(keras, model, net.sequences or k < net.layers - 1, f"layer_{k}")
        x = rnn(x, initial_state=states) if states else rnn(x)
    if model.readout_dropout:
        x = L.Dropout(model.readout_dropout, dtype=dtype)(x)
    y = L.Dense(net.output_size, dtype=dtype, name="head")(x)
    if net.skip:
        y = L.Add(dtype=dtype)([y, inputs[..., : net.output_size]])
    if len(net.output_form) > 1:
        y = L.Reshape((-1,) * net.sequences + net.output_form, dtype=dtype)(y)
    found = keras.Model(inputs, y)
    _put(found, model)
    return found


def run_ending(run: int, directions: int) -> str:
    """Return the ending of the parameter names of a run."""
    layer, reverse = divmod(run, directions)
    return (f"_l{layer}" if layer else "") + ("_reverse" if reverse else "")


def permuted(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Return blocks of rows, one for each gate, in another order."""
    parts = np.split(array, len(order))
    return np.concatenate([parts[place] for place in order])


def array_of(variable: Any) -> np.ndarray:
    """Return a copy of a variable or a tensor of Keras."""
    ops = extra("keras", "keras").ops
    return np.array(ops.convert_to_numpy(ops.convert_to_tensor(variable)))


def _check_dtype(keras: Any, model: Any) -> None:
    """Raise ValueError if Keras does not compute in the model's dtype."""
    one = np.ones((1, 1), model.dtype)
    product = array_of(keras.ops.matmul(one, one))
    if product.dtype != model.dtype:
        raise ValueError(
            f"the model is {model.dtype}, but Keras's backend {keras.backend.backend()} multiplies "
            f"matrices in {product.dtype}; float64 needs TensorFlow, or JAX after "
            "jax.config.update('jax_enable_x64', True)"
        )


def _state_names(model: Any) -> tuple[str, ...]:
    """Return the names of the learned initial states: none, h0, or h0 and c0."""
    return ("h0", "c0")[: model._net.states] if model.learn_initial_state else ()


def _states(model: Any, run: int, inputs: Any) -> list[Any]:
    """Return the learned initial states of a run, for as many sequences as `inputs` has."""
    from .keras_layers import InitialState  # which imports Keras

    end, dtype = run_ending(run, 1 + model.bidirectional), model.dtype.name
    return [
        InitialState(model.hidden_size, name=f"{name}{end}", dtype=dtype)(inputs)
        for name in _state_names(model)
    ]


def _recurrent(keras: Any, model: Any, sequences: bool, name: str) -> Any:
    """Return a layer for one or both directions."""
    from . import keras_layers  # which imports Keras

    layer, dtype, H = model.keras_layer, model.dtype.name, model.hidden_size
    options = {theirs: getattr(model, ours) for ours, theirs in layer.options.items()}
    cell = layer.name
    if layer.cell_with is not None and getattr(model, layer.cell_with[0]):
        cell = layer.cell_with[1]
    settings = {"return_sequences": sequences, "dtype": dtype, "name": name}
    if (own := getattr(keras_layers, cell, None)) is not None:
        rnn = keras.layers.RNN(own(H, **options, dtype=dtype), **settings)
    else:
        options = {**layer.fixed, **options}
        if model.dtype == np.float64:
            options["activation"] = keras_layers.activation_of(options["activation"])
        rnn = getattr(keras.layers, cell)(H, **options, **settings)
    if not model.bidirectional:
        return rnn
    return keras.layers.Bidirectional(rnn, dtype=dtype, name=name)


def cells_of(rnn: Any) -> list[Any]:
    """Return the cells of a recurrent layer: forward, or forward and backward."""
    if hasattr(rnn, "forward_layer"):
        return [rnn.forward_layer.cell, rnn.backward_layer.cell]
    return [rnn.cell]


def _put(found: Any, model: Any) -> None:
    """Copy a model's weights into a Keras model."""
    layer, weights, D = model.keras_layer, model.parameters, 1 + model.bidirectional
    for run in range(model._net.runs):
        end = run_ending(run, D)
        cell = cells_of(found.get_layer(f"layer_{run // D}"))[run % D]
        cell.kernel.assign(permuted(weights[f"Wxh{end}"], layer.order).T)
        cell.recurrent_kernel.assign(permuted(weights[f"Whh{end}"], layer.order).T)
        bias = permuted(weights[f"bh{end}"], layer.order)
        if layer.second_bias is not None and cell.bias.ndim == 2:
            place, name = layer.second_bias
            bias = np.stack([bias, np.zeros_like(bias)])
            np.split(bias[1], len(layer.order))[place][:] = weights[f"{name}{end}"]
        cell.bias.assign(bias)
        for name in layer.vectors:
            if f"{name}{end}" in weights:
                getattr(cell, name).assign(weights[f"{name}{end}"])
        for name in _state_names(model):
            found.get_layer(f"{name}{end}").state.assign(weights[name][run])
    head = found.get_layer("head")
    head.kernel.assign(weights["Why"].T)
    head.bias.assign(weights["by"])
    if model.embedding_size:
        found.get_layer("embedding").embeddings.assign(weights["embedding"])
