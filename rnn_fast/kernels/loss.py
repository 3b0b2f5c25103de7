"""The program of a loss, and calls of it.

The drivers call it by its address, so that each of their programs exists once for all losses.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import int64

from ..jit import kernel
from ..layout.loss import LossJob
from ..losses.kernels import loss_and_gradient, marker_of, outputs
from ..simd import Shape, call_program, exists, on_stack, typed_view


@kernel
def compare(job, logits, buffers, scale, lanes, O):
    """Losses of samples in lanes; the gradient, times `scale`, takes the place of the logits.

    The job names the program, and the loss's numbers.  ``buffers`` has ``targets``, ``weights``,
    ``losses`` and ``hits`` of a `LossJob`.
    """
    record = LossJob(
        numbers=job.loss,
        logits=logits,
        targets=buffers.targets,
        weights=buffers.weights,
        losses=buffers.losses,
        hits=buffers.hits,
        scale=scale,
        lanes=lanes,
        O=O,
        outputs=int64(0),
    )
    call_program(job.evaluate, on_stack(record))


@kernel
def put_out(job, logits, out, O):
    """Write the outputs (O,) of the logits in lane 0."""
    nothing = int64(0)
    record = LossJob(
        numbers=job.loss,
        logits=logits,
        targets=nothing,
        weights=nothing,
        losses=nothing,
        hits=nothing,
        scale=0.0,
        lanes=nothing,
        O=O,
        outputs=out,
    )
    call_program(job.evaluate, on_stack(record))


def loss(dtype: str, loss_name: str, numbers: int) -> Callable:
    """A loss of samples in vectors of so many numbers."""
    chosen, shape = marker_of(loss_name), Shape(dtype, 1, 1, numbers)

    def program(record):
        """Do what the `LossJob` says."""
        job = typed_view(LossJob, record, shape)
        if exists(job.outputs):
            outputs(chosen, job.logits, job.outputs, job.O)
        else:
            loss_and_gradient(chosen, job)

    return program
