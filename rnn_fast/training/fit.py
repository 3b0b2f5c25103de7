"""Training of a model on arrays and datasets: `fit`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import Dataset
from ..engine import threads
from ..engine.plain import demand_compiler
from .partial_fit import Updater

if TYPE_CHECKING:  # a training imports the rest: to predict takes none of it
    from ..data.parts import Part
    from ..data.source import Source
    from ..data.targets import Missing
    from ..data.weights import ClassWeight
    from ..engine.evaluation import Evaluation
    from ..engine.guide import LossFunction
    from ..optimizers import Optimizer, OptimizerName
    from .config import TrainingConfig
    from .early_stopping import EarlyStopping
    from .history import History
    from .schedules import Schedule, ScheduleName

#: options of `fit` that `fit_stream` does not have
UNUSED = {"shuffle": False, "shuffle_block": None, "validation_split": 0.0, "stratify": False}


class Learner(Updater):
    """The method of a model that trains on arrays; `fit_stream.StreamLearner` has the next."""

    _flat: np.ndarray
    _views: dict[str, np.ndarray]
    _evaluation: Evaluation

    def description(self) -> dict[str, Any]:
        """Return the arguments that make such a model."""
        raise NotImplementedError

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: LossFunction | None = None,
        epochs: int = 10,
        batch_size: int | None = 32,
        learning_rate: float | None = None,
        schedule: Schedule | ScheduleName | None = None,
        optimizer: OptimizerName | Optimizer = "sgd",
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float | Mapping[str, float] | None = None,
        l2: float | Mapping[str, float] | None = None,
        activity_l1: float | None = None,
        activity_l2: float | None = None,
        shuffle: bool = True,
        lengths: Any = None,
        mask: Any = None,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        missing: Missing | None = None,
        initial_state: Any = None,
        bptt: int | None = None,
        validation_data: tuple[Any, ...] | Mapping[str, Any] | None = None,
        validation_split: float = 0.0,
        stratify: bool = False,
        early_stopping: EarlyStopping | int | None = None,
        callbacks: Iterable[Callable[[Any, History], object]] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | timedelta = 1,
        resume: bool = False,
        keep_optimizer: bool = False,
        shuffle_block: int | None = None,
        n_threads: int | None = None,
        verbose: bool | int | None = None,
        check_finite: bool = True,
    ) -> History:
        """Train on N sequences.  Each epoch is a few compiled calls.

        Data that are not in memory are read in blocks of sequences, the next one by a thread: a
        memmap, the path of an .npy or .npz file, a dataset of HDF5 or Zarr, or anything with a
        shape, a dtype and slices.  At most four blocks are in memory, of 32 MB each unless
        `shuffle_block` says otherwise.  With an .npz file, y may be its path as well: arrays have
        the names of the arguments, and lengths are found by theirs.  Compressed arrays are read
        whole.

        Parameters
        ----------
        X : array-like (N, T, I), or a list of (T_i, I), or data that are not in memory
            Sequences; with an embedding, integers (N, T) or a list of (T_i,).
        y : array-like, (N, O); also (N,) for one output and for classes
            bce: labels or probabilities in [0, 1].  cross_entropy: class indices (N,) or (N, 1),
            whole numbers from 0 to O - 1.  Other losses: values.  For an output after every step
            (N, T, O), (N, T, 1) or (N, T), or a list of such arrays without N if X is a list.
        loss : callable, optional
            A loss in place of the model's: ``loss(outputs, targets, weights)`` returns the loss of
            a batch, a number, and its gradient with respect to the outputs, of their shape.  They
            are arrays: outputs (n, O) or (n, T, O), as of `decision_function`; targets of y, (n,
            O) or (n, T, O), for classes with one number in place of O; weights (n,) or (n, T), of
            `sample_weight`, `mask` and `class_weight`, 0 in the padding.  With `bptt` they are a
            window.  The loss of an epoch is the mean over the batches, by their weights; that of
            validation data is of all at once.  `rnn_fast.losses` has ready-made ones, and makes
            them of functions in PyTorch and JAX.  A checkpoint knows it by its qualified name.
        epochs : int
            How often each sequence is seen.
        batch_size : int or None
            Sequences per update, the last batch may be short; None for all N.
        learning_rate : float or None
            Step size; None for the model's.
        schedule : str, object or callable, optional
            Schedule of the step size: "constant", "step", "exponential", "cosine", "plateau" or
            "warmup", or an object such as ``WarmUp(2, then="cosine")``.  A callable is called as
            ``schedule(epoch)``, with an int from 0 on, and returns the factor of the step size in
            that epoch, as for PyTorch's LambdaLR: before the training for the first and the last
            epoch, then for each in its turn.  A checkpoint knows it by its qualified name alone.
            Default: constant.
        optimizer : {"sgd", "rmsprop", "adam", "adamw", "adagrad"} or object
            A name, for its defaults, or an object such as ``SGD(momentum=0.9)``.  The state
            starts at zero with every `fit`, unless `keep_optimizer` says otherwise.
        clip_norm, clip_value : float, optional
            Limits of the gradient: of its norm over all parameters, as in PyTorch, and of each of
            its numbers.  The second is applied first.
        l1, l2 : float or dict of name to float, optional
            Adds ``l1 |p| + l2 p**2 / 2``, summed over parameters p, to the minimised loss.  A
            number is for all matrices Wxh, Whh and Why; a dict names parameters, for example
            ``{"Whh": 1e-4}`` for the recurrent weights of all layers.
        activity_l1, activity_l2 : float, optional
            Adds ``activity_l1 |h| + activity_l2 h**2 / 2`` to the minimised loss, summed over the
            units of all layers and averaged over the steps of all sequences, padding apart.
        shuffle : bool
            Whether each epoch draws an order of the sequences from the model's generator, which
            continues from one `fit` to the next.
        shuffle_block : int, optional
            Sequences of a block: the order is drawn for the blocks, and for the sequences in each.
            Default: in-memory data are a single block.
        lengths : array-like of N integers, optional
            Steps of each sequence of a padded X, from 1 to T.
        mask : array-like of bool, or list, optional
            True where a target counts in the loss, in the shape of y; for an output after every
            step also (N, T), for all outputs of a step.
        sample_weight : array-like (N,), optional
            Weight of each sequence in the loss, which is then the weighted mean; for an output
            after every step also (N, T), or a list.  Not negative.
        class_weight : dict of class to weight, or "balanced", optional
            Weight of each class, for cross_entropy and for bce with one output.  "balanced" weighs
            each class by the reciprocal of its frequency.
        missing : "nan", optional
            Whether NaN in y is a missing value, which does not count.  Each number that counts is
            one term of the loss, which is the mean of all terms.  Holds for `validation_data` too.
            Default: NaN raises.
        initial_state : array (num_layers * directions, N, H), for the LSTM a pair, optional
            State of each sequence before its first step.  Default: zero.  Not for models that
            learn their initial state.
        bptt : int, optional
            Steps of a window of truncated back-propagation, with an update after each window.  The
            state continues from one window to the next, gradients do not.  Memory holds one window.
            Not for bidirectional models.
        validation_data : (X, y), (X, y, lengths) or dict, optional
            Data to measure after each epoch, as `evaluate` measures them.  A dict has X, y and any
            of `lengths`, `mask`, `sample_weight`, `class_weight`, `missing`, `initial_state`, each
            as in `fit`.  The weights of the training do not hold for these data.
        validation_split : float
            Share of the sequences, in [0, 1), that is held out instead, drawn from the model's
            generator.  All weights hold for it too.
        stratify : bool
            Whether `validation_split` holds out its share of each class, rounded, at least one
            sequence; for one class a sequence, cross_entropy or bce with one output.  Of data on
            disk the share is of all blocks together, and y is read once more, before the training.
        early_stopping : EarlyStopping or int, optional
            A rule, such as ``EarlyStopping(20, monitor="val_accuracy")``, or the number of epochs
            without a better loss after which to stop.  The loss of the validation data counts if
            there are any.  The model then has the parameters of its best epoch.
        callbacks : iterable of callables
            Each is called as ``f(model, history)`` after each epoch.  True ends the training, as a
            bool of Python, NumPy or PyTorch; other results are ignored.  There
            ``model.learning_rate`` is the step size of this training, before the factor of the
            schedule: a callback may set it, from the next epoch on.  The model keeps its own.
        checkpoint : path, optional
            A file to write after every `checkpoint_every` epochs, at the end, and when a signal
            stops the training.  It is replaced at once or, after an OSError, not at all; the
            previous one is kept as ``<path>.previous``, and what a long history had before the
            last epochs in ``<path>.history.0`` or ``.1``.  `rnn_fast.load` reads it as the model
            of that moment.
        checkpoint_every : int or timedelta
            Epochs between checkpoints, or a time after which one is written between two updates.
        resume : bool
            Whether to go on from `checkpoint`, if the file exists.  The same call as the one that
            was stopped returns the history of all epochs and the same bits, as if it had not
            stopped.
        keep_optimizer : bool
            Whether the state of the optimizer goes on from the last `fit`, `fit_stream` or
            `partial_fit`, if the optimizer there was equal.  It starts at zero after a training
            that diverged or put back its best parameters.  A training that resumes has the state
            in its checkpoint.
        n_threads : int, optional
            Threads that work on a batch, without effect on the result.  Default: the cores that
            this process may use, or ``RNN_FAST_NUM_THREADS`` or ``OMP_NUM_THREADS``.  Fewer are
            used while another `fit` of this process or another program has the cores.
        verbose : {None, False, True, 2}
            Nothing (False), a progress bar (True) or a line per epoch (2), on stderr.  None: a bar
            in a terminal or a notebook.
        check_finite : bool
            Whether to search for NaN and infinities.

        Returns
        -------
        History
            Loss, accuracy and speed of each epoch.

        Raises
        ------
        DivergedError
            The loss or a parameter is no longer finite.  The parameters return to their values
            before that epoch, and the error's `history` has the epochs until then.
        KeyboardInterrupt, Terminated
            Ctrl-C or SIGTERM; the model is as the last update left it, perhaps in the middle of an
            epoch.
        OSError
            The data cannot be read, or a checkpoint cannot be written; the model is as the last
            update left it.
        RuntimeError
            Another thread trains the model; nothing has changed.
        """
        with self._turn:
            config = self._config(locals())
            dataset = Dataset(
                self._net,
                X,
                y,
                lengths=lengths,
                state=initial_state,
                trains=True,
                block=config.shuffle_block,
                batch_size=config.batch_size or 1,
                check_finite=check_finite,
                mask=mask,
                sample_weight=sample_weight,
                class_weight=class_weight,
                missing=missing,
            )
            share = config.validation_split
            labels = dataset.labels() if config.stratify else None
            split: Any = None
            if share:
                from ..data.splits import Split

                split = Split(dataset, share, labels)

            def parts() -> tuple[Source, Part | None]:
                return split.draw(self._generator) if split else (dataset.whole(), None)

            about = {
                "sequences": len(dataset),
                "blocks": dataset.blocks[0][1],
                "validation_split": share,
                "stratify": config.stratify,
            }
            return self._train(config, parts, about)

    def _config(self, arguments: Mapping[str, Any]) -> TrainingConfig:
        """Check the arguments of `fit` or `fit_stream`."""
        own = {"n_threads": threads.wanted(arguments["n_threads"])}
        if arguments["learning_rate"] is None:
            own["learning_rate"] = self.learning_rate
        config: TrainingConfig = self._updates.trainings.record({**UNUSED, **arguments, **own})
        return config

    def _train(
        self,
        config: TrainingConfig,
        parts: Callable[[], tuple[Source, Part | None]],
        about: dict[str, Any],
        between: Callable[[], None] = lambda: None,
    ) -> History:
        """Train, see `start.train`."""
        demand_compiler(self._net, "training")  # before the generator draws
        history: History = trainer()(self, config, parts, about, between)
        return history


@functools.cache  # an import statement takes 3 us
def trainer() -> Any:
    """Return `start.train`."""
    from .start import train

    return train
