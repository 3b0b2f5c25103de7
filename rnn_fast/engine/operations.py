"""The operations on a network: loss and gradients, logits; `epochs` has the training.

Nothing here imports Numba.  Callers have checked every array: shapes fit, arrays are C-contiguous
and of the network's dtype.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..data.rows import Sequences, Targets
from ..errors import CompilerMissing
from ..jit import Program
from ..layout.batch_records import MEASURED, Sums
from ..layout.network import Network
from ..layout.stages import Wanted
from ..tuning import TUNING
from .chance import Noise
from .loss import loss_fields
from .plain import demand_compiler
from .threads import Team
from .tiling import runs_in_units
from .workspace import BatchSpace, Spaces, UnitSpace, spaces

BATCH_EPOCH = Program("rnn_fast.kernels.batch.program", "batch_epoch", job="integers")
PREDICTIONS = Program("rnn_fast.kernels.batch.program", "predictions", job="integers")
UNIT_EPOCH = Program("rnn_fast.kernels.units.program", "unit_epoch", job="integers")
UNIT_PREDICTIONS = Program("rnn_fast.kernels.units.program", "unit_predictions", job="integers")
SINGLE_EPOCH = Program("rnn_fast.kernels.single.program", "single_epoch", job="integers")


class Epoch(NamedTuple):
    """Measures of an epoch."""

    loss: float  #: weighted mean over the samples
    correct: float  #: weighted share of samples that were right; for values the mean squared error
    finite: bool  #: False: the loss of a batch was not finite, and the epoch ended before it
    penalty: float = 0.0  #: mean over the updates of the terms of l1 and l2


# ---------------------------------------------------------------------------------- operations


def by_length(order: np.ndarray, lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """Return `order` with the samples of each batch sorted, long ones first.

    The sequences of a block of lanes then have similar lengths, and the work is proportional to
    the sum of the lengths.
    """
    own = lengths[order]
    if not len(own) or (own == own[0]).all():
        return order
    return order[np.lexsort((-own, np.arange(len(order)) // batch_size))]


#: numbers that an epoch sums up
RESULTS = len(Sums._fields)


def reported(result: np.ndarray) -> Epoch:
    """The means of what an epoch has summed up."""
    loss, hits, weight, penalty, updates, *_ = result.tolist()  # as `Sums` has them
    weight = weight or 1.0
    return Epoch(loss / weight, hits / weight, math.isfinite(loss), penalty / (updates or 1.0))


def reported_each(results: np.ndarray) -> dict[str, np.ndarray]:
    """Return the numbers of `reported` for each row of (n, RESULTS), by name: (n,) each."""
    loss, hits, weight, penalty, updates = results[:, :5].T
    weight, updates = (np.where(counts == 0, 1.0, counts) for counts in (weight, updates))
    return {"loss": loss / weight, "correct": hits / weight, "penalty": penalty / updates}


def rows(net: Network, data: Sequences) -> dict[str, Any]:
    """Field of a `BatchJob` for rows of numbers, or for tokens."""
    return {"tokens" if net.embedding else "x": data.x}


def inputs(net: Network, data: Sequences) -> dict[str, Any]:
    """Fields of a `BatchJob` for sequences of numbers or of tokens."""
    return {**rows(net, data), "starts": data.starts, "lengths": data.lengths}


def wanted_layer(net: Network, layer: int) -> np.ndarray:
    """Return the table of a layer's h, for `BatchJob.wanted`: (D, 3) int64.

    Columns are h of each direction, H each.
    """
    H, D = net.hidden_size, net.directions
    rows = [Wanted(run=layer * D + d, state=0, column=d * H) for d in range(D)]
    return np.array(rows, np.int64)


def hidden_fields(out: np.ndarray, table: np.ndarray) -> dict[str, Any]:
    """Fields of a `BatchJob` for states after each step, written to rows of `out`."""
    step = out.shape[-1]
    return {"hidden": out, "hidden_step": step, "wanted": table, "n_wanted": len(table)}


def compared(space: Any, net: Network, targets: Targets | None) -> dict[str, Any]:
    """Fields of a job on a space for targets and the loss; of None, none."""
    if targets is None:
        return {}
    y, weights, skips = targets
    return {"y": y, "weights": weights, **loss_fields(space, net, skips)}


def epoch_space(
    spaces: Spaces, net: Network, T: int, batch: int, moments: int = 0, **options: bool
) -> tuple[Any, Program]:
    """Return work memory to train in batches, and the program of the driver that uses it.

    `moments` are the rows of the optimizer's state.
    """
    if runs_in_units(net, T, batch):
        options.pop("keeps", None)  # it always does
        return spaces.get(UnitSpace, net, T, batch, moments, **options), UNIT_EPOCH
    return spaces.get(BatchSpace, net, T, batch, **options), BATCH_EPOCH


def prediction_space(spaces: Spaces, net: Network, T: int, n: int) -> Any:
    """Return work memory to predict n sequences of up to T steps, or what NumPy takes."""
    if spaces.is_plain(net):
        from .plain.predictions import PlainSpace

        return PlainSpace(net)
    kind = UnitSpace if runs_in_units(net, T, n) else BatchSpace
    return spaces.get(kind, net, T, n, forward_only=True)


def loss_and_gradients(
    net: Network,
    data: Sequences,
    targets: Targets,
    parameters: np.ndarray,
    gradients: np.ndarray,
    *,
    state: np.ndarray | None = None,
    dstate: np.ndarray | None = None,
    dx: np.ndarray | None = None,
    team: Team | None = None,
    spaces: Spaces = spaces,
) -> float:
    """Return the mean loss over all samples; write its gradient to `gradients`.

    Parameters
    ----------
    net, data, targets, parameters, state, team, spaces
        As for `epochs.Epochs` and its methods.
    gradients : (n_parameters,) array
        Written.
    dstate : (N, states, runs, H) array or None
        Written: the gradient with respect to `state`.
    dx : (rows, I) array or None
        Written, except for rows of padding: the gradient with respect to `data.x`.

    Raises
    ------
    CompilerMissing
        No compiled program can be had.
    """
    demand_compiler(net, "a gradient")
    result, n = np.zeros(RESULTS), len(data.starts)
    gradients[:] = 0
    options = {} if dx is None else {"input_gradients": True}
    space, program = epoch_space(spaces, net, int(data.lengths.max()), n, **options)
    space.run(
        program,
        team=team,
        **inputs(net, data),
        **compared(space, net, targets),
        order=by_length(np.arange(n), data.lengths, n),
        n=n,
        batch=n,
        parameters=parameters,
        gradients=gradients,
        update=0,
        state=state,
        dstate=dstate,
        dx=dx,
        dropout=np.zeros(2),
        seed=0,
        result=result,
    )
    return reported(result).loss


def predict(
    net: Network,
    data: Sequences,
    parameters: np.ndarray,
    *,
    out: np.ndarray | None = None,
    targets: Targets | None = None,
    sums: np.ndarray | None = None,
    state: np.ndarray | None = None,
    final: np.ndarray | None = None,
    hidden: dict[str, Any] | None = None,
    noise: Noise | None = None,
    team: Team | None = None,
    spaces: Spaces = spaces,
) -> None:
    """Predict sequences, or measure how well that goes.

    A sample has the same bits alone and in any company: samples never meet, and each sum adds its
    terms in their order, whatever the tile and the driver.

    Parameters
    ----------
    net, data, parameters, state, team, spaces
        As for `epochs.Epochs` and its methods.
    out : (N, O) array, or (rows, O) with an output after every step, or None
        Written: logits.
    targets : Targets or None
        Of each sequence or row, to measure.
    sums : (`MEASURED`, N) float64 array or None
        Zeros, written with targets: loss, hits and weight of each sequence, long ones first.
    final : (N, states, runs, H) array or None
        Written: states after the last step; of reverse runs, after step 0.
    hidden : dict or None
        Of `hidden_fields`, for states after each step.
    noise : Noise or None
        Of each sequence by its number.

    Raises
    ------
    CompilerMissing
        There is noise, and NumPy would predict.
    """
    if noise and spaces.is_plain(net):
        raise CompilerMissing("noise in a prediction")
    n, longest = len(data.starts), int(data.lengths.max())
    window = longest
    if net.directions == 1 and longest > TUNING.predict_steps:
        window = TUNING.predict_steps
        if final is None:
            final = np.zeros((n, net.states, net.runs, net.hidden_size), net.dtype)
    space = prediction_space(spaces, net, window, n)
    place = None if sums is None else np.argsort(by_length(np.arange(n), data.lengths, n))
    for first in range(0, longest, window):
        going = np.flatnonzero(data.lengths > first)
        lengths = np.minimum(data.lengths - first, window)
        order = by_length(going, lengths, n)
        measured = None if sums is None else np.zeros((MEASURED, len(order)))
        job = predictions(
            space,
            net,
            Sequences(data.x, data.starts + first, lengths),
            order,
            parameters,
            state=final if first else state,
            out=out,  # of a sequence that goes on: overwritten when it has ended
            targets=targets,
            sums=measured,
            final=final,
            **(hidden or {}),
            **(noise.fields(first // window) if noise else {}),
        )
        space.lead(job, team)
        if sums is not None and measured is not None and place is not None:
            if not net.sequences:  # outputs of those that go on are still to come
                measured[:, data.lengths[order] > first + window] = 0
            sums[:, place[order]] += measured


def logits(net: Network, data: Sequences, parameters: np.ndarray, **options: Any) -> np.ndarray:
    """Return the logits that `predict` writes."""
    n = len(data.x) if net.sequences else len(data.starts)
    out = np.zeros((n, net.output_size), net.dtype)
    predict(net, data, parameters, out=out, **options)
    return out


def predictions(
    space: Any,
    net: Network,
    data: Sequences,
    order: np.ndarray,
    parameters: np.ndarray,
    *,
    targets: Targets | None = None,
    **fields: Any,
) -> Any:
    """Return the job that predicts the samples `order`, for the arrays of `predict`.

    `space` is of `prediction_space`.
    """
    return space.job(
        UNIT_PREDICTIONS if isinstance(space, UnitSpace) else PREDICTIONS,
        dropout=np.zeros(2),
        **inputs(net, data),
        **compared(space, net, targets),
        order=order,
        n=len(order),
        parameters=parameters,
        **fields,
    )
