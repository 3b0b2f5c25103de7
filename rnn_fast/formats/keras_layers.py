"""Layers and cells that models have and Keras lacks.  This file imports Keras.

Keras finds them in a ``.keras`` file once this module is imported.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

serialisable = keras.saving.register_keras_serializable("rnn_fast")


@serialisable
def tanh(x: Any) -> Any:
    """Return tanh(x), of float64 in float64: Keras 3.15 computes it in float32 under JAX."""
    precise = keras.backend.standardize_dtype(x.dtype) == "float64"
    return 2 * ops.sigmoid(2 * x) - 1 if precise else ops.tanh(x)


def activation_of(name: str) -> Any:
    """Return Keras's activation, or `tanh` of this module in place of Keras's."""
    found = keras.activations.get(name)
    return tanh if found is keras.activations.tanh else found


@serialisable
class InitialState(keras.layers.Layer):
    """A learned state (H,), the same for each sequence of the input: (N, ...) to (N, H)."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units

    def build(self, shape: Any) -> None:
        """Make the state."""
        self.state = self.add_weight(shape=(self.units,), initializer="zeros", name="state")

    def call(self, x: Any) -> Any:
        """Return the state of each sequence."""
        return ops.broadcast_to(self.state, (ops.shape(x)[0], self.units))

    def compute_output_shape(self, shape: Any) -> tuple[int | None, int]:
        """Return (N, H)."""
        return shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "units": self.units}


class Cell(keras.layers.Layer):
    """A cell of G gates, whose pre-activations are ``x kernel + h recurrent_kernel + bias``."""

    gates = 1  #: G
    states = 1  #: h, or h and c

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.output_size = units
        self.state_size = [units] * self.states

    def build(self, shape: Any) -> None:
        """Make the weights: (I, G H), (H, G H) and (G H,)."""
        H, GH = self.units, self.gates * self.units
        self.kernel = self.add_weight(
            shape=(shape[-1], GH), initializer="glorot_uniform", name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(H, GH), initializer="orthogonal", name="recurrent_kernel"
        )
        self.bias = self.add_weight(shape=(GH,), initializer="zeros", name="bias")

    def sums(self, x: Any, h: Any) -> Any:
        """Return the pre-activations (N, G H)."""
        return ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "units": self.units}


@serialisable
class LeakyCell(Cell):
    """The unit of `LeakyRNN`, with its options."""

    def __init__(
        self,
        units: int,
        alpha: float,
        learn_alpha: bool = False,
        form: str = "rate",
        nonlinearity: str = "tanh",
        **options: Any,
    ) -> None:
        self.has_potential = form == "membrane"
        self.states = 2 if self.has_potential else 1
        super().__init__(units, **options)
        self.alpha, self.learn_alpha = alpha, learn_alpha
        self.form, self.nonlinearity = form, nonlinearity

    def build(self, shape: Any) -> None:
        """Make the weights, and with `learn_alpha` the leak (H,)."""
        super().build(shape)
        if self.learn_alpha:
            self.leak = self.add_weight(shape=(self.units,), initializer="zeros", name="leak")

    def call(self, x: Any, states: Any) -> Any:
        """Return h_t and the states."""
        f = activation_of(self.nonlinearity)
        alpha = ops.sigmoid(self.leak) if self.learn_alpha else self.alpha
        h, a = states[0], self.sums(x, states[0])
        if self.has_potential:
            c = states[1] + alpha * (a - states[1])
            h = f(c)
            return h, [h, c]
        h = h + alpha * (f(a) - h)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        names = ("alpha", "learn_alpha", "form", "nonlinearity")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@serialisable
class PeepholeLSTMCell(Cell):
    """The cell of an `LSTM` with peepholes (3, H) of i, f, o; gates i f g o."""

    gates, states = 4, 2

    def build(self, shape: Any) -> None:
        """Make the weights and the peepholes."""
        super().build(shape)
        self.peephole = self.add_weight(shape=(3, self.units), initializer="zeros", name="peephole")

    def call(self, x: Any, states: Any) -> Any:
        """Return h_t and the states."""
        h, c = states
        i, f, g, o = ops.split(self.sums(x, h), 4, axis=-1)
        p_i, p_f, p_o = self.peephole[0], self.peephole[1], self.peephole[2]
        i, f = ops.sigmoid(i + p_i * c), ops.sigmoid(f + p_f * c)
        c = f * c + i * tanh(g)
        h = ops.sigmoid(o + p_o * c) * tanh(c)
        return h, [h, c]
