"""The options of a network, which all models share."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import partial
from inspect import signature
from typing import Any, TypedDict

import numpy as np

from ..layout.network import Network
from ..losses import LOSSES
from ..validation import (
    Options,
    as_it_is,
    choice,
    flag,
    hint,
    option,
    optional,
    rate,
    real_dtype,
    shown,
    whole,
)

#: options that older files and checkpoints do not have, which say nothing at zero
LATER = ("input_noise", "recurrent_noise", "readout_dropout", "skip")
MOST_LAYERS = 10_000  #: each is described one by one, 20 us each; far more than can be trained


def whole_or_several(name: str, value: Any) -> int | tuple[int, ...]:
    """Return `value` as an int, or a tuple or list of two or more as a tuple, each at least 1."""
    if not isinstance(value, (tuple, list)) or len(value) < 2:
        return whole(name, value)
    return tuple(whole(f"{name}[{i}]", each) for i, each in enumerate(value))


@dataclass(frozen=True)
class Architecture(Options):
    """Checked options of a network, with their defaults.

    Each option is an attribute of every model, an argument of its constructor and an entry of its
    file.
    """

    input_size: int = option(
        whole, doc="I, features of each step; with an embedding, the vocabulary."
    )
    hidden_size: int = option(whole, doc="H, hidden units.")
    output_size: int | tuple[int, ...] = option(
        whole_or_several, 1, "O, outputs, or their shape such as (steps ahead, channels)."
    )
    num_layers: int = option(partial(whole, most=MOST_LAYERS), 1, "Number of layers.")
    bidirectional: bool = option(flag, False, "True if each layer also reads in reverse.")
    dropout: float = option(
        partial(rate, below=1),
        0.0,
        "Probability with which `fit` sets an input of a layer above the first to zero.",
    )
    input_noise: float = option(
        rate, 0.0, "Standard deviation of the noise that `fit` adds to every input."
    )
    recurrent_noise: float = option(
        rate, 0.0, "Standard deviation of the noise that `fit` adds to every pre-activation."
    )
    readout_dropout: float = option(
        partial(rate, below=1),
        0.0,
        "Probability with which `fit` sets an output of the top layer to zero, for the read-out.",
    )
    skip: bool = option(
        flag, False, "True if the first features of a step are added to its outputs."
    )
    return_sequences: bool = option(flag, False, "True with an output after every step.")
    learn_initial_state: bool = option(
        flag, False, "True if the initial state is a parameter: h0, and c0 of the LSTM."
    )
    embedding_size: int | None = option(
        optional(whole), None, "E, size of the learned vectors, or None."
    )
    loss: str = option(
        partial(choice, options=LOSSES),
        "bce",
        'Loss that `fit` minimises: "bce", "cross_entropy", "mse", "huber", "mae", "poisson", '
        '"quantile", "gaussian" or "linear".',
    )
    loss_options: dict[str, Any] | None = option(
        as_it_is, None, "Options of the loss by name, or None for its defaults."
    )
    dtype: np.dtype = option(
        lambda name, value: real_dtype(value),
        "float32",
        "Dtype of the parameters and all arithmetic: float32 or float64.",
    )

    @classmethod
    def of(cls, arguments: dict[str, Any], model: type) -> Architecture:
        """Check arguments of a class of models, except those that only this class has.

        Raises
        ------
        TypeError, ValueError
            An unknown argument, or one of a wrong type or value.
        """
        names = [each.name for each in fields(cls)]
        for name in arguments:
            if name not in names:
                known = signature(model).parameters
                raise TypeError(
                    f"{model.__name__} has no argument {shown(name)}; it has {', '.join(known)}"
                    f"{hint(name, known, least=0.6)}"
                )
        loss = choice("loss", arguments.get("loss", cls.loss), LOSSES)
        chosen: Architecture = cls.checked(arguments, output_size=f"output_size for {loss}")
        if LOSSES[loss].takes_classes:
            whole(f"output_size for {loss}", chosen.output_size, LOSSES[loss].least_outputs)
        if chosen.skip:
            chosen.check_skip()
        return replace(chosen, loss_options=LOSSES[loss].checked(chosen.loss_options) or None)

    def check_skip(self) -> None:
        """Raise ValueError if there is nothing to add to the outputs of each step."""
        size, loss = self.output_size, LOSSES[self.loss]
        n = math.prod(size) if isinstance(size, tuple) else size
        if loss.logits_of_value(loss.flat_options(self.loss_options or {})) > 1:
            raise ValueError(f"skip is not for loss {self.loss}, which has several logits a value")
        if self.embedding_size or not self.return_sequences or self.input_size < n:
            raise ValueError(
                "skip adds the first features of a step to its outputs: it needs "
                f"return_sequences=True, no embedding_size and at least {n} features; got "
                f"input_size={self.input_size}, return_sequences={self.return_sequences}, "
                f"embedding_size={self.embedding_size}"
            )

    def network(self, cell: str, options: tuple[float, ...] = ()) -> Network:
        """Return the network of a cell; `options` are the cell's real-valued options."""
        loss = LOSSES[self.loss]
        loss_options = loss.flat_options(self.loss_options or {})
        size = self.output_size
        shape = size if isinstance(size, tuple) else (size,)
        return Network(
            cell=cell,
            dtype=self.dtype,
            input_size=self.input_size,
            hidden_size=self.hidden_size,
            output_size=math.prod(shape) * loss.logits_of_value(loss_options),
            loss=self.loss,
            layers=self.num_layers,
            directions=2 if self.bidirectional else 1,
            sequences=self.return_sequences,
            embedding=self.embedding_size or 0,
            learned_state=self.learn_initial_state,
            skip=self.skip,
            cell_options=options,
            loss_options=loss_options,
            output_shape=shape if isinstance(self.output_size, tuple) else (),
        )

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON values; those of `LATER` where they count."""
        chosen = {name: value for name, value in vars(self).items() if value or name not in LATER}
        return {**chosen, "dtype": self.dtype.name}


class NetworkOptions(TypedDict, total=False):
    """The keyword arguments of all models, for type checkers."""

    num_layers: int
    bidirectional: bool
    dropout: float
    input_noise: float
    recurrent_noise: float
    readout_dropout: float
    skip: bool
    return_sequences: bool
    learn_initial_state: bool
    embedding_size: int | None
    loss: str
    loss_options: dict[str, Any] | None
    dtype: Any
    initial: Any
    seed: Any
    learning_rate: float
