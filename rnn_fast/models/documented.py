"""The options that all models share, in their docstrings and signatures."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, TypeVar

from .architecture import Architecture, NetworkOptions

COMMON = """
    input_size, hidden_size, output_size : int
        I, H and O, at least 1; for cross_entropy O is the number of classes, at least 2.  With an
        embedding, I is the size of the vocabulary.  For other losses `output_size` may be a shape,
        such as (steps ahead, channels): y and predictions have these axes in place of O.
    num_layers : int
        Number of layers: layer l > 0 takes the states of layer l - 1.
    bidirectional : bool
        Whether each layer also reads the sequence in reverse, with separate weights.  The next
        layer takes [forward; reverse]; the read-out takes the forward state after the last step
        and the reverse state after the first step.
    dropout : float
        Probability, in [0, 1), with which `fit` sets an input of a layer l > 0 to zero; the other
        inputs are divided by 1 - dropout.
    input_noise, recurrent_noise : float
        Standard deviations of normal noise that training adds, afresh in each epoch: to every input
        of the lowest layer, and to every pre-activation ``Wxh x_t + Whh h_{t-1} + bh``, of cells
        that have one (`SimpleRNN`, `LeakyRNN`).  Predictions have none without a `noise_seed`.
        For the sigma of a process in continuous time, say sqrt(2 / alpha) sigma.
    readout_dropout : float
        Probability, in [0, 1), with which `fit` sets an output of the top layer to zero before the
        read-out; the others are divided by 1 - readout_dropout.
    skip : bool
        Whether the first O features of a step are added to its outputs, as models of amplifiers
        have it; with `return_sequences`.
    return_sequences : bool
        Whether there is an output after every step, not only after the last.
    learn_initial_state : bool
        Whether the initial state is a parameter.  Otherwise it is zero, or `initial_state`.
    embedding_size : int, optional
        E: X contains indices 0 .. I - 1, and each index has a learned vector of E numbers.
    loss : {"bce", "cross_entropy", "mse", "huber", "mae", "poisson", "quantile", "gaussian"}
        Binary cross-entropy of sigmoids, for each output separately; cross-entropy of the softmax;
        squared error; Huber's loss, quadratic below 1; absolute error; Poisson likelihood of
        log-rates; pinball loss of several quantiles of each output; Gaussian likelihood of a mean
        and a learned scale of each output.  The mean is over the sequences, or their steps, and
        over the outputs except for cross_entropy.  "linear" is the sum over the outputs of output
        times target, so that the target is the gradient.
    loss_options : dict, optional
        Options of the loss: ``{"levels": [0.1, 0.5, 0.9]}`` for quantile, which is its default.
    dtype : {"float32", "float64"} or dtype
        Dtype of the parameters and all arithmetic.
    initial : dict, optional
        Initial values of parameters by name, such as ``{"Whh": "identity"}``.  "Whh" stands for Whh
        of all layers and directions, "Whh_l1" for one.  For matrices, each gate's square of Whh
        and rows of Wxh on their own: "orthogonal", the default of Whh; "glorot", that of Wxh and
        Why; "identity"; "gaussian", of spectral radius 1.  For all: "uniform", as PyTorch's layers
        start, within 1 / sqrt(H); a number; or a function ``f(shape, generator)`` that returns an
        array.  A pair such as ``("gaussian", 1.5)`` multiplies by a factor.
    seed : None, int, SeedSequence, Generator, ...
        As for `numpy.random.default_rng`: draws the initial parameters, then the order of the
        sequences in training, dropout and noise.
    learning_rate : float
        Step size of `backward`, and the default of `fit`.
"""

ATTRIBUTES = """

    Attributes
    ----------
    Wxh, Whh, bh : ndarray, (G H, I), (G H, H), (G H,)
        Parameters: live views that you may write to or assign.  For layer l > 0 the names end in
        ``_l{l}``, and I is the size of its input.  For the reverse direction they then end in
        ``_reverse``.
    Why, by : ndarray, (O, D H), (O,)
        Parameters of the read-out, for D directions.  For gaussian and quantile there are 2 O rows,
        or as many as outputs times levels: those of an output side by side.
    h0, c0 : ndarray, (num_layers * D, H)
        Learned initial states, c0 of the LSTM and the membrane form only.
    embedding : ndarray, (I, E)
        Learned vectors, with `embedding_size`.
"""

Kind = TypeVar("Kind", bound=type[Any])


def documented(model: Kind) -> Kind:
    """Add the options that all models share to a model's docstring and signature."""
    if model.__doc__:  # python -OO has none
        text = model.__doc__.replace("\n    COMMON\n", COMMON)
        model.__doc__ = text.replace("\n    ATTRIBUTES\n", ATTRIBUTES)
    parameters = list(inspect.signature(model.__init__).parameters.values())[1:-1]
    names = [parameter.name for parameter in parameters]
    shared = {option.name: option.default for option in fields(Architecture)}
    shared |= {"initial": None, "seed": None, "learning_rate": 0.01}
    for name, default in shared.items():
        if name not in names:
            annotation = NetworkOptions.__annotations__[name].__forward_arg__
            kind = inspect.Parameter.KEYWORD_ONLY
            parameter = inspect.Parameter(name, kind, default=default, annotation=annotation)
            parameters.append(parameter)
    model.__signature__ = inspect.Signature(parameters)
    return model
