"""Predictions, measures and gradients of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..data.states import public_state
from ..engine import operations, threads
from ..engine.evaluation import logits, measure
from ..engine.tiling import seconds_per_row
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..losses import LOSSES
from ..tuning import TUNING


class Predictor:
    """The half of a model that applies its parameters; `base.Model` has the rest."""

    _net: Network
    _flat: np.ndarray
    loss: Any  # properties of the model
    dtype: Any

    def decision_function(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        return_state: bool = False,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Logits of N sequences, (N, O) or (N,), of the model's dtype; of a regression its values.

        For an output after every step (N, T, O) or (N, T), 0 in the padding; a list of arrays for
        a list.

        Parameters
        ----------
        X, lengths, initial_state, n_threads, check_finite
            As in `fit`; an `initial_state` takes the place of a learned one.
        return_state : bool
            Whether to return (logits, state): the state of each sequence after its last step, to
            go on from.  In chunks the results have the same bits as in one go.
        """
        own = (X, lengths, initial_state, return_state, n_threads, check_finite)
        return self._predict(lambda values: values, *own)

    def predict_proba(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        return_state: bool = False,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Probabilities of N sequences, of the model's dtype and in the shape of the logits.

        For bce that of each output being 1, for cross_entropy that of each class.  A model of
        another loss has none: ValueError.  Parameters are those of `decision_function`.
        """
        if not LOSSES[self.loss].classifies:
            raise ValueError(
                f"predict_proba needs a model with loss bce or cross_entropy, not {self.loss}"
            )
        own = (X, lengths, initial_state, return_state, n_threads, check_finite)
        return self._predict(LOSSES[self.loss].activation, *own)

    def predict(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        return_state: bool = False,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Return what the model says of N sequences.

        For bce labels 0 and 1, int64, (N, O) or (N,); for cross_entropy classes, int64, (N,);
        else values of the model's dtype, (N, O) or (N,).  With an output after every step there is
        an axis T behind N.  Parameters are those of `decision_function`.
        """
        loss = LOSSES[self.loss]
        own = (X, lengths, initial_state, return_state, n_threads, check_finite)
        return self._predict(loss.labels or loss.activation, *own)

    def _predict(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        X: Any,
        lengths: Any,
        initial_state: Any,
        return_state: bool,
        n_threads: Any,
        check_finite: bool,
    ) -> Any:
        """`function` of the logits in the shape of X, and the states if they are asked for."""
        size, net = threads.wanted(n_threads), self._net
        feed = Dataset(net, X, lengths=lengths, state=initial_state, check_finite=check_finite)
        outs, states = [], []
        for visit in feed.whole():
            given, _, state = visit.block
            final = None
            if return_state:
                shape = (len(given), net.states, net.runs, net.hidden_size)
                states.append(final := np.zeros(shape, net.dtype))
            out = function(logits(net, self._flat, given.sequences, size, state=state, final=final))
            out = out[:, 0] if out.ndim == 2 and net.output_size == 1 else out
            if net.sequences:
                if (inside := given.inside) is not None:
                    wide = inside.reshape(-1, *[1] * (out.ndim - 1))
                    out = np.where(wide, out, out.dtype.type(0))
                out = given.shaped(out)
            outs.append(out)
        result = outs[0] if len(outs) == 1 else np.concatenate(outs)
        return (result, public_state(np.concatenate(states))) if return_state else result

    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        lengths: Any = None,
        mask: Any = None,
        sample_weight: Any = None,
        initial_state: Any = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> dict[str, float]:
        """Mean ``loss`` on N sequences, and ``accuracy``, or ``mse`` and ``r2``: all as in `fit`.

        Accuracy is the share of the sequences, or of the steps that count, whose labels are all
        right.  R2 is 1 minus the sum of the squared errors, of all outputs, in that of the squared
        deviations of the targets from their means; NaN if they do not deviate.
        """
        feed = Dataset(
            self._net,
            X,
            y,
            lengths=lengths,
            state=initial_state,
            check_finite=check_finite,
            mask=mask,
            sample_weight=sample_weight,
        )
        return measure(self._net, self._flat, feed.whole(), threads.wanted(n_threads))

    def loss_and_gradients(
        self,
        X: Any,
        y: Any,
        *,
        lengths: Any = None,
        mask: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        initial_state: Any = None,
        input_gradients: bool = False,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> tuple[float, dict[str, Any]]:
        """Mean loss of N sequences and its exact gradient by each parameter, name to fresh array.

        The loss is a mean over the outputs as well, but for cross_entropy.  There is no dropout.

        Parameters
        ----------
        X, y, lengths, mask, sample_weight, class_weight, initial_state, n_threads, check_finite
            As in `fit`, but that all is read into memory.  With an `initial_state` there is a
            gradient of that name, in its form.
        input_gradients : bool
            Whether there is one by the input, named X and in its form; not with an embedding.
        """
        net, size = self._net, threads.wanted(n_threads)
        feed = Dataset(
            net,
            X,
            y,
            lengths=lengths,
            state=initial_state,
            trains=True,
            check_finite=check_finite,
            whole=True,
            mask=mask,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )
        given, targets, state = feed.load(0)
        assert targets is not None
        if input_gradients and net.embedding:
            raise ValueError("input_gradients: indices have none; see that of the embedding")
        dstate = None if state is None else np.zeros_like(state)
        dx = np.zeros_like(given.sequences.x) if input_gradients else None
        flat = aligned(self._flat.size, self.dtype)
        seconds = seconds_per_row(net) * float(given.sequences.lengths.sum())
        with threads.Team(size if seconds > TUNING.worth_seconds else 1) as team:
            loss = operations.loss_and_gradients(
                net,
                given.sequences,
                targets,
                self._flat,
                flat,
                state=state,
                dstate=dstate,
                dx=dx,
                team=team,
            )
        found: dict[str, Any] = {k: v.copy() for k, v in parameter_views(flat, net).items()}
        if dstate is not None:
            found["initial_state"] = public_state(dstate)
        if dx is not None:
            found["X"] = given.shaped(dx)
        return float(loss), found
