"""Single updates of a model: `partial_fit` and `apply_gradients`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

import numpy as np

from ..data.dataset import Dataset
from ..data.plain import all_none, plain_block
from ..data.states import public_state
from ..data.targets import Missing
from ..data.weights import ClassWeight
from ..layout.network import Network
from .online import Online
from .turn import Turn

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..layout.constraints import Bounds
    from ..optimizers import Optimizer, OptimizerName
    from .updates import Updates

#: options of `partial_fit` that an update from gradients has no use for
BATCHES = {
    "batch_size": None,
    "return_state": False,
    "n_threads": None,
    "check_finite": True,
    "activity_l1": None,
    "activity_l2": None,
}


class UpdateOptions(TypedDict, total=False):
    """The keyword arguments of `partial_fit`, for type checkers."""

    batch_size: int | None
    learning_rate: float | None
    optimizer: OptimizerName | Optimizer
    clip_norm: float | None
    clip_value: float | None
    l1: float | Mapping[str, float] | None
    l2: float | Mapping[str, float] | None
    activity_l1: float | None
    activity_l2: float | None
    lengths: Any
    mask: Any
    sample_weight: Any
    class_weight: ClassWeight
    missing: Missing | None
    initial_state: Any
    n_threads: int | None
    check_finite: bool


class Updater:
    """The methods of a model that make single updates; `fit.Learner` has those that train."""

    _net: Network
    _generator: np.random.Generator
    _flat: np.ndarray
    _architecture: Any  # models.architecture.Architecture
    _online: Online
    _turn: Turn
    _bounds: Bounds | None
    _chance: Any  # properties of the model
    learning_rate: Any

    @cached_property
    def _updates(self) -> Updates:
        """The optimizer at work; made for the first training, which imports what trains."""
        from .updates import Updates

        updates = Updates(self._net, self._flat, self._chance)
        updates.bounds = self._bounds
        return updates

    @overload
    def partial_fit(
        self, X: Any, y: Any, *, return_state: Literal[True], **options: Unpack[UpdateOptions]
    ) -> tuple[float, Any]: ...
    @overload
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        return_state: Literal[False] = False,
        **options: Unpack[UpdateOptions],
    ) -> float: ...
    @overload
    def partial_fit(
        self, X: Any, y: Any, *, return_state: bool, **options: Unpack[UpdateOptions]
    ) -> Any: ...
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        optimizer: OptimizerName | Optimizer = "sgd",
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float | Mapping[str, float] | None = None,
        l2: float | Mapping[str, float] | None = None,
        activity_l1: float | None = None,
        activity_l2: float | None = None,
        lengths: Any = None,
        mask: Any = None,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        missing: Missing | None = None,
        initial_state: Any = None,
        return_state: bool = False,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Make one update from N sequences, or one for each batch of them in their order.

        The state of the optimizer goes on from the last `partial_fit`, `fit` or `fit_stream`, if
        the optimizer is equal to the one there; another optimizer starts at zero.  Neither a file
        nor a pickle nor a copy of the model has that state.

        Parameters
        ----------
        X, y
            As in `fit`; all data are read into memory.
        batch_size : int, optional
            Sequences per update, the last batch may be short.  Default: all N.
        learning_rate : float, optional
            Step size.  Default: the model's.
        optimizer, clip_norm, clip_value, l1, l2, activity_l1, activity_l2
            As in `fit`.
        lengths, mask, sample_weight, class_weight, missing
            As in `fit`, for these sequences; "balanced" is by the frequencies in them.
        initial_state : array, or a pair for the LSTM, optional
            As in `fit`: for chunks of streams, the state that the last chunk returned.  Gradients
            do not flow into it.
        return_state : bool
            Whether to return (loss, state), where `state` is the state of each sequence after its
            last step, by the parameters before the updates and without dropout.  This takes
            another forward pass.
        n_threads, check_finite
            As in `fit`.

        Returns
        -------
        loss : float
            Mean loss of the sequences, each measured before its update, without `l1` and `l2`.
        state : array, or a pair for the LSTM
            With `return_state`, in the form of `initial_state`.

        Raises
        ------
        DivergedError
            The loss or a parameter is no longer finite.  The parameters and the optimizer are as
            before the call.
        RuntimeError
            Another thread trains the model; nothing has changed.
        """
        with self._turn:
            config = self._updates.updates.record(locals())
            block = None
            rest = lengths, mask, sample_weight, class_weight, missing, initial_state
            if y is not None and all_none(*rest):
                block = plain_block(self._net, X, y, config.check_finite)
            if block is None:
                block = Dataset(
                    self._net,
                    X,
                    y,
                    lengths=lengths,
                    state=initial_state,
                    trains=True,
                    check_finite=config.check_finite,
                    whole=True,
                    mask=mask,
                    sample_weight=sample_weight,
                    class_weight=class_weight,
                    missing=missing,
                ).load(0)
            self._online.stale = True
            rate = self.learning_rate if learning_rate is None else config.learning_rate
            loss, state = self._updates.update(block, rate, config, self._generator)
            return loss if state is None else (loss, public_state(state))

    def apply_gradients(
        self,
        gradients: Mapping[str, Any],
        optimizer: OptimizerName | Optimizer = "sgd",
        *,
        learning_rate: float | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        l1: float | Mapping[str, float] | None = None,
        l2: float | Mapping[str, float] | None = None,
    ) -> None:
        """Make one update from gradients of the parameters, such as those of a loss of your own.

        The state of the optimizer goes on as in `partial_fit`.

        Parameters
        ----------
        gradients : dict of str to array
            As `loss_and_gradients` returns them, of which the gradients with respect to X and to
            the initial states are left aside.  A frozen parameter needs none.
        optimizer, learning_rate, clip_norm, clip_value, l1, l2
            As in `partial_fit`.

        Raises
        ------
        TypeError, ValueError
            A parameter has no gradient, or a gradient has no parameter, is not finite, or is of
            another shape.
        DivergedError
            A parameter is no longer finite.  The parameters and the optimizer are as before.
        RuntimeError
            Another thread trains the model; nothing has changed.
        """
        with self._turn:
            config = self._updates.applications.record({**BATCHES, **locals()})
            self._online.stale = True
            rate = self.learning_rate if learning_rate is None else config.learning_rate
            self._updates.apply(gradients, rate, config)
