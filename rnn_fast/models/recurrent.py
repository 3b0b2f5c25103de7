"""The models: simple RNN, leaky RNN, GRU and LSTM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import validation
from ..cells.specs.leaky import ALPHA, FORMS, Form, leak_of, leaky_name
from ..cells.specs.simple import NONLINEARITIES, Nonlinearity
from ..formats.flax import FlaxCell
from ..formats.keras import KerasLayer
from ..formats.pytorch import TorchLayer
from ..formats.rtneural import RTNeuralLayer
from ..layout.initialise import chrono
from ..layout.parameters import gate_rows
from .architecture import Architecture, NetworkOptions
from .base import Model
from .documented import documented

if TYPE_CHECKING:
    from typing_extensions import Unpack


CHRONO = "chrono"  #: start of forget biases by times


def _forget_bias(value: Any, dtype: np.dtype) -> tuple[float, Any]:
    """Return the longest time of a chrono start, or 0, and the bias otherwise.

    Raises
    ------
    TypeError, ValueError
        The value is neither a finite number nor a pair of "chrono" and a time above 2.
    """
    alone = isinstance(value, str) and value == CHRONO
    if not alone and not isinstance(value, (tuple, list)):
        bias = validation.finite("forget_bias", value)
        return 0.0, validation.fits("forget_bias", bias, dtype)
    if alone or len(value) != 2 or value[0] != CHRONO:
        raise ValueError(
            f"forget_bias must be a number, or ({CHRONO!r}, T) with the longest time T in steps; "
            f"got {validation.shown(value)}"
        )
    longest = validation.finite("T of forget_bias", value[1])
    if longest <= 2:
        raise ValueError(f"T of forget_bias must be above 2; got {validation.shown(value[1])}")
    return longest, 0.0


def sizes_of(
    input_size: int, hidden_size: int, output_size: int | tuple[int, ...]
) -> dict[str, Any]:
    """Return the sizes as options."""
    return {"input_size": input_size, "hidden_size": hidden_size, "output_size": output_size}


@documented
class SimpleRNN(Model):
    """A simple (Elman) recurrent network.

    ``h_t = f(Wxh x_t + Whh h_{t-1} + bh)``, with logits ``Why h_t + by`` after the last step or
    after every step.

    Parameters
    ----------
    nonlinearity : {"tanh", "relu"}
        f.
    COMMON
    ATTRIBUTES
    """

    cell = "rnn"
    flax_cell: ClassVar[FlaxCell | None] = FlaxCell("SimpleCell")
    keras_layer: ClassVar[KerasLayer | None] = KerasLayer(
        "SimpleRNN", options={"nonlinearity": "activation"}
    )
    torch_layer: ClassVar[TorchLayer | None] = TorchLayer("RNN", passes_on=("nonlinearity",))

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | tuple[int, ...] = 1,
        *,
        nonlinearity: Nonlinearity = "tanh",
        **options: Unpack[NetworkOptions],
    ) -> None:
        cell = validation.choice("nonlinearity", nonlinearity, NONLINEARITIES)
        sizes = sizes_of(input_size, hidden_size, output_size)
        super().__init__(cell, {"nonlinearity": cell}, **sizes, **options)

    @property
    def nonlinearity(self) -> Nonlinearity:
        """f: "tanh" or "relu"."""
        return self._arguments["nonlinearity"]


@documented
class LeakyRNN(Model):
    """A network of leaky units in continuous time, Euler's steps of dt, ``alpha = dt / tau``.

    Rate form: ``h_t = (1 - alpha) h_{t-1} + alpha f(Wxh x_t + Whh h_{t-1} + bh)``.  Membrane form:
    ``c_t = (1 - alpha) c_{t-1} + alpha (Wxh x_t + Whh h_{t-1} + bh)``, ``h_t = f(c_t)``.  Logits
    are ``Why h_t + by``.

    Parameters
    ----------
    alpha : float
        Length of a step over the unit's time constant, above 0 and at most 1; below 1 if it is
        learned.  0.2 is a step of 20 ms with a time constant of 100 ms.
    learn_alpha : bool
        Whether each unit learns its alpha, from `alpha` on.  It stays within 0 and 1, as the
        sigmoid of the parameter `leak`.
    form : {"rate", "membrane"}
        The state that leaks: the rate h (Yang et al., 2019), or the potential c (Song et al.,
        2016).  In the membrane form states are a pair (h, c), as the LSTM's: the rate that Whh
        meets and the potential.
    nonlinearity : {"tanh", "relu"}
        f.
    COMMON
    ATTRIBUTES
    leak : ndarray, (H,)
        With `learn_alpha`, log(alpha / (1 - alpha)) of each unit.
    """

    cell = "leaky"
    keras_layer = KerasLayer(
        "LeakyCell",
        options={name: name for name in ("alpha", "learn_alpha", "form", "nonlinearity")},
        vectors=("leak",),
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | tuple[int, ...] = 1,
        *,
        alpha: float = ALPHA,
        learn_alpha: bool = False,
        form: Form = "rate",
        nonlinearity: Nonlinearity = "tanh",
        **options: Unpack[NetworkOptions],
    ) -> None:
        learns = validation.flag("learn_alpha", learn_alpha)
        alpha = validation.above_zero("alpha", alpha)
        if alpha > 1 or (learns and alpha == 1):
            allowed = "below 1 if it is learned" if learns else "at most 1"
            raise ValueError(f"alpha must be {allowed}; got {validation.shown(alpha)}")
        form = validation.choice("form", form, FORMS)
        f = validation.choice("nonlinearity", nonlinearity, NONLINEARITIES)
        arguments = {"alpha": alpha, "learn_alpha": learns, "form": form, "nonlinearity": f}
        sizes = sizes_of(input_size, hidden_size, output_size)
        cell, fixed = leaky_name(form, f, learns), () if learns else (alpha,)
        super().__init__(cell, arguments, cell_options=fixed, **sizes, **options)
        for name, view in self._views.items():
            if name.partition("_")[0] == "leak":
                view[...] = leak_of(alpha)

    @property
    def alpha(self) -> float:
        """Length of a step over the unit's time constant; if it is learned, where it started."""
        return self._arguments["alpha"]

    @property
    def learn_alpha(self) -> bool:
        """True if each unit learns its alpha."""
        return self._arguments["learn_alpha"]

    @property
    def form(self) -> Form:
        """The state that leaks: "rate" or "membrane"."""
        return self._arguments["form"]

    @property
    def nonlinearity(self) -> Nonlinearity:
        """f: "tanh" or "relu"."""
        return self._arguments["nonlinearity"]


