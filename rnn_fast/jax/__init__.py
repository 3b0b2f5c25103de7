"""Recurrent layers for JAX on the CPU, computed by rnn_fast.

They need JAX, which ``pip install 'rnn_fast[jax]'`` brings.
"""

from .._optional import extra

extra("jax", "jax")

from .layers import Stack  # noqa: E402

__all__ = ["Stack"]
