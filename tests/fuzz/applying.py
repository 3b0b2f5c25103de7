"""Calls that apply a model to data: predictions, measures, gradients, the tutorial's interface."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from forms import dressed, masked, not_finite, out_of_range, wrong_dtype, wrong_shape
from judge import Call, Fault, World
from lies import changing, lying
from settings import NO_COUNT, NO_FLAG, without
from worlds import Problem

from rnn_fast.losses import LOSSES

IN = ("X", "lengths", "initial_state")
MEASURED = (*IN, "y", "mask", "sample_weight")
LEARNED = (*MEASURED, "class_weight")
#: arguments whose data may lie in files
ON_DISK = ("X", "y", "lengths", "mask", "sample_weight")


#: settings that must be refused
NO_SETTING = {"n_threads": without(NO_COUNT, None), "check_finite": NO_FLAG}


# ---------------------------------------------------------------------------- three kinds of call


def dress(world: World, arguments: dict[str, Any], files: bool = True) -> dict[str, Any]:
    """Return the arguments in other forms."""
    return {
        name: dressed(world.rng, value, world.files if files and name in ON_DISK else None)
        for name, value in arguments.items()
    }


def spoil(world: World, problem: Problem, arguments: dict[str, Any]) -> tuple[str, ...]:
    """Put one flaw into the arguments; return the words that its message must have one of."""
    rng, name = world.rng, world.pick([n for n in arguments if n != "class_weight"])
    value = arguments[name]
    words = ("lengths", "X") if name == "lengths" else (name, f"{name}[")
    if isinstance(value, (list, tuple)):
        i = int(rng.integers(len(value)))
        spoiled = [*value]
        spoiled[i] = flawed(world, problem, name, value[i], i)
        arguments[name] = type(value)(spoiled)
        if name == "sample_weight":
            words = (*words, "weight")
        return words
    arguments[name] = flawed(world, problem, name, value)
    return words


def flawed(
    world: World, problem: Problem, name: str, value: np.ndarray, i: int | None = None
) -> Any:
    """Return an argument with a flaw, of which nothing is in the padding."""
    rng, net = world.rng, world.net
    flaws: list[Callable[[], Any]] = [lambda: masked(rng, value), lambda: wrong_dtype(rng, value)]
    if i is None and (name == "X" or value.shape[0] > 1):
        flaws.append(lambda: wrong_shape(rng, value, fixed=name != "X"))
    indices = name == "lengths" or (name == "X" and net.embedding)
    indices |= name == "y" and LOSSES[net.loss].takes_classes
    inside = value.ndim < 2 if i is None else name == "X"  # a step of a list may be masked
    inside |= name not in ("X", "y", "sample_weight")
    if name != "mask" and (inside or problem.counts.all()):
        if indices:
            flaws.append(lambda: out_of_range(rng, value))
        else:
            flaws.append(lambda: not_finite(rng, value, world.model.dtype))
    if indices and name != "y":
        flaws.append(lambda: value + 0.5)
    return world.pick(flaws)()


def called(
    world: World,
    name: str,
    problem: Problem,
    arguments: dict[str, Any],
    check: Callable[[Any], None],
    **settings: Any,
) -> Any:
    """Call a method with the arguments in other forms, with a flaw, or with a lie."""
    method, roll = getattr(world.model, name), int(world.rng.integers(10))
    roll = 0 if world.honest else roll
    if roll == 0 and not world.honest:
        flags = [n for n in ("return_state", "input_gradients") if n in settings]
        bad = world.pick([*NO_SETTING, *flags])
        settings[bad] = world.pick(NO_SETTING.get(bad, NO_FLAG))
        call = partial(method, **arguments, **settings)
        return world.attempt(Call(name, call, arguments, flaw=(bad,)))
    if roll < 6:
        given = dress(world, arguments)
        call = partial(method, **given, **settings)
        return world.attempt(Call(name, call, given, check=check))
    if roll < 8:
        words = spoil(world, problem, arguments)
        call = partial(method, **arguments, **settings)
        return world.attempt(Call(name, call, arguments, flaw=words))
    if roll == 8:
        chosen = world.pick([n for n in arguments if n in ON_DISK])
        arguments[chosen] = lying(world.child(), arguments[chosen], world.files)
        return world.attempt(Call(name, partial(method, **arguments, **settings), lies=True))

    def run() -> Any:
        with changing(world.child(), arguments):
            return method(**arguments, **settings)

    return world.attempt(Call(f"{name}, scribbled on", run, lies=True))


# ----------------------------------------------------------------------------------------- calls


def shaped(problem: Problem, outs: list[np.ndarray]) -> Any:
    """Outputs of each sequence in the form of the results."""
    net = problem.net
    if not net.sequences:
        return np.array(outs)
    if problem.is_list:
        return outs
    whole = np.zeros((problem.N, problem.T, *outs[0].shape[1:]), outs[0].dtype)
    for row, out in zip(whole, outs, strict=True):
        row[: len(out)] = out
    return whole


def public_state(state: np.ndarray) -> Any:
    """A state (N, states, R, H) in PyTorch's form."""
    parts = state.transpose(1, 2, 0, 3)
    return tuple(parts) if len(parts) == 2 else parts[0]


