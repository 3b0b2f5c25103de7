"""Recurrent layers as pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..data import checks
from ..data.sequences import read_lengths
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..models import stack
from ..validation import real_dtype, shown
from .autograd import like, run
from .recurrence import Layers

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Stack:
    """A stack of recurrent layers: a function of parameters and sequences.

    It computes as `rnn_fast.Stack`.  Parameters are a dict of arrays, with the names and shapes of
    ``rnn_fast.Stack(...).parameters``.

    Parameters
    ----------
    cell : str
        As of `rnn_fast.Stack`, such as "gru", "lstm" or "tanh".
    input_size, hidden_size : int
        I and H, at least 1.
    num_layers : int
    bidirectional : bool
        Whether each layer also reads in reverse.
    dropout : float
        Probability with which an input of a layer above the first is set to zero, in calls with
        a `key`.

    Raises
    ------
    TypeError, ValueError
        An option has a wrong type or value.
    """

    cell: str
    input_size: int
    hidden_size: int
    _: KW_ONLY
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check the options and keep plain values."""
        options = asdict(self)
        checked, _ = stack.Stack._network(options.pop("cell"), options)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def init(
        self, key: Array, dtype: Any = "float32", initial: Mapping[str, Any] | None = None
    ) -> dict[str, Array]:
        """Return random parameters.

        Parameters
        ----------
        key : jax.Array
            A key of `jax.random`.
        dtype : dtype
            float32, or with JAX's option ``jax_enable_x64`` also float64.
        initial : mapping of str to start, optional
            As of `rnn_fast.Stack`, whose default start this is.

        Raises
        ------
        TypeError, ValueError
            An argument has a wrong type or value.
        """
        dtype = real_dtype(dtype)
        if jax.dtypes.canonicalize_dtype(dtype) != dtype:
            raise ValueError(f"dtype {dtype} needs JAX's option jax_enable_x64")

        def drawn(seed: Any) -> dict[str, np.ndarray]:
            """Return parameters as bytes: JAX would round numbers as the callback's thread does."""
            options = {"dtype": dtype, "initial": initial, "seed": np.asarray(seed).tolist()}
            parameters = stack.Stack(**asdict(self), **options).parameters
            return {k: np.array(v)[..., None].view(np.uint8) for k, v in parameters.items()}

        shapes = {name: like(values) for name, values in drawn([0]).items()}
        seed = jax.random.bits(key, (4,), np.uint32)  # so few that no copy is waited for
        found = jax.pure_callback(drawn, shapes, seed, vmap_method="sequential")
        return {k: jax.lax.bitcast_convert_type(v, dtype) for k, v in found.items()}

    def __call__(
        self,
        params: Mapping[str, Any],
        x: Any,
        initial_state: Any = None,
        lengths: Any = None,
        key: Array | None = None,
    ) -> tuple[Array, Any]:
        """Return the outputs of N sequences and their final state.

        Parameters
        ----------
        params : mapping of str to array
            As of `init`.
        x : (N, T, I) array
            Of the dtype of the parameters.
        initial_state : (num_layers * D, N, H) array, or a pair of them, optional
            h, or for a cell with memory (h, c).  Default: zeros.
        lengths : (N,) array of integers, optional
            Steps of each sequence in 1 .. T, the first ones of its row.  Default: T.
        key : jax.Array, optional
            A key of `jax.random`, for dropout.  Default: no dropout.

        Returns
        -------
        outputs : (N, T, D H) array
            States h of the top layer, forward and reverse; zeros after a sequence's last step.
        state : array or pair of arrays
            After the last step, of reverse layers after step 0; in the form of `initial_state`.

        Raises
        ------
        TypeError, ValueError
            An argument has another form.  Lengths that JAX traces are checked as the compiled
            function runs; the error is then a `jax.errors.JaxRuntimeError`.
        NotImplementedError
            A gradient of a gradient is to be taken.
        """
        x = jnp.asarray(x)
        if x.dtype.name not in DTYPES:
            raise TypeError(f"x must be float32 or float64; got {x.dtype}")
        dropout = 0.0 if key is None else self.dropout
        layers = Layers(**{**asdict(self), "dropout": dropout})
        net = layers.network(x.dtype)
        checks.shape_of_sequences("x", x.shape, net)
        N, T, _ = x.shape
        outputs, final = run(
            layers,
            x,
            read_states(initial_state, N, net),
            read_parameters(params, net),
            read_steps(lengths, N, T),
            np.zeros(2, np.uint32) if key is None else jax.random.bits(key, (2,), np.uint32),
        )
        return outputs, final if net.states > 1 else final[0]


def read_states(value: Any, N: int, net: Network) -> tuple[Array, ...]:
    """Return the parts of a state, zeros in place of None."""
    shape = (net.runs, N, net.hidden_size)
    if value is None:
        return (jnp.zeros(shape, net.dtype),) * net.states
    parts = (value,) if net.states == 1 else value
    if not isinstance(parts, (tuple, list)) or len(parts) != net.states:
        raise TypeError(f"initial_state must be a pair (h, c) of arrays; got {shown(value)}")
    return tuple(read_array("initial_state", part, shape, net.dtype) for part in parts)


def read_parameters(params: Any, net: Network) -> tuple[Array, ...]:
    """Return parameters in the order of `parameter_views`."""
    views = parameter_views(np.empty(net.n_parameters, net.dtype), net)
    if not isinstance(params, Mapping) or params.keys() != views.keys():
        names = ", ".join(map(str, params)) if isinstance(params, Mapping) else shown(params)
        raise ValueError(f"params must be a dict of {', '.join(views)}; got {names}")
    return tuple(
        read_array(f"params[{name!r}]", params[name], view.shape, net.dtype)
        for name, view in views.items()
    )


def read_steps(lengths: Any, N: int, T: int) -> Any:
    """Return the lengths of sequences as int32, T in place of None."""
    if lengths is None:
        return np.full(N, T, np.int32)
    if isinstance(lengths, jax.core.Tracer):  # values are not known before they are used
        read_lengths(np.ones(lengths.shape, lengths.dtype), N, T)
        return lengths.astype(np.int32)
    return read_lengths(lengths, N, T).astype(np.int32)


def read_array(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Return an array of a shape, and of the dtype of x."""
    array = jnp.asarray(value)
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} must have shape {shape} and the dtype of x, {dtype}; got {array.shape}, "
            f"{array.dtype}"
        )
    return array