@documented
class GRU(Model):
    """A network of gated recurrent units (Cho et al., 2014), gates r z n.

    ``r, z = sigmoid(Wx x_t + b + Wh h_{t-1})``, ``n = tanh(Wxn x_t + bn + r (Whn h_{t-1} + bhn))``,
    ``h_t = (1 - z) n + z h_{t-1}``, as in PyTorch.

    Parameters
    ----------
    reset_after : bool
        Whether r multiplies the product with h_{t-1}.  Otherwise it multiplies h_{t-1}, as in the
        paper: ``n = tanh(Wxn x_t + bn + Whn (r h_{t-1}))``, without bhn.
    COMMON
    ATTRIBUTES
    bhn : ndarray, (H,)
        Second bias of n, with `reset_after`.
    """

    cell = "gru"
    flax_cell: ClassVar[FlaxCell | None] = FlaxCell(
        "GRUCell", gates=("r", "z", "n"), second_bias=(2, "bhn"), needs={"reset_after": True}
    )
    keras_layer: ClassVar[KerasLayer | None] = KerasLayer(
        "GRU",
        order=(1, 0, 2),  # z r h
        options={"reset_after": "reset_after"},
        fixed={"activation": "tanh", "recurrent_activation": "sigmoid"},
        second_bias=(2, "bhn"),
    )
    torch_layer: ClassVar[TorchLayer | None] = TorchLayer(
        "GRU", needs={"reset_after": True}, second_bias=("n", "bhn")
    )
    rtneural_layer = RTNeuralLayer("gru", gates="zrn")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | tuple[int, ...] = 1,
        *,
        reset_after: bool = True,
        **options: Unpack[NetworkOptions],
    ) -> None:
        reset_after = validation.flag("reset_after", reset_after)
        sizes = sizes_of(input_size, hidden_size, output_size)
        cell = "gru" if reset_after else "gru_before"
        super().__init__(cell, {"reset_after": reset_after}, **sizes, **options)

    @property
    def reset_after(self) -> bool:
        """True if r multiplies the product with h_{t-1}, False if it multiplies h_{t-1}."""
        return self._arguments["reset_after"]


@documented
class LSTM(Model):
    """A network of long short-term memory (Hochreiter and Schmidhuber, 1997), gates i f g o.

    ``i, f, o = sigmoid(...)``, ``g = tanh(...)`` of ``Wxh x_t + bh + Whh h_{t-1}``,
    ``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)``, as in PyTorch.

    Parameters
    ----------
    peepholes : bool
        Whether i and f also see ``p c_{t-1}``, and o ``p c_t`` (Gers et al., 2002).
    forget_bias : float, or ("chrono", float)
        Initial bias of f; with 1, a cell remembers from the start (Jozefowicz et al., 2015).  With
        ("chrono", T), T > 2, the cells' memories last for 1 to T steps: the bias of f is log(u), u
        uniform in [1, T - 1], and that of i is its negative (Tallec and Ollivier, 2018).
    COMMON
    ATTRIBUTES
    peephole : ndarray, (3, H)
        p of i, f, o.
    """

    cell = "lstm"
    flax_cell: ClassVar[FlaxCell | None] = FlaxCell(
        "LSTMCell", gates=("i", "f", "g", "o"), bias="h", needs={"peepholes": False}
    )
    keras_layer: ClassVar[KerasLayer | None] = KerasLayer(
        "LSTM",
        order=(0, 1, 2, 3),  # i f c o
        fixed={"activation": "tanh", "recurrent_activation": "sigmoid"},
        vectors=("peephole",),
        cell_with=("peepholes", "PeepholeLSTMCell"),
    )
    torch_layer: ClassVar[TorchLayer | None] = TorchLayer("LSTM", needs={"peepholes": False})
    rtneural_layer = RTNeuralLayer("lstm", gates="ifgo")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | tuple[int, ...] = 1,
        *,
        peepholes: bool = False,
        forget_bias: float | tuple[str, float] = 1.0,
        **options: Unpack[NetworkOptions],
    ) -> None:
        peepholes = validation.flag("peepholes", peepholes)
        dtype = validation.real_dtype(options.get("dtype", Architecture.dtype))
        longest, bias = _forget_bias(forget_bias, dtype)
        sizes = sizes_of(input_size, hidden_size, output_size)
        cell = "lstm_peephole" if peepholes else "lstm"
        super().__init__(cell, {"peepholes": peepholes}, **sizes, **options)
        for name, view in self._views.items():
            if name.partition("_")[0] == "bh":
                if longest:
                    bias = chrono(self.hidden_size, longest, self._generator)
                    view[gate_rows(self._net, "i")] = -bias
                view[gate_rows(self._net, "f")] = bias

    @property
    def peepholes(self) -> bool:
        """True if i, f and o also see c."""
        return self._arguments["peepholes"]
