"""Recurrent layers without a head: the part of a model that others build on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .. import validation
from ..cells.specs import CELLS
from ..engine.chance import Chance
from ..layout.initialise import initialise
from ..layout.network import Network
from .architecture import Architecture
from .exported import OPSET
from .gradients import Differentiable
from .jacobian import Linearised
from .states import Hidden
from .summary import Summarised
from .weights import Weights, parameter_memory

if TYPE_CHECKING:
    import onnx

    from ..validation import Dtype, Seed


class Stack(Differentiable, Hidden, Linearised, Summarised, Weights):
    """A stack of recurrent layers, whose outputs are the states of the top layer.

    The layers of a model, for a head, a loss and an optimizer of your own: `vjp` gives outputs
    and gradients, `states` the states of all layers.

    Parameters
    ----------
    cell : str
        A cell: "tanh", "relu", "gru", "gru_before", "lstm", "lstm_peephole", or one that was
        registered.
    input_size, hidden_size : int
        I and H, at least 1; with an embedding, I is the size of the vocabulary.
    num_layers, bidirectional, dropout, learn_initial_state, embedding_size, dtype, initial
        As of `GRU`.  Biases start at zero, also an LSTM's of the forget gate.
    seed : None, int, SeedSequence, Generator, ...
        As for `numpy.random.default_rng`: draws the initial parameters, then dropout.

    Attributes
    ----------
    Wxh, Whh, bh, ... : ndarray
        Parameters, named as of a model.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        embedding_size: int | None = None,
        dtype: Dtype = "float32",
        initial: Mapping[str, Any] | None = None,
        seed: Seed = None,
    ) -> None:
        self.cell: str = cell
        options = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "bidirectional": bidirectional,
            "dropout": dropout,
            "learn_initial_state": learn_initial_state,
            "embedding_size": embedding_size,
            "dtype": dtype,
        }
        self._options, self._net = self._network(cell, options)
        self._generator = validation.generator(seed)
        self._bind(parameter_memory(self._net))
        initialise(self._views, self._net, self._generator, initial)

    @classmethod
    def _network(cls, cell: str, options: dict[str, Any]) -> tuple[dict[str, Any], Network]:
        """Return the checked options and the network."""
        cell = validation.choice("cell", cell, CELLS)
        arguments = {**options, "return_sequences": True, "loss": "linear"}
        chosen = Architecture.of(arguments, cls)
        net: Network = chosen.network(cell)._replace(output_size=0)
        return {name: getattr(chosen, name) for name in options}, net

    def to_onnx(
        self,
        path: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        lengths: bool = False,
        states: bool = False,
        opset: int = OPSET,
    ) -> onnx.ModelProto:
        """Return the layers as a graph of ONNX, whose output `outputs` is (N, T, D H).

        As `Model.to_onnx`, where the parameters are described.
        """
        from ..formats.onnx import export

        record = {"stack": {"cell": self.cell, **self._options, "dtype": self.dtype.name}}
        options = {"lengths": lengths, "states": states, "opset": opset}
        return export(self._net, self._views, record, path, output="decision_function", **options)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the parameters and all arithmetic: float32 or float64."""
        return self._net.dtype

    @property
    def _chance(self) -> Chance:
        return Chance(dropout=self.dropout)

    @property
    def dropout(self) -> float:
        """Probability with which an input of a layer above the first is set to zero."""
        return self._options["dropout"]

    def to_c(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Write the layers as one header in C99, whose outputs are the states of the top layer.

        As `GRU.to_c`.
        """
        from ..formats.c import write_c

        write_c(path, name, f"Stack of {self.cell}", self._net, self._flat, "decision_function")

    def __repr__(self) -> str:
        options = {**self._options, "dtype": self.dtype.name}
        shown = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return f"<Stack({self.cell!r}, {shown}) with {self._flat.size} parameters>"
