"""The options of a network, which all models share."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ..cells.specs import CELLS
from ..layout.network import Network
from ..losses import LOSSES, LossName
from ..validation import (
    Dtype,
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..validation import Seed

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
    """Checked options of a network, with their defaults; `Described` has their meanings.

    Each option is an attribute of every model, an argument of its constructor and an entry of its
    file.
    """

    input_size: int = option(whole)
    hidden_size: int = option(whole)
    output_size: int | tuple[int, ...] = option(whole_or_several, 1)
    num_layers: int = option(partial(whole, most=MOST_LAYERS), 1)
    bidirectional: bool = option(flag, False)
    dropout: float = option(partial(rate, below=1), 0.0)
    input_noise: float = option(rate, 0.0)
    recurrent_noise: float = option(rate, 0.0)
    readout_dropout: float = option(partial(rate, below=1), 0.0)
    skip: bool = option(flag, False)
    return_sequences: bool = option(flag, False)
    learn_initial_state: bool = option(flag, False)
    embedding_size: int | None = option(optional(whole), None)
    loss: LossName = option(partial(choice, options=LOSSES), "bce")
    loss_options: dict[str, Any] | None = option(as_it_is, None)
    dtype: np.dtype = option(lambda name, value: real_dtype(value), "float32")

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
        """Return the network of a cell; `options` are values of its options, or none: defaults."""
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
            cell_options=options or tuple(value for _, value in CELLS[cell].options),
            loss_options=loss_options,
            output_shape=shape if isinstance(self.output_size, tuple) else (),
        )

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON values; those of `LATER` where they count."""
        chosen = {name: value for name, value in vars(self).items() if value or name not in LATER}
        return {**chosen, "dtype": self.dtype.name}


class Described:
    """The options of a model's network, as attributes that are read."""

    _architecture: Architecture

    @property
    def input_size(self) -> int:
        """I, features of each step; with an embedding, the vocabulary."""
        return self._architecture.input_size

    @property
    def hidden_size(self) -> int:
        """H, hidden units."""
        return self._architecture.hidden_size

    @property
    def output_size(self) -> int | tuple[int, ...]:
        """O, outputs, or their shape such as (steps ahead, channels)."""
        return self._architecture.output_size

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return self._architecture.num_layers

    @property
    def bidirectional(self) -> bool:
        """True if each layer also reads in reverse."""
        return self._architecture.bidirectional

    @property
    def dropout(self) -> float:
        """Probability with which `fit` sets an input of a layer above the first to zero."""
        return self._architecture.dropout

    @property
    def input_noise(self) -> float:
        """Standard deviation of the noise that `fit` adds to every input."""
        return self._architecture.input_noise

    @property
    def recurrent_noise(self) -> float:
        """Standard deviation of the noise that `fit` adds to every pre-activation."""
        return self._architecture.recurrent_noise

    @property
    def readout_dropout(self) -> float:
        """Probability with which `fit` sets an output of the top layer to zero."""
        return self._architecture.readout_dropout

    @property
    def skip(self) -> bool:
        """True if the first features of a step are added to its outputs."""
        return self._architecture.skip

    @property
    def return_sequences(self) -> bool:
        """True with an output after every step."""
        return self._architecture.return_sequences

    @property
    def learn_initial_state(self) -> bool:
        """True if the initial state is a parameter: h0, and c0 of the LSTM."""
        return self._architecture.learn_initial_state

    @property
    def embedding_size(self) -> int | None:
        """E, size of the learned vectors, or None."""
        return self._architecture.embedding_size

    @property
    def loss(self) -> LossName:
        """Loss that `fit` minimises, such as "bce"."""
        return self._architecture.loss

    @property
    def loss_options(self) -> dict[str, Any] | None:
        """Options of the loss by name, or None for its defaults."""
        return self._architecture.loss_options

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the parameters and all arithmetic: float32 or float64."""
        return self._architecture.dtype


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
    loss: LossName
    loss_options: Mapping[str, Any] | None
    dtype: Dtype
    initial: Mapping[str, Any] | None
    seed: Seed
    learning_rate: float
