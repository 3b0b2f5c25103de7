"""Models made from the formats of others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from .. import validation
from ..losses import LOSSES, LossName
from .base import Model
from .loading import MODELS, constraints_of, described

if TYPE_CHECKING:
    import keras
    import onnx
    import torch

    from ..cells.specs.simple import Nonlinearity
    from ..validation import Seed


def from_flax(
    params: Mapping[str, Any],
    *,
    nonlinearity: Nonlinearity | None = None,
    bidirectional: bool = False,
    return_sequences: bool = False,
    skip: bool = False,
    loss: LossName = "bce",
    loss_options: dict[str, Any] | None = None,
    learning_rate: float = 0.01,
    seed: Seed = None,
) -> Model:
    """Return a model with copies of the parameters of a Flax module.

    Parameters
    ----------
    params : mapping
        Parameters of a linen module, or ``nnx.state(module, nnx.Param)`` of an nnx module, with any
        names: of SimpleCell, GRUCell, LSTMCell or OptimizedLSTMCell, of a Dense or Linear layer,
        and of an Embed if there is one.  Cells are layers in the order of their names, with numbers
        by value.  All that `Model.to_flax` returns is read.
    nonlinearity : str, optional
        As for `SimpleRNN`, whose cells do not say it.
    bidirectional : bool
        Whether cells are forward and reverse in turn, where names do not say "reverse" or
        "backward".
    return_sequences, skip, loss, loss_options, learning_rate, seed
        As for the models.

    Returns
    -------
    SimpleRNN, GRU or LSTM
        The parameters do not say what the module does with them.  The model computes ``RNN(cell)``
        of each layer, Bidirectional if there are two directions, and the head.

    Raises
    ------
    TypeError
        `params` is no mapping, or GRU or LSTM cells come with a `nonlinearity`.
    ValueError
        There is no cell, or not one Dense layer, or another parameter; the sizes do not fit; the
        dtype is neither float32 nor float64.
    """
    from ..formats.flax import read_parameters

    both = validation.flag("bidirectional", bidirectional)
    kind, arguments, parameters = read_parameters(params, both, MODELS)
    arguments["output_size"] = outputs_of(arguments["output_size"], loss, loss_options)
    if nonlinearity is not None:
        arguments["nonlinearity"] = nonlinearity
    return _with_copies(
        kind,
        parameters,
        **arguments,
        return_sequences=return_sequences,
        skip=skip,
        loss=loss,
        loss_options=loss_options,
        learning_rate=learning_rate,
        seed=seed,
    )


def from_keras(
    model: keras.Model | Sequence[keras.layers.Layer],
    *,
    loss: LossName | None = None,
    loss_options: dict[str, Any] | None = None,
    learning_rate: float = 0.01,
    seed: Seed = None,
) -> Model:
    """Return a model that computes the same as a Keras model, with copies of the weights.

    Parameters
    ----------
    model : keras.Model, or list of layers
        An Embedding or none; SimpleRNN, GRU or LSTM layers, in Bidirectional or alone, of one kind
        and size; a Dense head.  GaussianNoise before the recurrent layers, Dropout between them and
        before the head become our options; all that `Model.to_keras` makes is read.  Any weights,
        with or without biases, float32 or float64.  The model is run on random sequences, to see
        that ours computes the same.  Optimizer, regularizers and constraints are left.
    loss : str, optional
        As for the models.  The head's activation allows one loss: sigmoid bce, softmax
        cross_entropy, exponential poisson.  A linear head is for every loss, of which it returns
        the logits: mse by default.
    loss_options, learning_rate, seed
        As for the models.

    Returns
    -------
    SimpleRNN, GRU, LSTM or LeakyRNN
        It has an output after every step if the last recurrent layer returns sequences.

    Raises
    ------
    TypeError
        `model` is neither a Keras model nor a list.
    ValueError
        A layer that models do not have, such as Masking or Conv1D, or an option of a layer:
        stateful, go_backwards, mask_zero, dropout in the layer, another activation, frozen
        weights.  Layers differ in kind, options or size.  The model computes something else than
        its layers in a chain.  The loss is not for the head's activation.
    ImportError
        Keras or the backend that it is set to is not installed.
    """
    from ..formats.keras_check import check_computes, loss_of
    from ..formats.keras_reading import read_model

    kind, arguments, parameters, activation, form = read_model(model, MODELS)
    chosen: Any = loss_of(activation, loss)
    n_logits = arguments["output_size"]
    n = arguments["output_size"] = outputs_of(n_logits, chosen, loss_options)
    values = form[:-1] if n < n_logits else form
    if len(values) > 1:
        arguments["output_size"] = values
    made = _with_copies(
        kind,
        parameters,
        **arguments,
        loss=chosen,
        loss_options=loss_options,
        learning_rate=learning_rate,
        seed=seed,
    )
    check_computes(model, made, activation)
    return made


def from_onnx(
    path_or_model: str | os.PathLike[str] | BinaryIO | onnx.ModelProto,
    *,
    loss: LossName | None = None,
    loss_options: dict[str, Any] | None = None,
    learning_rate: float | None = None,
    seed: Seed = None,
) -> Model | Any:
    """Return a model that computes the same as a graph of ONNX, with copies of the weights.

    Graphs that `Model.to_onnx` wrote come back with all options and the same bits.  Of others those
    are read that PyTorch and Keras write for an embedding, layers of RNN, GRU or LSTM nodes, a
    linear head and a sigmoid, softmax or exponential; without a head the result is a `Stack`.  The
    graph is computed on random sequences, by ONNX's reference evaluator, to see that it computes
    the same.

    Parameters
    ----------
    path_or_model : path, binary file or onnx.ModelProto
    loss, loss_options, learning_rate, seed
        As for the models.  Default: as `to_onnx` has recorded them; in other graphs bce after a
        sigmoid, cross_entropy after a softmax, poisson after an exponential, or else mse.

    Returns
    -------
    SimpleRNN, LeakyRNN, GRU, LSTM, Recurrent or Stack
        `return_sequences` is True if the graph has an output after every step.  Initial states that
        are constants are learned ones; those that are inputs of the graph are `initial_state`.

    Raises
    ------
    TypeError, ValueError
        It is no graph of ONNX, or has something that models have not, in a node that the message
        names, or computes something else than its layers.  `loss` does not belong to its outputs.
    ModelFileError
        What `to_onnx` has recorded is damaged, or the model's cell is not declared.
    OSError
        The file cannot be read.
    ImportError
        onnx is not installed.
    """
    from ..formats.onnx_source import Source
    from .onnx_models import made, recorded

    options = {"loss": loss, "loss_options": loss_options, "learning_rate": learning_rate}
    options = {name: value for name, value in options.items() if value is not None}
    generator, source = validation.generator(seed), Source(path_or_model)
    model = recorded(source, options, generator, described, constraints_of)
    return model or made(source, options, generator, MODELS, outputs_of)


def from_rtneural(
    path: str | os.PathLike[str],
    *,
    loss: str | None = None,
    loss_options: dict[str, Any] | None = None,
    return_sequences: bool = True,
    dtype: Any = "float32",
    learning_rate: float = 0.01,
    seed: Any = None,
) -> Model:
    """Return the model in a JSON file of RTNeural, AIDA-X or GuitarML.

    Files of RTNeural have layers gru or lstm of one size, a dense layer behind them, and perhaps an
    activation; files of GuitarML are those that Automated-GuitarAmpModelling writes.  AIDA-X's
    `in_skip` and GuitarML's `skip` become the option `skip`; AIDA-X's gains, which its plug-in
    applies outside of the network, are not read.

    Parameters
    ----------
    path : path
    loss : str, optional
        As for the models.  Default: bce for the activation sigmoid, cross_entropy for softmax, mse
        for none.
    loss_options, return_sequences, dtype, learning_rate, seed
        As for the models.  Numbers of a file that was written from float64 are the same with
        ``dtype="float64"`` only.

    Returns
    -------
    GRU, LSTM or SimpleRNN
        The bias is the sum of GuitarML's two biases; only the GRU's n keeps the second, as bhn.

    Raises
    ------
    ModelFileError
        The file is not of this kind, or has layers that no model has; the message says which.
    TypeError, ValueError
        An argument is wrong, or `loss` has other outputs than the file's.
    OSError
        The file cannot be read.
    """
    from ..formats.rtneural_reading import loss_of, read_rtneural

    found = read_rtneural(path, MODELS, validation.real_dtype(dtype))
    loss = loss_of(found.activation, loss)
    sizes = {"output_size": outputs_of(found.arguments["output_size"], loss, loss_options)}
    return _with_copies(
        found.kind,
        found.parameters,
        **{**found.arguments, **sizes},
        loss=loss,
        loss_options=loss_options,
        return_sequences=return_sequences,
        dtype=dtype,
        learning_rate=learning_rate,
        seed=seed,
    )


def from_torch(
    module: torch.nn.Module,
    head: torch.nn.Linear | None = None,
    embedding: torch.nn.Embedding | None = None,
    *,
    loss: LossName = "bce",
    loss_options: Mapping[str, Any] | None = None,
    return_sequences: bool = False,
    learning_rate: float = 0.01,
    seed: Seed = None,
) -> Model:
    """Return a model that computes the same as PyTorch's layers, with copies of the weights.

    Parameters
    ----------
    module : torch.nn.Module
        A torch.nn.RNN, GRU or LSTM, or a module that contains one, with a Linear and optionally an
        Embedding, such as `Model.to_torch` makes.  The module's own forward is run on random
        sequences, to see that it computes the same.  Any number of layers, one or both directions,
        with or without biases, float32 or float64.  ``batch_first`` does not matter: our X is
        (N, T, I).
    head : torch.nn.Linear, optional
        Layer from the states of all directions, forward first, to the logits or values.  Default:
        the Linear of `module`.
    embedding : torch.nn.Embedding, optional
        Layer before the recurrent layer; the model then takes indices.  Default: the Embedding of
        `module`, if there is one.
    loss, loss_options, return_sequences, learning_rate, seed
        As for the models.  A Linear with two outputs is one output of gaussian.

    Returns
    -------
    SimpleRNN, GRU or LSTM
        The bias is the sum of PyTorch's two biases; only the GRU's n keeps the second, as bhn.

    Raises
    ------
    TypeError
        There is no recurrent or Linear layer, or more than one, or a subclass has its own forward.
    ValueError
        The sizes of the layers do not fit, there is a projection (``proj_size``), or the dtype is
        neither float32 nor float64.  The forward of `module` does more than its layers: pass them
        instead.  A parameter is frozen, or the Embedding has a `padding_idx` or `max_norm`: models
        train all their parameters.
    ImportError
        PyTorch is not installed.
    """
    from ..formats.pytorch import read_module

    return_sequences = validation.flag("return_sequences", return_sequences)
    kind, arguments, parameters = read_module(
        module, head, embedding, return_sequences=return_sequences, models=MODELS
    )
    arguments["output_size"] = outputs_of(arguments["output_size"], loss, loss_options)
    return _with_copies(
        kind,
        parameters,
        **arguments,
        loss=loss,
        loss_options=loss_options,
        return_sequences=return_sequences,
        learning_rate=learning_rate,
        seed=seed,
    )


def _with_copies(kind: Any, parameters: Mapping[str, Any], **arguments: Any) -> Any:
    """Return a model of a class with copies of `parameters`."""
    model = kind(**arguments)
    for name, array in parameters.items():
        setattr(model, name, array)
    return model


def outputs_of(n_logits: int, loss: str, loss_options: Any) -> int:
    """Return the outputs of a model that has so many logits.

    Raises
    ------
    TypeError, ValueError
        The loss or its options are none, or its outputs need another number of logits.
    """
    loss = validation.choice("loss", loss, LOSSES)
    each = LOSSES[loss].logits_of_value(
        LOSSES[loss].flat_options(LOSSES[loss].checked(loss_options))
    )
    if n_logits % each:
        raise ValueError(f"loss {loss} needs a multiple of {each} logits; the head has {n_logits}")
    return n_logits // each
