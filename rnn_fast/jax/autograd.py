"""The recurrence as a function that JAX differentiates, in reverse and once."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

from . import recurrence
from .foreign import register, wait_at_exit
from .recurrence import Layers

TARGET = "rnn_fast.jax, which is for the CPU"  #: XLA's error on another backend says this
KINDS = {"forward": recurrence.forward, "backward": recurrence.backward}


def compute(text: str, arguments: list[np.ndarray], results: list[np.ndarray]) -> None:
    """Write results from arguments; the text has a key of `KINDS`, then `Layers`."""
    function, layers = read(text)
    function(layers, arguments, results)


@functools.lru_cache(256)
def read(text: str) -> tuple[Callable[..., None], Layers]:
    """Return what a text of `call` says."""
    kind, *layers = json.loads(text)
    return KINDS[kind], Layers(*layers)


register(TARGET, compute)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def call(kind: str, layers: Layers, results: Any, arguments: tuple[Array, ...]) -> Any:
    """Return what a function of `KINDS` writes, in arrays of the shapes and dtypes of `results`."""
    wait_at_exit()
    function = jax.ffi.ffi_call(TARGET, results, vmap_method="sequential")
    return function(*arguments, text=json.dumps([kind, *layers]))


@call.defjvp
def _refuse(*_: Any) -> Any:
    raise NotImplementedError("layers of rnn_fast.jax have no gradients of gradients")


def like(array: Any) -> jax.ShapeDtypeStruct:
    """Return the shape and the dtype of an array."""
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def run(
    layers: Layers,
    x: Array,
    states: tuple[Array, ...],
    parameters: tuple[Array, ...],
    lengths: Array,
    seed: Array,
) -> tuple[Array, tuple[Array, ...]]:
    """Return the outputs (N, T, D H) and the final states; for the arguments see `Inputs`."""
    arguments = (x, *states, *parameters, lengths, seed)
    outputs, *final = call("forward", layers, result_shapes(layers, x, states), arguments)
    return outputs, tuple(final)


def result_shapes(layers: Layers, x: Array, states: tuple[Array, ...]) -> tuple[Any, ...]:
    """Return the shapes and dtypes of the outputs and the final states."""
    outputs = layers.network(x.dtype).outputs
    return jax.ShapeDtypeStruct((*x.shape[:2], outputs), x.dtype), *map(like, states)


def _forward(layers: Layers, *arguments: Any) -> Any:
    x, states, parameters, *fixed = arguments
    N, T, _ = x.shape
    n = recurrence.n_kept(layers, N, T, x.dtype)
    shapes = (*result_shapes(layers, x, states), jax.ShapeDtypeStruct((n,), x.dtype))
    outputs, *final, kept = call("forward", layers, shapes, (x, *states, *parameters, *fixed))
    return (outputs, tuple(final)), (kept, *arguments)


def _backward(layers: Layers, residuals: Any, cotangents: Any) -> Any:
    kept, x, states, parameters, *fixed = residuals
    doutputs, dfinal = cotangents
    n, shapes = len(states), tuple(map(like, (x, *states, *parameters)))
    arguments = (doutputs, *dfinal, kept, x, *states, *parameters, *fixed)
    dx, *others = call("backward", layers, shapes, arguments)
    return dx, tuple(others[:n]), tuple(others[n:]), *(None for _ in fixed)


run.defvjp(_forward, _backward)