def predict(world: World) -> None:
    """Logits, probabilities, labels, final states."""
    problem = world.problem()
    wanted = world.expected(problem, grads=False)
    loss, O = LOSSES[world.net.loss], world.net.output_size
    names = ["decision_function", "predict", "predict_proba"][: 3 if loss.classifies else 2]
    name, with_state = world.pick(names), world.flip(3)
    scale = max(1.0, max(np.abs(out).max() for out in wanted.outputs))

    def check(result: Any) -> None:
        if with_state:
            result, state = result
            parts = state if isinstance(state, tuple) else (state,)
            kept = np.array(parts).transpose(2, 0, 1, 3)
            world.close("state", kept, wanted.final, max(1.0, np.abs(wanted.final).max()))
        outs = wanted.outputs
        if name == "predict" and loss.classifies:
            check_labels(world, problem, result, outs)
            return
        if name == "predict_proba":
            outs = [loss.activation(out) for out in outs]
        outs = [out[..., 0] if O == 1 else out for out in outs]
        whole = shaped(problem, outs)
        if isinstance(whole, list):
            for i, (got, out) in enumerate(zip(result, whole, strict=True)):
                world.close(f"{name}[{i}]", got, out, scale)
        else:
            world.close(name, result, whole, scale)

    settings = {"n_threads": world.pick([None, 1, 2, 3]), "return_state": with_state}
    called(world, name, problem, problem.data(*IN), check, **settings)


def check_labels(world: World, problem: Problem, result: Any, outs: list[np.ndarray]) -> None:
    """Compare labels where rounding cannot change them."""
    O, loss = world.net.output_size, world.net.loss
    if loss == "bce":
        labels = [(out > 0).astype(np.int64) for out in outs]
        sure = [np.abs(out) > 1e-3 for out in outs]
    else:
        labels = [out.argmax(-1) for out in outs]
        top = [np.sort(out, axis=-1) for out in outs]
        sure = [t[..., -1] - t[..., -2] > 1e-3 for t in top]
    if loss == "bce" and O == 1:
        labels, sure = ([each[..., 0] for each in values] for values in (labels, sure))
    got, labels, sure = (result, shaped(problem, labels), shaped(problem, sure))
    pairs = (
        zip(got, labels, sure, strict=True) if isinstance(labels, list) else [(got, labels, sure)]
    )
    for mine, right, certain in pairs:
        if np.shape(mine) != np.shape(right) or mine.dtype != np.int64:
            raise Fault("wrong", f"labels have shape {np.shape(mine)}, not {np.shape(right)}")
        if (mine != right)[np.asarray(certain, bool)].any():
            raise Fault("wrong", "labels")


def evaluate(world: World) -> None:
    """Loss and accuracy, or mean squared error and R2."""
    problem = world.problem()
    wanted = world.expected(problem, measured=True)

    def check(measures: dict[str, float]) -> None:
        world.close("loss", measures["loss"], wanted.loss, max(1e-2, abs(wanted.loss)))
        if "accuracy" in measures:
            if world.model.dtype == np.float64:
                world.close("accuracy", measures["accuracy"], wanted.accuracy, 1.0)
            return
        world.close("mse", measures["mse"], wanted.accuracy, max(1e-2, wanted.accuracy))
        total = spread(problem)
        if total > 1e-6:
            r2 = 1 - wanted.accuracy / total
            world.close("r2", measures["r2"], r2, max(1.0, abs(r2)))

    called(world, "evaluate", problem, problem.data(*MEASURED), check, n_threads=world.pick([1, 3]))


def spread(problem: Problem) -> float:
    """Weighted mean over the outputs of the squared deviations of targets from their means."""
    y = np.concatenate(problem.targets) if problem.net.sequences else np.array(problem.targets)
    weights = np.ones(len(y))
    if problem.measure_weights is not None:
        weights = np.hstack(problem.measure_weights)
    mean = np.average(y, axis=0, weights=weights)
    return float(np.average(((y - mean) ** 2).mean(axis=1), weights=weights))


def gradients(world: World) -> None:
    """Loss and gradients with respect to parameters, states and inputs."""
    problem = world.problem()
    wanted, inputs = world.expected(problem), not world.net.embedding and world.flip()

    def check(result: Any) -> None:
        loss, found = result
        world.close("loss", loss, wanted.loss, max(1e-2, abs(wanted.loss)))
        if world.jumps:
            return
        world.close_gradients(found, wanted.gradients)
        if problem.state is not None:
            state = found["initial_state"]
            kept = np.array(state if isinstance(state, tuple) else (state,)).transpose(2, 0, 1, 3)
            world.close("initial_state", kept, wanted.dstate)
        if inputs:
            scale = max(np.abs(dx).max() for dx in wanted.dx)
            for i, dx in enumerate(wanted.dx):
                world.close(f"X[{i}]", found["X"][i][: len(dx)], dx, scale)

    settings = {"n_threads": world.pick([1, 2, 3]), "input_gradients": inputs}
    called(world, "loss_and_gradients", problem, problem.data(*LEARNED), check, **settings)


def measures(world: World) -> None:
    """All that the textbook says of a model, on valid data."""
    world.honest = True
    for one in (gradients, predict, evaluate):
        one(world)
