"""The base class of all models: one flat vector of parameters, training, prediction, files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import validation
from ..cells.specs import CELLS
from ..engine.chance import Chance
from ..engine.evaluation import Evaluation
from ..layout.constraints import Bounds
from ..layout.initialise import initialise
from ..training.fit_stream import StreamLearner
from ..training.online import Online
from ..training.turn import Turn
from .architecture import Architecture
from .constraints import Constrained
from .exported import Exported
from .gradients import Differentiable
from .jacobian import Linearised
from .predict import Predictor
from .states import Hidden
from .summary import Summarised
from .weights import Weights, parameter_memory

if TYPE_CHECKING:
    from ..formats.flax import FlaxCell
    from ..formats.keras import KerasLayer
    from ..formats.pytorch import TorchLayer
    from ..formats.rtneural import RTNeuralLayer
    from ..validation import Seed

#: options that a model's repr shows even at their defaults
SHOWN = ("output_size", "loss", "dtype")


class Model(
    StreamLearner,
    Predictor,
    Differentiable,
    Hidden,
    Linearised,
    Exported,
    Constrained,
    Summarised,
    Weights,
):
    """The base class of `SimpleRNN`, `LeakyRNN`, `GRU`, `LSTM` and `Recurrent`.

    Data are array-likes of any real dtype and memory layout.  They are never modified.  X is
    (N, T, I), or integers (N, T) with an embedding.  y is (N, O), or (N,) if there is one target
    per sample; see `fit`.  Results for N sequences and one output are (N,).

    Sequences of different lengths are a list of (T_i, I) arrays, or one padded array with
    `lengths`.  Each sequence is computed as if it were alone, and the padding may hold any values.
    With ``return_sequences=True`` there is an output after every step: y and the results are
    (N, T, O) or (N, T), or lists if X is a list.

    States have PyTorch's form: (num_layers * directions, N, H), for the LSTM and the membrane form
    of `LeakyRNN` a pair (h, c).

    Methods raise TypeError for arguments of the wrong type, including masked arrays, and
    ValueError for wrong shapes and values.  The message names the argument and, for a value, its
    index.  Data with NaN or infinity raise ValueError; ``check_finite=False`` skips this check.

    One thread at a time may train a model: a second one gets a RuntimeError.  Others may predict
    meanwhile, by parameters that an update may be writing.  `forward` and `backward` are for one
    thread.  A model can be pickled and copied, except the input of the last `forward`.
    """

    cell: ClassVar[str]  #: name in files and on the command line
    flax_cell: ClassVar[FlaxCell | None] = None  #: None: Flax has no such cell
    keras_layer: ClassVar[KerasLayer | None] = None  #: None: Keras has no such layer
    rtneural_layer: ClassVar[RTNeuralLayer | None] = None  #: None: RTNeural has no such layer
    torch_layer: ClassVar[TorchLayer | None] = None  #: None: PyTorch has no such layer
    _made = (*Weights._made, "_online", "_evaluation", "_updates", "_turn", "_bounds")

    def __init__(
        self,
        cell: str,
        arguments: dict[str, Any],
        *,
        cell_options: tuple[float, ...] = (),
        initial: Mapping[str, Any] | None = None,
        seed: Seed = None,
        learning_rate: float = 0.01,
        **options: Any,
    ) -> None:
        """Make a model of a cell; `arguments` are the options that only its class has.

        `cell_options` are values of the cell's options, in its order.
        """
        self._architecture = Architecture.of(options, type(self))
        self._arguments = arguments
        self._net = net = self._architecture.network(cell, cell_options)
        if self._architecture.recurrent_noise and len(CELLS[cell].rows) > 1:
            raise ValueError(
                f"recurrent_noise is for cells with one pre-activation; {type(self).__name__} has "
                f"{len(CELLS[cell].rows)} rows"
            )
        self._generator = validation.generator(seed)
        self.learning_rate = learning_rate
        self._bind(parameter_memory(net))
        initialise(self._views, net, self._generator, initial)

    def _bind(self, flat: np.ndarray) -> None:
        """Use `flat` as the vector of parameters."""
        super()._bind(flat)
        self._online = Online(self._net, flat)
        self._evaluation = Evaluation(self._net, flat)
        self._turn = Turn()
        self.__dict__.pop("_updates", None)
        self._set_constraints(self.__dict__.get("_constraints", {}))

    def _bound_by(self, bounds: Bounds | None) -> None:
        self._bounds = bounds
        self._online.constrain(bounds)
        if "_updates" in self.__dict__:
            self._updates.bounds = bounds

    @property
    def _chance(self) -> Chance:
        chosen = self._architecture
        return Chance(*(getattr(chosen, name) for name in Chance._fields))

    def _shown(self) -> None:
        self._online.stale = True

    # ------------------------------------------------------------------------------ attributes

    @property
    def learning_rate(self) -> float:
        """Step size of `backward`, and the default of `fit`; in a callback that of the `fit`."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        number = validation.rate("learning_rate", value)
        self._learning_rate = validation.fits("learning_rate", number, self.dtype)

    # ---------------------------------------------------------------- the tutorial's interface

    def forward(self, x: Any) -> np.ndarray:
        """Return the outputs, without dropout, and keep the input for `backward`.

        Parameters
        ----------
        x : array-like
            One sequence (T, I) or, as columns, (T, I, 1); or a batch (B, T, I).  With an embedding
            (T,) or (B, T).  An array (n, 1, 1) with I = 1 is one sequence, not a batch.

        Returns
        -------
        ndarray of float64, whatever the model's dtype
            Scripts continue with NumPy, which takes twice as long if dtypes are mixed.
            (O,), or (O, 1) for columns, or (B, O) for a batch; with an axis T before O if there is
            an output after every step.  Probabilities for bce (sigmoid) and cross_entropy
            (softmax), otherwise values.
        """
        return self._online.forward(x)

    def backward(self, y: Any) -> None:
        """Make one step of gradient descent after `forward`: exact BPTT, at `learning_rate`.

        The step follows the gradient of the mean loss of the batch, with respect to the current
        parameters: if they were read, assigned or trained after `forward`, the forward pass is
        repeated.  Only a write to a view that was taken before `forward` is not noticed.

        Parameters
        ----------
        y : array-like
            Targets as in `fit`, without N for one sequence: (O,) or (O, 1), or a number; (T, O) or
            (T,) for an output after every step.

        Raises
        ------
        RuntimeError
            `forward` was not called.
        """
        self._online.backward(y, self._learning_rate)

    # ------------------------------------------------------------------ files, copies, display

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the architecture, learning rate and parameters to a file, for `rnn_fast.load`.

        The file does not contain the state of the random generator.  An existing file is replaced
        at once or, after an OSError, unchanged.
        """
        from ..saving import model_file

        model_file.write(path, self.description(), self._views)

    def description(self) -> dict[str, Any]:
        """Return the cell, the arguments and the constraints of such a model, as JSON values."""
        options = {**self._architecture.arguments(), "learning_rate": self.learning_rate}
        kept = {name: said.record() for name, said in self._constraints.items()}
        constraints = {"constraints": kept} if kept else {}
        return {"cell": self.cell, **options, **self._arguments, **constraints}

    def __repr__(self) -> str:
        chosen = self._architecture
        hidden = tuple(
            each.name
            for each in fields(chosen)
            if each.name not in SHOWN and getattr(chosen, each.name) == each.default
        )
        options = {**chosen.arguments(), "learning_rate": self.learning_rate, **self._arguments}
        shown = {k: v for k, v in options.items() if k not in hidden}
        arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"<{type(self).__name__}({arguments}) with {self._flat.size} parameters>"
