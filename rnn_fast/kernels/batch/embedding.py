"""The gradient and the update of an embedding."""

from __future__ import annotations

from ...jit import kernel


@kernel
def add_embedding_gradient(sizes, data, first, n, window, dx, gradient):
    """Add the gradient by the input of samples (n, T, E) to the rows of their tokens, in order."""
    E = sizes.embedding
    for i in range(n):
        sample = data.order[first + i]
        length = min(data.lengths[sample] - window, sizes.T)
        tokens = data.tokens + (data.starts[sample] + window)
        for t in range(length):
            row, own = gradient + tokens[t] * E, dx + (i * sizes.T + t) * E
            for q in range(E):
                row[q] += own[q]


@kernel
def update_embedding(sizes, data, n, window, parameters, gradients, rate, alone):
    """A step of descent on the rows of the tokens seen, if they `alone` are updated.

    A row's gradient is cleared behind it, so that a token seen twice counts once, and the next
    batch starts from zeros.
    """
    E = sizes.embedding
    for i in range(n):
        sample = data.order[i]
        length = min(data.lengths[sample] - window, sizes.T)
        tokens = data.tokens + (data.starts[sample] + window)
        for t in range(length):
            row = sizes.embedding_at + tokens[t] * E
            for q in range(row, row + E):
                if alone:
                    parameters[q] -= rate * gradients[q]
                gradients[q] = 0.0
