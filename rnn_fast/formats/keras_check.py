"""The loss of a Keras model, and its comparison with ours that was read from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._optional import extra
from ..losses import LOSSES
from ..validation import shown
from .keras import HEADS, PLAIN, array_of

N, T = 3, 5  #: sequences and steps by which models are compared


def loss_of(activation: str, loss: str | None) -> str:
    """Return the loss for a head's activation, `loss` if the activation allows it.

    Raises
    ------
    ValueError
        The activation is of another loss.
    """
    own = HEADS[activation]
    if loss is None or loss == own:
        return own
    if activation != PLAIN:
        raise ValueError(f"a head with activation={activation} has loss {own}; got {shown(loss)}")
    return loss


def check_computes(source: Any, model: Any, activation: str) -> None:
    """Compare a Keras model with ours on random sequences, without dropout.

    Raises
    ------
    ValueError
        They compute something else.
    """
    why = _difference(source, model, activation)
    if why is not None:
        raise ValueError(
            f"model: {type(source).__name__} does more than its layers: {why}. To take over the "
            "layers alone, pass a list of them"
        )


def _difference(source: Any, model: Any, activation: str) -> str | None:
    """Say how the results of a Keras model and of ours differ, or None."""
    keras = extra("keras", "keras")
    if isinstance(source, (list, tuple)):
        source = keras.Sequential(list(source))
    inputs, draws = getattr(source, "inputs", None) or [None], np.random.default_rng(0)
    if len(inputs) > 1:
        return f"it has {len(inputs)} inputs"
    shape = (N, T) if inputs[0] is None else tuple(inputs[0].shape[:2])
    shape = tuple(n or m for n, m in zip(shape, (N, T), strict=True))
    if model.embedding_size:
        x = draws.integers(0, model.input_size, shape)
    else:
        x = draws.standard_normal((*shape, model.input_size)).astype(model.dtype)
    expected = model.decision_function(x)
    if HEADS[activation] == model.loss:
        expected = LOSSES[model.loss].activation(expected)
    try:
        found = source(keras.ops.convert_to_tensor(x), training=False)
    except Exception as error:  # of any code that a call may have
        return f"it fails for an array of shape {x.shape} ({error!s:.200})"
    if isinstance(found, (list, tuple, dict)):
        return f"it returns a {type(found).__name__}"
    found, rows = array_of(found), expected.shape[: 1 + model.return_sequences]
    if found.shape not in (expected.shape, (*rows, model._net.output_size)):
        return f"it returns {found.shape} where they give {expected.shape}"
    found = found.reshape(expected.shape)
    if not np.allclose(found, expected, rtol=1e-4, atol=1e-5):
        return f"it differs from theirs by {float(np.abs(found - expected).max()):.2g}"
    return None
