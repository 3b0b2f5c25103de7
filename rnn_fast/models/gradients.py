"""Gradients of a model: of its loss, and of losses from elsewhere."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

import numpy as np

from ..data.dataset import Dataset
from ..data.sequences import Input
from ..data.states import public_state, read_state
from ..data.targets import Missing
from ..data.weights import ClassWeight
from ..engine import operations, threads
from ..engine.chance import NOTHING
from ..engine.tiling import seconds_per_row
from ..engine.workspace import spaces
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.parameters import parameter_views
from ..tuning import TUNING
from ..validation import flag
from .outputs import public_outputs, rows_of_outputs

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..engine.passes import Passes


class Pullback:
    """Gradients of any function of a model's outputs, from the gradient of that function.

    `Model.vjp` and `Stack.vjp` make it.  It may be called again and again, and holds the states
    of the forward pass.
    """

    def __init__(
        self,
        net: Network,
        passes: Passes,
        inputs: Input,
        state: bool,
        input_gradients: bool,
        n_threads: int,
    ) -> None:
        self._net, self._passes, self._inputs, self._has_state = net, passes, inputs, state
        self._input_gradients, self._n_threads = input_gradients, n_threads

    def __call__(self, doutputs: Any, dstate: Any = None) -> dict[str, Any]:
        """Return the gradients of ``sum(doutputs * outputs) + sum(dstate * state)``.

        Parameters
        ----------
        doutputs : array-like
            Any numbers, in the form of the outputs; those of padding have no effect.
        dstate : array-like, or a pair of them, optional
            The same for the states after the last step, in their form.

        Returns
        -------
        dict of str to ndarray
            Gradients with respect to the parameters, of their names and shapes; with
            `input_gradients` also ``X``, and with an `initial_state` also ``initial_state``.

        Raises
        ------
        TypeError, ValueError
            An argument does not have the form of what it belongs to.
        """
        net, passes, inputs = self._net, self._passes, self._inputs
        rows = rows_of_outputs("doutputs", doutputs, net, inputs)
        dfinal = read_state(dstate, len(inputs), net, name="dstate", check_finite=False)
        shape = (len(inputs), net.states, net.runs, net.hidden_size)
        dinitial = np.zeros(shape, net.dtype) if self._has_state else None
        dx = np.zeros_like(inputs.sequences.x) if self._input_gradients else None
        flat = aligned(net.n_parameters, net.dtype)
        with threads.Team(self._n_threads) as team:
            passes.backward(rows, flat, dfinal=dfinal, dstate=dinitial, dx=dx, team=team)
        if dx is not None and net.skip:
            inside = inputs.inside
            dx[:, : net.outputs] += rows if inside is None else rows * inside[:, None]
        return named_gradients(net, inputs, flat, dx, dinitial)


class Pulled(TypedDict, total=False):
    """The keyword arguments of `vjp`, for type checkers."""

    lengths: Any
    initial_state: Any
    input_gradients: bool
    training: bool
    n_threads: int | None
    check_finite: bool


class Differentiable:
    """The methods of a model, or of its layers alone, that give gradients."""

    _net: Network
    _flat: np.ndarray
    _generator: np.random.Generator
    _chance: Any  # a property of the model

    @overload
    def vjp(
        self, X: Any, *, return_state: Literal[True], **options: Unpack[Pulled]
    ) -> tuple[tuple[Any, Any], Pullback]: ...
    @overload
    def vjp(
        self, X: np.ndarray, *, return_state: Literal[False] = False, **options: Unpack[Pulled]
    ) -> tuple[np.ndarray, Pullback]: ...
    @overload
    def vjp(
        self, X: Any, *, return_state: bool = False, **options: Unpack[Pulled]
    ) -> tuple[Any, Pullback]: ...
    def vjp(
        self,
        X: Any,
        *,
        lengths: Any = None,
        initial_state: Any = None,
        return_state: bool = False,
        input_gradients: bool = False,
        training: bool = False,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> tuple[Any, Pullback]:
        """Return the outputs of N sequences, and the function that pulls gradients back.

        For a loss, a head or an optimizer of your own: ``outputs, pullback = model.vjp(X)``, then
        ``pullback(doutputs)`` gives the gradients of a loss from its gradient with respect to the
        outputs (the vector-Jacobian product), by name.

        Parameters
        ----------
        X, lengths, initial_state, n_threads, check_finite
            As in `fit`, but all data are read into memory.
        return_state : bool
            Whether to return ((outputs, state), pullback), where `state` is that of each sequence
            after its last step.
        input_gradients : bool
            Whether the function returns the gradient with respect to X too; not with an embedding.
        training : bool
            Whether there are dropout and noise, drawn from the model's generator.

        Returns
        -------
        outputs : ndarray or list
            As of `decision_function`: logits, or values; without a head the states of the top
            layer, (N, T, D H).
        pullback : Pullback
            It holds copies of the parameters and of X.
        """
        net, size = self._net, threads.wanted(n_threads)
        return_state = flag("return_state", return_state)
        check_input_gradients(net, input_gradients)
        data = Dataset(
            net,
            X,
            lengths=lengths,
            state=initial_state,
            trains=True,
            check_finite=flag("check_finite", check_finite),
            whole=True,
        )
        inputs, _, state = data.load(0)
        chance = self._chance if flag("training", training) else NOTHING
        passes = passes_kind()(
            net,
            self._flat.copy(),
            inputs.sequences._replace(x=inputs.sequences.x.copy()),
            state=state,
            chance=chance,
            seed=int(self._generator.integers(2**62)) if chance.draws else 0,
            input_gradients=input_gradients,
        )
        shape = (len(inputs), net.states, net.runs, net.hidden_size)
        final = np.zeros(shape, net.dtype) if return_state else None
        if seconds_per_row(net) * float(inputs.sequences.lengths.sum()) <= TUNING.worth_seconds:
            size = 1
        with threads.Team(size) as team:
            out = passes.forward(final=final, team=team)
        outputs = public_outputs(net, inputs, out.reshape(-1, *net.output_form))
        pullback = Pullback(net, passes, inputs, state is not None, input_gradients, size)
        return (outputs if final is None else (outputs, public_state(final))), pullback

    def loss_and_gradients(
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
        input_gradients: bool = False,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> tuple[float, dict[str, Any]]:
        """Return the mean loss of N sequences and its exact gradients, as arrays by name.

        The loss is also a mean over the outputs, except for cross_entropy.  There is no dropout.

        Parameters
        ----------
        X, y, lengths, mask, sample_weight, class_weight, missing, initial_state
            As in `fit`, but all data are read into memory.  With an `initial_state` there is also
            the gradient ``initial_state``, in the same form.
        input_gradients : bool
            Whether to return the gradient with respect to X too, as ``X`` and in its form; not
            with an embedding.
        n_threads, check_finite
            As in `fit`.

        Returns
        -------
        loss : float
        gradients : dict of str to ndarray
            Gradients with respect to the parameters, of their names and shapes; copies.
        """
        check_finite = flag("check_finite", check_finite)
        net, size = self._net, threads.wanted(n_threads)
        check_input_gradients(net, input_gradients)
        if input_gradients and net.skip:
            raise ValueError("input_gradients: vjp has them for a model with skip=True")
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
            missing=missing,
        )
        inputs, targets, state = feed.load(0)
        assert targets is not None
        dstate = None if state is None else np.zeros_like(state)
        dx = np.zeros_like(inputs.sequences.x) if input_gradients else None
        flat = aligned(self._flat.size, net.dtype)
        seconds = seconds_per_row(net) * float(inputs.sequences.lengths.sum())
        with threads.Team(size if seconds > TUNING.worth_seconds else 1) as team:
            loss = operations.loss_and_gradients(
                net,
                inputs.sequences,
                targets,
                self._flat,
                flat,
                state=state,
                dstate=dstate,
                dx=dx,
                team=team,
            )
        spaces.trim()
        return float(loss), named_gradients(net, inputs, flat, dx, dstate)


@functools.cache  # an import statement takes 3 us
def passes_kind() -> Any:
    """Return `engine.passes.Passes`, which predictions do not need."""
    from ..engine.passes import Passes

    return Passes


def check_input_gradients(net: Network, input_gradients: Any) -> None:
    """Raise ValueError if gradients with respect to indices are wanted."""
    if not flag("input_gradients", input_gradients):
        return
    if net.embedding:
        raise ValueError("input_gradients: indices have no gradient; see that of the embedding")


def named_gradients(
    net: Network,
    inputs: Input,
    flat: np.ndarray,
    dx: np.ndarray | None,
    dstate: np.ndarray | None,
) -> dict[str, Any]:
    """Return copies of gradients by name: of the parameters, the initial state and the inputs."""
    gradients: dict[str, Any] = {k: v.copy() for k, v in parameter_views(flat, net).items()}
    if dstate is not None:
        gradients["initial_state"] = public_state(dstate)
    if dx is not None:
        gradients["X"] = inputs.shaped(dx)
    return gradients
