"""Training of a model on the items of an iterable: `fit_stream`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .. import validation
from .fit import Learner

if TYPE_CHECKING:
    from ..data.targets import Missing
    from ..engine.guide import LossFunction
    from ..optimizers import Optimizer, OptimizerName
    from .early_stopping import EarlyStopping
    from .history import History
    from .schedules import Schedule, ScheduleName


class StreamLearner(Learner):
    """The half of a model that learns; `models.base.Model` has the rest."""

    def fit_stream(
        self,
        batches: Iterable[Any],
        *,
        loss: LossFunction | None = None,
        epochs: int = 1,
        steps_per_epoch: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: Schedule | ScheduleName | None = None,
        optimizer: OptimizerName | Optimizer = "sgd",
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float | Mapping[str, float] | None = None,
        l2: float | Mapping[str, float] | None = None,
        activity_l1: float | None = None,
        activity_l2: float | None = None,
        missing: Missing | None = None,
        bptt: int | None = None,
        validation_data: tuple[Any, ...] | Mapping[str, Any] | None = None,
        early_stopping: EarlyStopping | int | None = None,
        callbacks: Iterable[Callable[[Any, History], object]] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta = 1,
        resume: bool = False,
        keep_optimizer: bool = False,
        n_threads: int | None = None,
        verbose: bool | int | None = None,
        check_finite: bool = True,
    ) -> History:
        """Train on the items of an iterable, such as a generator; see `rnn_fast.tasks`.

        A thread takes the next item while one is trained on.

        Parameters
        ----------
        batches : iterable
            Of (X, y), (X, y, lengths), or dicts of these and `mask`, `sample_weight`,
            `class_weight`, `missing`, `initial_state`, each as in `fit`: array-likes, or tensors
            of PyTorch on the CPU.
        loss : callable, optional
            As in `fit`.
        epochs : int
            Passes through `batches`, or times `steps_per_epoch` items.
        steps_per_epoch : int, optional
            Items of an epoch.  Default: all items; then `batches` must start again for a second
            epoch.
        batch_size : int, optional
            Sequences per update.  Default: an item is a batch.
        learning_rate, schedule, optimizer, clip_norm, clip_value, l1, l2, missing, bptt
            As in `fit`.  A schedule changes the rate from update to update if `steps_per_epoch` or
            ``len(batches)`` says how many there are, else from epoch to epoch.
        validation_data, early_stopping, callbacks, checkpoint, checkpoint_every
            As in `fit`.
        resume : bool
            As in `fit`: `batches` must yield the same items again, from the first on; items that
            were trained on are skipped.
        keep_optimizer, n_threads, verbose, check_finite
            As in `fit`.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            Also for an item, at its turn; the model is as the last update left it.
        DivergedError, KeyboardInterrupt, Terminated, OSError, RuntimeError
            As `fit`.  Errors of the iterable pass through.
        """
        with self._turn:
            config = self._config(locals())
            from ..data.stream import Stream

            steps = steps_per_epoch
            if steps is not None:
                steps = validation.whole("steps_per_epoch", steps)
            stream = Stream(self._net, batches, steps, epochs, check_finite, missing)
            return self._train(config, lambda: (stream, None), {"steps_per_epoch": steps})
