"""Predictions, measures and gradients of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

import numpy as np

from ..data.blocks import Block
from ..data.dataset import Dataset
from ..data.plain import all_none, plain_block
from ..data.states import public_state
from ..data.targets import Missing
from ..data.weights import ClassWeight
from ..engine import threads
from ..engine.chance import Noise
from ..engine.evaluation import Evaluation
from ..engine.workspace import spaces
from ..layout.network import Network
from ..losses import LOSSES
from ..losses.functions import identity
from ..validation import flag, shown, whole
from .architecture import Described
from .outputs import public_outputs
from .streaming import Stream

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: methods whose results a stream may return
Output = Literal["predict", "predict_proba", "decision_function"]


class Applied(TypedDict, total=False):
    """The keyword arguments of the methods that predict, for type checkers."""

    lengths: Any
    initial_state: Any
    noise_seed: int | None
    n_threads: int | None
    check_finite: bool


class Predictor(Described):
    """The methods of a model that apply its parameters; `base.Model` has the others."""

    _net: Network
    _flat: np.ndarray
    _evaluation: Evaluation
    _chance: Any  # a property of the model

    @overload
    def decision_function(
        self, X: Any, *, return_state: Literal[True], **options: Unpack[Applied]
    ) -> tuple[Any, Any]: ...
    @overload
    def decision_function(
        self, X: np.ndarray, *, return_state: Literal[False] = False, **options: Unpack[Applied]
    ) -> np.ndarray: ...
    @overload
    def decision_function(
        self, X: Any, *, return_state: bool = False, **options: Unpack[Applied]
    ) -> Any: ...
    def decision_function(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        return_state: bool = False,
        noise_seed: int | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Return the logits of N sequences, (N, O) or (N,); for most regressions, the values.

        For poisson logarithms of rates; for gaussian and quantile with an axis at the end, of mean
        and raw scale or of the levels.  With an output after every step (N, T, O) or (N, T), zero
        in the padding, or a list of arrays if X is a list.  The dtype is the model's.

        Parameters
        ----------
        X, lengths, initial_state, n_threads, check_finite
            As in `fit`; an `initial_state` replaces a learned one.
        return_state : bool
            Whether to return (logits, state), where `state` is the state of each sequence after
            its last step.  It is the `initial_state` of the next chunk of these sequences; chunks
            have the same bits as whole sequences, without noise.
        noise_seed : int, optional
            Seed of `input_noise` and `recurrent_noise`, which are then added as in training.  The
            noise of a sequence depends on the seed and on its place in X, and on nothing else.  All
            data are read into memory.  Default: no noise.

        Raises
        ------
        ValueError
            A `noise_seed` for a model without noise.
        """
        arguments = (X, lengths, initial_state, return_state, noise_seed, n_threads, check_finite)
        return self._predict(lambda values: values, *arguments)

    @overload
    def predict_proba(
        self, X: Any, *, return_state: Literal[True], **options: Unpack[Applied]
    ) -> tuple[Any, Any]: ...
    @overload
    def predict_proba(
        self, X: np.ndarray, *, return_state: Literal[False] = False, **options: Unpack[Applied]
    ) -> np.ndarray: ...
    @overload
    def predict_proba(
        self, X: Any, *, return_state: bool = False, **options: Unpack[Applied]
    ) -> Any: ...
    def predict_proba(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        return_state: bool = False,
        noise_seed: int | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Return the probabilities of N sequences, with the shape and dtype of the logits.

        For bce the probability that each output is 1, for cross_entropy that of each class.  The
        parameters are the same as for `decision_function`.

        Raises
        ------
        ValueError
            The model has another loss, which has no probabilities.
        """
        if not LOSSES[self.loss].classifies:
            raise ValueError(
                f"predict_proba needs a model with loss bce or cross_entropy, not {self.loss}"
            )
        arguments = (X, lengths, initial_state, return_state, noise_seed, n_threads, check_finite)
        return self._predict(LOSSES[self.loss].activation, *arguments)

    @overload
    def predict(
        self, X: Any, *, return_state: Literal[True], **options: Unpack[Applied]
    ) -> tuple[Any, Any]: ...
    @overload
    def predict(
        self, X: np.ndarray, *, return_state: Literal[False] = False, **options: Unpack[Applied]
    ) -> np.ndarray: ...
    @overload
    def predict(self, X: Any, *, return_state: bool = False, **options: Unpack[Applied]) -> Any: ...
    def predict(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        return_state: bool = False,
        noise_seed: int | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Any:
        """Return the predictions for N sequences.

        For bce labels 0 and 1, int64, (N, O) or (N,); for cross_entropy classes, int64, (N,);
        otherwise values of the model's dtype, (N, O) or (N,): for poisson rates, for gaussian
        means, for quantile with an axis of the levels at the end.  With an output after every step
        there is an axis T after N.  The parameters are the same as for `decision_function`.
        """
        arguments = (X, lengths, initial_state, return_state, noise_seed, n_threads, check_finite)
        return self._predict(LOSSES[self.loss].predict, *arguments)

    def predict_distribution(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        noise_seed: int | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> tuple[Any, Any]:
        """Return the means and the standard deviations that a gaussian model predicts.

        Each is in the form of `predict`.  The parameters are the same as for `decision_function`.

        Raises
        ------
        ValueError
            The model has another loss, which has no distribution of the values.
        """
        loss = LOSSES[self.loss]
        if loss.means is None:
            raise ValueError(
                f"predict_distribution needs a model with loss gaussian, not {self.loss}"
            )
        arguments = (X, lengths, initial_state, False, noise_seed, n_threads, check_finite)
        both = self._predict(loss.activation, *arguments)
        if isinstance(both, list):
            return [each[..., 0] for each in both], [each[..., 1] for each in both]
        return both[..., 0], both[..., 1]

    def stream(self, batch: int = 1, output: Output = "predict") -> Stream:
        """Return an object that takes the next steps of sequences as they come.

        A step costs little more than its arithmetic::

            stream = model.stream()
            for x in sensor:                  # (I,)
                y = stream.step(x)            # (O,)

        Every step has outputs, also of a model that has them after the last step only.

        Parameters
        ----------
        batch : int
            Sequences side by side.
        output : {"predict", "predict_proba", "decision_function"}
            The method whose results `Stream.step` and `Stream.run` return, always with an axis of
            O, and for cross_entropy labels with an axis of 1.

        Returns
        -------
        Stream

        Raises
        ------
        ValueError
            A bidirectional model, which reads from the end; or probabilities of another loss.
        """
        net, loss = self._net, LOSSES[self.loss]
        batch = whole("batch", batch)
        functions: dict[str, Any] = {
            "predict": None if loss.predict is identity else loss.predict,
            "predict_proba": loss.activation,
            "decision_function": None,
        }
        if not isinstance(output, str) or output not in functions:
            raise ValueError(f"output must be one of {', '.join(functions)}; got {shown(output)}")
        if output == "predict_proba" and not loss.classifies:
            raise ValueError(
                "output predict_proba needs a model with loss bce or cross_entropy, not "
                f"{self.loss}"
            )
        if net.directions > 1:
            raise ValueError("stream is not for bidirectional models: they read from the end")
        return Stream(net, self._flat, batch, functions[output])

    def _predict(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        X: Any,
        lengths: Any,
        initial_state: Any,
        return_state: bool,
        noise_seed: Any,
        n_threads: Any,
        check_finite: bool,
    ) -> Any:
        """Return `function` of the logits, in the form of X, and the states if `return_state`."""
        check_finite = flag("check_finite", check_finite)
        return_state = flag("return_state", return_state)
        if n_threads is not None:
            threads.wanted(n_threads)
        if all_none(lengths, initial_state, noise_seed) and not return_state:
            plain = plain_block(self._net, X, None, check_finite)
            if plain is not None:
                return self._out(function, plain, n_threads)
        net, noise = self._net, self._chance.noise(noise_seed)
        feed = Dataset(
            net,
            X,
            lengths=lengths,
            state=initial_state,
            check_finite=check_finite,
            whole=noise is not None,
        )
        outs, states = [], []
        for visit in feed.whole():
            final = None
            if return_state:
                shape = (len(visit.block.inputs), net.states, net.runs, net.hidden_size)
                states.append(final := np.zeros(shape, net.dtype))
            outs.append(self._out(function, visit.block, n_threads, final, noise))
        spaces.trim()
        result = outs[0] if len(outs) == 1 else np.concatenate(outs)
        return (result, public_state(np.concatenate(states))) if return_state else result

    def _out(
        self,
        function: Callable[[np.ndarray], np.ndarray],
        block: Block,
        n_threads: int | None,
        final: np.ndarray | None = None,
        noise: Noise | None = None,
    ) -> Any:
        """Return `function` of the logits of a block, in the form of its sequences."""
        inputs, _, state = block
        logits = self._evaluation.logits(
            inputs.sequences, n_threads, state=state, final=final, noise=noise
        )
        return public_outputs(
            self._net, inputs, function(logits.reshape(-1, *self._net.output_form))
        )

    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        lengths: Any = None,
        mask: Any = None,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        missing: Missing | None = None,
        initial_state: Any = None,
        noise_seed: int | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> dict[str, float]:
        """Return the mean ``loss`` of N sequences, and ``accuracy``, or ``mse`` and ``r2``.

        Accuracy is the fraction of sequences, or of steps that are not masked, whose labels are
        all correct.  R2 is 1 minus the sum of squared errors over the sum of squared deviations of
        the targets from their means, both over all outputs; it is NaN if all targets are equal.
        With `sample_weight` or `class_weight` all means and sums are weighted.  The parameters are
        the same as for `fit`, and `noise_seed` as for `predict`.
        """
        check_finite = flag("check_finite", check_finite)
        if n_threads is not None:
            threads.wanted(n_threads)
        weights = {"mask": mask, "sample_weight": sample_weight, "class_weight": class_weight}
        weights["missing"] = missing
        if y is not None and all_none(lengths, initial_state, noise_seed, *weights.values()):
            plain = plain_block(self._net, X, y, check_finite)
            if plain is not None:
                return self._evaluation.measure_all(plain, n_threads)
        noise = self._chance.noise(noise_seed)
        feed = Dataset(
            self._net,
            X,
            y,
            lengths=lengths,
            state=initial_state,
            check_finite=check_finite,
            whole=noise is not None,
            **weights,
        )
        if noise is None:
            measures = self._evaluation.measure(feed.whole(), n_threads)
        else:
            measures = self._evaluation.measure_all(feed.load(0), n_threads, noise)
        spaces.trim()
        return measures
