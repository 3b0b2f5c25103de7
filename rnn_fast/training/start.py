"""The start of a training: everything that `fit` and `fit_stream` need and predictions do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..data.items import dataset_of
from ..data.parts import Part
from ..data.source import Source
from ..engine.evaluation import Evaluation
from ..engine.guide import Guide
from ..engine.guided_evaluation import GuidedEvaluation
from ..layout.parameters import penalty_coefficients
from ..saving.checkpoint import Keeper
from .config import TrainingConfig, is_true
from .facts import facts_of
from .history import History
from .loop import Training


def measuring(model: Any, config: TrainingConfig) -> Evaluation:
    """Return what measures the validation data: by the loss that the training has."""
    if config.loss is None:
        evaluation: Evaluation = model._evaluation
        return evaluation
    return GuidedEvaluation(model._net, model._flat, config.loss)


def train(
    model: Any,
    config: TrainingConfig,
    parts: Callable[[], tuple[Source, Part | None]],
    about: dict[str, Any],
    between: Callable[[], None],
) -> History:
    """Train on the first of `parts`, which may draw from the generator; hold out the second.

    model : Learner
    about : dict
        Facts that must be as before in a training that resumes.
    between : callable
        Called after each compiled call; raises to stop the training there.
    """
    penalties = penalty_coefficients(config.l1, config.l2, model._net)
    held_out: Part | None = None
    if config.validation_data is not None:
        named = {"missing": config.missing, **config.validation_data}
        held_out = dataset_of(model._net, named, "validation ", config.check_finite).whole()
    keeper = saved = None
    if config.checkpoint is not None:
        about = {
            **about,
            "settings": config.shaping(),
            "penalties": repr((config.l1, config.l2)),
        }
        facts = facts_of(config, model._net, about, penalizes=penalties is not None)
        keeper = Keeper(
            config.checkpoint, model.description(), model._views, model._generator, about, facts
        )
        if config.resume:
            saved = keeper.resume()

    def after(history: History, rate: float) -> tuple[bool, float]:
        """Call the callbacks, while the model has the rate of this training."""
        attributes = vars(model)  # passes by `__setattr__`, which takes 0.8 us
        own, attributes["_learning_rate"] = attributes["_learning_rate"], rate
        try:
            results = [call(model, history) for call in config.callbacks]
            ends = any([is_true(f"callbacks[{i}]", r) for i, r in enumerate(results)])
            return ends, attributes["_learning_rate"]
        finally:
            attributes["_learning_rate"] = own

    model._online.stale = True
    try:
        source, drawn = parts()  # after `resume` has put the generator back
        held_out = held_out or drawn
        training = Training(
            net=model._net,
            parameters=model._flat,
            source=source,
            config=config,
            generator=model._generator,
            epochs=model._updates.epochs(
                config.optimizer,
                penalties=penalties,
                clip_norm=config.clip_norm,
                clip_value=config.clip_value,
                bptt=config.bptt,
                go_on=config.keep_optimizer and saved is None,
                guide=None if config.loss is None else Guide(config.loss),
                activity=config.activity,
            ),
            evaluation=measuring(model, config),
            held_out=held_out,
            after=after if config.callbacks else None,
            between=between,
            keeper=keeper,
            saved=saved,
        )
    except BaseException:
        model._updates.kept = None  # its optimizer may have begun anew
        if keeper is not None:
            keeper.undo()
        raise
    model._updates.kept = None  # callbacks may train: not with this state
    try:
        return training.run()
    finally:
        model._updates.kept = training.kept()
