"""The optimizer of a model at work: kept from one call to the next, and single updates by it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..data import checks
from ..data.blocks import Block
from ..engine import operations, threads
from ..engine.chance import NOTHING, Chance
from ..engine.epochs import Epochs
from ..engine.evaluation import Evaluation
from ..engine.guide import Guide
from ..engine.optimizer_state import Descent, FlatUpdate
from ..engine.tiling import seconds_per_row
from ..engine.workspace import spaces
from ..errors import DivergedError
from ..layout.batch_records import SUMS
from ..layout.constraints import Bounds
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.parameters import penalty_coefficients
from ..optimizers import Optimizer, chosen_optimizer
from ..tuning import TUNING
from ..validation import (
    Checked,
    Options,
    above_zero,
    as_it_is,
    fits,
    flag,
    option,
    optional,
    or_zero,
    rate,
    whole,
)
from .config import TrainingConfig
from .named_gradients import NamedGradients


@dataclass(frozen=True)
class UpdateConfig(Options):
    """Checked options of an update, named as in `partial_fit`."""

    batch_size: int | None = option(optional(whole), None)  # None: all
    learning_rate: float | None = option(optional(rate), None)  # None: the model's
    optimizer: Optimizer = option(lambda name, value: chosen_optimizer(value), "sgd")
    clip_norm: float = option(or_zero(above_zero), None)  # 0: no limit
    clip_value: float = option(or_zero(above_zero), None)
    l1: Any = option(as_it_is, None)
    l2: Any = option(as_it_is, None)
    activity_l1: float = option(or_zero(rate), None)
    activity_l2: float = option(or_zero(rate), None)
    return_state: bool = option(flag, False)
    n_threads: int | None = option(optional(whole), None)
    check_finite: bool = option(flag, True)

    def check_dtype(self, dtype: np.dtype) -> None:
        """Raise ValueError for a number that overflows in a dtype, or becomes 0 there."""
        for name in ("learning_rate", "clip_norm", "clip_value", "activity_l1", "activity_l2"):
            fits(name, getattr(self, name) or 0.0, dtype)
        self.optimizer.check_dtype(dtype)


class Updates:
    """Updates of the parameters of a network, by an optimizer whose state is kept.

    Attributes
    ----------
    kept : Epochs or None
        Of the last training or update, with the state of its optimizer; None if that does not
        belong to the parameters, or while a training works with it.
    bounds : Bounds or None
        Constraints of the parameters.
    updates, applications, trainings : Checked
        Options of the last `partial_fit`, `apply_gradients`, and `fit` or `fit_stream`.
    """

    def __init__(
        self,
        net: Network,
        parameters: np.ndarray,
        chance: Chance = NOTHING,
    ) -> None:
        self.kept: Epochs | None = None
        self._net, self._parameters = net, parameters
        self._chance = chance
        self._seconds_per_row = seconds_per_row(net)
        self.updates = Checked(UpdateConfig, lambda config: config.check_dtype(net.dtype))
        self.applications = Checked(UpdateConfig, lambda config: config.check_dtype(net.dtype))
        self.trainings = Checked(TrainingConfig, lambda config: config.check_network(net))
        self.bounds: Bounds | None = None
        self._penalties: tuple[UpdateConfig | None, Any] = None, None  # and whose they are
        self._order, self._rates = np.arange(0), np.zeros(0)
        self._result = np.zeros(operations.RESULTS)
        self._gradients = NamedGradients(net)
        self._flat_update: FlatUpdate | None = None

    def epochs(
        self,
        optimizer: Optimizer,
        *,
        penalties: np.ndarray | None,
        clip_norm: float,
        clip_value: float,
        bptt: int,
        go_on: bool,
        guide: Guide | None = None,
        activity: tuple[float, float] = (0.0, 0.0),
    ) -> Epochs:
        """Return a training whose optimizer starts at zero or goes on, if it is equal to the last.

        Parameters
        ----------
        optimizer, penalties, clip_norm, clip_value
            As for `Descent`.
        bptt
            As for `Epochs`.
        go_on : bool
            Whether the state is that of the last training or update with an equal optimizer.
        guide : Guide or None
            A loss in place of the network's.
        activity : (float, float)
            Coefficients of the states, as `activity_l1` and `activity_l2` of `fit`.
        """
        epochs = self.kept
        last = None if epochs is None else epochs.descent.optimizer
        if epochs is None or (last is not optimizer and last != optimizer):
            descent = Descent(optimizer, self._parameters.size, self._net.dtype)
            epochs = Epochs(self._net, self._parameters, descent, chance=self._chance)
        elif not go_on:
            epochs.descent.reset()
        epochs.bptt, epochs.descent.bounds, epochs.guide = bptt, self.bounds, guide
        epochs.activity = np.array(activity) if any(activity) else None
        epochs.descent.penalties = self._of_free(penalties)
        epochs.descent.limit(clip_norm, clip_value)
        return epochs

    def _of_free(self, penalties: np.ndarray | None) -> np.ndarray | None:
        """Return the penalties of parameters that an update may move: clipping counts no others."""
        if self.bounds is None or penalties is None:
            return penalties
        free = aligned(penalties.size, penalties.dtype)
        np.multiply(penalties, np.tile(~self.bounds.fixed, 2), out=free)
        return free

    def _penalties_of(self, config: UpdateConfig) -> np.ndarray | None:
        if self._penalties[0] is not config:
            coefficients = penalty_coefficients(config.l1, config.l2, self._net)
            self._penalties = config, coefficients
        penalties: np.ndarray | None = self._penalties[1]
        return penalties

    def update(
        self, block: Block, rate: float, config: UpdateConfig, generator: np.random.Generator
    ) -> tuple[float, np.ndarray | None]:
        """Make an update for each batch; return the loss before it, and states if wanted.

        Raises
        ------
        DivergedError
            The loss or a parameter is no longer finite; parameters and optimizer are as before.
        """
        sequences, n = block.inputs.sequences, len(block.inputs)
        size = min(config.batch_size or n, n)
        epochs = self.kept = self.epochs(
            config.optimizer,
            penalties=self._penalties_of(config),
            clip_norm=config.clip_norm,
            clip_value=config.clip_value,
            bptt=0,
            go_on=True,
            activity=(config.activity_l1, config.activity_l2),
        )
        n_threads, final = 1, None
        if self._seconds_per_row * len(sequences.x) > TUNING.worth_seconds:
            n_threads = threads.wanted(config.n_threads)
        if config.return_state:
            net = self._net
            final = np.zeros((n, net.states, net.runs, net.hidden_size), net.dtype)
            Evaluation(net, self._parameters).logits(
                sequences, n_threads, state=block.state, final=final
            )
        assert block.targets is not None
        epochs.load(sequences, block.targets, size, block.state)
        try:
            seed = int(generator.integers(2**62)) if epochs.chance.draws else 0
            if n_threads > 1:
                with threads.Team(n_threads) as team:
                    return self._run(epochs, n, size, rate, seed, team), final
            return self._run(epochs, n, size, rate, seed, None), final
        finally:
            epochs.forget()
            if epochs.space.n_bytes > TUNING.model_bytes:
                epochs.unprepare()
                spaces.trim()

    def _run(
        self,
        epochs: Epochs,
        n: int,
        size: int,
        rate: float,
        seed: int,
        team: threads.Team | None,
    ) -> float:
        """Run the batches of n sequences in their order; return the mean loss."""
        if len(self._order) != n:
            self._order = np.arange(n, dtype=np.int64)
        batches = -(-n // size)
        if len(self._rates) != batches or self._rates[0] != rate:
            self._rates = np.full(batches, rate)
        result = self._result
        result[:] = 0
        run = partial(epochs.run, self._order, self._rates, result, seed=seed, team=team)
        self._make(run, "partial_fit", epochs.descent, rate)
        return operations.reported(result).loss

    def apply(self, gradients: Any, rate: float, config: UpdateConfig) -> None:
        """Make an update from gradients by name.

        Raises
        ------
        TypeError, ValueError
            They are not the gradients of all parameters that may move.
        DivergedError
            A parameter is no longer finite; parameters and optimizer are as before.
        """
        penalties = self._penalties_of(config)
        flat = self._gradients.flat(gradients, self.bounds)
        epochs = self.kept = self.epochs(
            config.optimizer,
            penalties=penalties,
            clip_norm=config.clip_norm,
            clip_value=config.clip_value,
            bptt=0,
            go_on=True,
        )
        update, descent = self._flat_update, epochs.descent
        if update is None or (update.descent, update.bounds) != (descent, descent.bounds):
            update = self._flat_update = FlatUpdate(descent, self._parameters)
        self._result[:] = 0
        self._make(partial(update.run, flat, rate), "apply_gradients", descent, rate)

    def _make(self, run: Callable[[], object], method: str, descent: Descent, rate: float) -> None:
        """Run updates; put everything back unless loss and parameters stay finite."""
        before = self._parameters.copy(), descent.moments.copy(), descent.knobs.copy()

        def is_sound() -> bool:
            return math.isfinite(self._result[SUMS.loss]) and checks.all_finite(self._parameters)

        def settle() -> None:
            """Put everything back unless all is finite; the parameters last, which tell."""
            if is_sound():
                return
            parameters, descent.moments[:], descent.knobs[:] = before
            descent.gradients[:] = 0  # those of an embedding were added to
            self._parameters[:] = parameters

        try:
            try:
                run()
                if not is_sound():
                    raise DivergedError(
                        f"{method} diverged: the loss or a parameter is no longer finite. "
                        "Parameters and optimizer are as before; a learning rate smaller than "
                        f"{rate:g} may help"
                    )
            except BaseException:
                settle()
                raise
        except BaseException:
            settle()  # once more, for an interrupt in the midst of it
            raise
