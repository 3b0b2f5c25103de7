"""One case: calls on one model, each judged by its outcome.

A call is right by the textbook, or it is refused with a documented error that names the argument
and leaves model, random generator and inputs as they were.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import reference
from cases import family
from forms import Files
from lies import Whim
from worlds import MODELS, Problem, described, draw_options, programs_of

import rnn_fast

DOCUMENTED = (
    TypeError,
    ValueError,
    rnn_fast.DivergedError,
    OSError,
    ImportError,
    MemoryError,
    Whim,
)
#: errors that are about more than one argument, or none
NAMELESS = (rnn_fast.DivergedError, OSError, ImportError, MemoryError, Whim)


class Fault(Exception):
    """An outcome that should not be."""

    def __init__(self, kind: str, text: str):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass
class Call:
    """A call, and what may come of it.

    Attributes
    ----------
    name : str
    run : callable
    inputs : Any
        Arguments that must be the same after the call; None for those that change themselves.
    flaw : tuple of str or None
        Words of which the message of a refusal has one: the call must be refused.  None: it must
        be right.
    check : callable
        Judges the result; raises `Fault`.
    errors : tuple of type
        Documented ones.
    lies : bool
        The call may be refused or not, in the middle of a training too.
    """

    name: str
    run: Callable[[], Any]
    inputs: Any = None
    flaw: tuple[str, ...] | None = None
    check: Callable[[Any], None] = lambda result: None
    errors: tuple[type[Exception], ...] = DOCUMENTED
    lies: bool = False

    def __str__(self) -> str:
        run: Any = self.run
        while isinstance(run, partial) and run.args and isinstance(run.args[0], partial):
            run = run.args[0]
        arguments = getattr(run, "keywords", {})
        flaw = f", flawed in {' or '.join(self.flaw)}" if self.flaw else ""
        return f"{self.name}({portrait(arguments)[1:-1]}){flaw}"


def portrait(value: Any) -> str:
    """Describe an argument in a few words."""
    if isinstance(value, np.ndarray):
        return f"{type(value).__name__}{value.shape} {value.dtype.str}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={portrait(each)}' for name, each in value.items())}}}"
    if isinstance(value, (list, tuple)) and value:
        return f"{type(value).__name__}[{portrait(value[0])}, ... {len(value)}]"
    return f"{value!r:.60}"


@dataclass
class World:
    """A case: a model and everything that is drawn for it.

    Attributes
    ----------
    tally : Counter
        Calls by outcome.
    honest : bool
        Whether all data are valid.
    """

    seed: int
    folder: Path
    honest: bool = False
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.programs = programs_of(self.seed)
        self.files = Files(self.folder)
        self.options = draw_options(self.rng, self.programs)
        self.generator = np.random.default_rng(int(self.rng.integers(2**32)))
        self.adopt(self.make(seed=self.generator))

    def make(self, **instead: Any) -> Any:
        """Make a model of the drawn options."""
        return MODELS[self.programs.cell][0](**{**self.options, **instead})

    def adopt(self, model: Any) -> None:
        """Go on with another model."""
        self.model, self.views, self.net = model, model.parameters, described(model)

    def flip(self, one_in: int = 2) -> bool:
        return int(self.rng.integers(one_in)) == 0

    def pick(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def child(self) -> np.random.Generator:
        """A generator for what draws an unknown number of times."""
        return np.random.default_rng(int(self.rng.integers(2**32)))

    def problem(self) -> Problem:
        """Draw data for the model; a few are large."""
        return Problem(self.rng, self.net, self.pick([30, 100, 100, 250]))

    def parameters(self) -> reference.Params:
        return {name: view.astype(float) for name, view in self.views.items()}

    @property
    def tolerance(self) -> float:
        """Of values, relative to the largest; of gradients that jump, nothing can be said."""
        return 1e-9 if self.model.dtype == np.float64 else 3e-4

    @property
    def is_chaotic(self) -> bool:
        """Whether float32 is no match for float64: steps multiply the errors of rounding."""
        squares = [view for name, view in self.views.items() if name.partition("_")[0] == "Whh"]
        gates = [gate for view in squares for gate in np.split(view, len(view) // view.shape[1])]
        largest = max(float(np.linalg.norm(gate.astype(float), 2)) for gate in gates)
        return self.model.dtype == np.float32 and largest > 3  # at the start all are 1

    @property
    def jumps(self) -> bool:
        """Whether rounding may choose another branch of the gradient.

        With float64 that is where an orthogonal Whh of two units, a reflection, meets the state
        that it made of one of them: the terms of a pre-activation cancel.
        """
        if self.model.dtype == np.float64:
            return bool(self.net.cell == "relu" and self.net.hidden_size == 2)
        return self.net.cell == "relu" or self.net.loss in ("mae", "huber")

    # ------------------------------------------------------------------------------ outcomes

    def attempt(self, call: Call) -> Any:
        """Make a call, judge what comes of it; return the result, or None if it was refused."""
        self.tally["calls"] += 1
        model, generator = self.bits(), str(self.generator.bit_generator.state)
        inputs = [*fingerprints(call.inputs)]
        try:
            result = call.run()
        except Exception as error:
            self._refused(call, error)
            text = f"{call}: {type(error).__name__}: {error}"
            if not call.lies and self.bits() != model:
                raise Fault("changed model", text) from error
            if not call.lies and str(self.generator.bit_generator.state) != generator:
                raise Fault("changed generator", text) from error
            result, kind = None, f"refused {type(error).__name__}"
        else:
            if call.flaw is not None:
                raise Fault("accepted", str(call))
            try:
                call.check(result)
            except Fault as fault:
                raise Fault(fault.kind, f"{fault}, of {call}") from fault
            kind = "lied to, and went on" if call.lies else "right"
        if inputs != [*fingerprints(call.inputs)]:
            raise Fault("changed input", str(call))
        if call.lies and not all(np.isfinite(view).all() for view in self.views.values()):
            raise Fault("not finite", f"parameters after {call}")
        self.tally[kind] += 1
        return result

    def _refused(self, call: Call, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}; from {call}"
        if isinstance(error, Fault):
            raise error
        if not isinstance(error, call.errors):
            raise Fault("undocumented", text) from error
        if call.flaw is None and not call.lies:
            raise Fault("refused", text) from error
        if isinstance(error, NAMELESS):
            return
        words = call.flaw or ARGUMENTS
        if not any(re.search(spelt(word), str(error)) for word in words):
            raise Fault("unnamed", text) from error

    def bits(self) -> bytes:
        """All parameters, read without `Model.parameters`, which has an effect."""
        return b"".join(view.tobytes() for view in self.views.values())

    # -------------------------------------------------------------------------------- oracle

    def expected(self, problem: Problem, measured: bool = False, grads: bool = True) -> Any:
        """What the textbook says of the model on a problem."""
        with np.errstate(all="ignore"):
            weights = problem.measure_weights if measured else problem.weights
            return reference.run(
                self.net,
                self.parameters(),
                problem.sequences,
                problem.targets if grads else None,
                weights,
                problem.state,
            )

    def close(self, name: str, got: Any, wanted: Any, scale: float | None = None) -> None:
        """Compare with the textbook, relative to the largest number; terms of 1 may cancel."""
        got, wanted = np.asarray(got, float), np.asarray(wanted, float)
        if got.shape != wanted.shape:
            raise Fault("wrong", f"{name} has shape {got.shape}, not {wanted.shape}")
        if not wanted.size:
            return
        if np.abs(wanted).max() > np.finfo(self.model.dtype).max and not np.isfinite(got).all():
            return  # the dtype does not have such numbers
        if self.is_chaotic:
            self.tally["comparisons left out: chaos"] += 1
            return
        scale = max(1e-6, float(np.abs(wanted).max()) if scale is None else scale)
        error = float(np.abs(got - wanted).max()) / scale
        if not error <= self.tolerance:
            raise Fault("wrong", f"{name} is off by {error:.1e} of {scale:.1e}")

    def close_gradients(self, gradients: Any, wanted: reference.Params) -> None:
        """Compare each gradient by name."""
        for name, gradient in wanted.items():
            self.close(name, gradients[name], gradient, family(name, wanted))


#: words that the message of a refusal must have one of, if it is not known what is wrong
ARGUMENTS = (
    *("X", "y", "lengths", "mask", "sample_weight", "class_weight", "initial_state", "weights"),
    *(
        "batches",
        "validation",
        "validation_split",
        "x ",
        "x[",
        "checkpoint",
        "resume",
        ".npy",
        ".npz",
    ),
)


def spelt(word: str) -> str:
    """Return a pattern for a word: an argument's name stands alone."""
    return rf"\b{word}\b" if word.isidentifier() else re.escape(word)


def fingerprints(value: Any) -> Iterator[Any]:
    """Yield what must not change of the inputs of a call."""
    if isinstance(value, np.ndarray):
        base = np.asarray(value)
        yield base.shape, base.strides, base.dtype.str, base.tobytes()
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from fingerprints(each)
    elif isinstance(value, (list, tuple)):
        yield len(value)
        for each in value:
            yield from fingerprints(each)
    elif hasattr(value, "to_numpy"):
        yield value.to_numpy().tobytes()
    elif hasattr(value, "array"):
        yield from fingerprints(value.array)
