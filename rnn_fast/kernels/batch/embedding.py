"""The gradient and the update of an embedding."""

from __future__ import annotations

from ...jit import kernel


@kernel
def add_embedding_gradient(sizes, job, order, n, window, gradient):
    """Add the gradients of n samples' inputs (n, T, E) to the rows of their tokens, in order."""
    E = sizes.embedding
    for i in range(n):
        sample = order[i]
        length = min(job.lengths[sample] - window, sizes.T)
        tokens = job.tokens + (job.starts[sample] + window)
        for t in range(length):
            row, dx = gradient + tokens[t] * E, job.dtokens + (i * sizes.T + t) * E
            for q in range(E):
                row[q] += dx[q]


@kernel
def update_embedding(sizes, job, order, n, window, rate):
    """Clear the gradients of the tokens seen; of a sparse update, descend along them first.

    Only a plain step is sparse (`Optimizer.is_plain`).
    A row's gradient is cleared right after its update: a token seen twice counts once, and the next
    batch starts from zeros.
    """
    E = sizes.embedding
    for i in range(n):
        sample = order[i]
        length = min(job.lengths[sample] - window, sizes.T)
        tokens = job.tokens + (job.starts[sample] + window)
        for t in range(length):
            row = sizes.embedding_at + tokens[t] * E
            for q in range(row, row + E):
                if job.sparse:
                    job.parameters[q] -= rate * job.gradients[q]
                job.gradients[q] = 0.0
