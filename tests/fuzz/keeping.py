"""Calls that make, keep, copy and change models, and make the small objects."""

from __future__ import annotations

import copy
import pickle
import warnings
from functools import partial
from typing import Any

import numpy as np
import reference
from forms import dressed, masked, not_finite, wrong_dtype
from judge import Call, Fault, World
from settings import SMALL, flawed_option
from worlds import CORE, Problem, numbers

import rnn_fast


def same_model(world: World, other: Any) -> None:
    """Compare the parameters and the arguments of two models."""
    if type(other) is not type(world.model) or repr(other) != repr(world.model):
        raise Fault("wrong", f"{other!r} is not {world.model!r}")
    for name, view in other.parameters.items():
        if view.tobytes() != world.views[name].tobytes() or view.shape != world.views[name].shape:
            raise Fault("wrong", f"{name} of the copy differs")


def construct(world: World) -> None:
    """Make a model: right shapes, or a refusal."""
    if world.flip():
        bad, words = flawed_option(world)
        world.attempt(Call("constructor", partial(world.make, **bad), flaw=words))
        return

    def check(model: Any) -> None:
        shapes = {name: view.shape for name, view in model.parameters.items()}
        if shapes != reference.shapes(world.net):
            raise Fault("wrong", f"shapes {shapes}")
        if not all(np.isfinite(view).all() for view in model.parameters.values()):
            raise Fault("wrong", "parameters are not finite")
        repr(model), dir(model)

    world.attempt(Call("constructor", partial(world.make, seed=1), check=check))


def small_objects(world: World) -> None:
    """Refuse the settings of optimizers, schedules, early stopping and tasks; draw from a task."""
    if world.flip(3):
        return draw_task(world)
    maker, name, values = world.pick(SMALL)
    run = partial(maker, **{name: world.pick(values)})
    world.attempt(Call(maker.__name__, run, flaw=(name,)))
    return None


def draw_task(world: World) -> None:
    """Draw sequences of a task, or a number of sequences that must be refused."""
    tasks = rnn_fast.tasks
    task = world.pick(
        [
            tasks.SignOfSum(int(world.rng.integers(1, 20)), 2),
            tasks.Adding(int(world.rng.integers(2, 20))),
            tasks.Copying(3, 2, 2),
            tasks.TemporalOrder(int(world.rng.integers(10, 30))),
        ]
    )
    if world.flip():
        n = world.pick([0, -1, 2.5, "x", None, 10**400])
        bad = world.pick(["draw", "batches"]) if n not in (10**400, 0) else "batches"
        if n == 10**400:
            return
        world.attempt(Call(f"task.{bad}", lambda: getattr(task, bad)(n), flaw=("n",)))
        return

    def check(result: Any) -> None:
        X, y = result
        if len(X) != 5 or len(y) != 5 or not np.isfinite(X).all() or not np.isfinite(y).all():
            raise Fault("wrong", f"{task}")

    world.attempt(Call("task.draw", lambda: task.draw(5, seed=0), check=check))


def save(world: World) -> None:
    """Save and load; load what is damaged."""
    path = world.folder / "model"
    world.attempt(Call("save", lambda: world.model.save(path)))
    if world.flip():
        data, n = bytearray(path.read_bytes()), 1 + int(world.rng.integers(4))
        if world.flip():
            del data[int(world.rng.integers(len(data))) :]
        else:
            for at in world.rng.integers(len(data), size=n):
                data[at] ^= 1 << int(world.rng.integers(8))
        if bytes(data) == path.read_bytes():
            return
        path.write_bytes(data)
        world.attempt(Call("load", lambda: rnn_fast.load(path), flaw=(str(path),)))
        return
    if world.flip(4):
        bad = world.pick([world.folder, world.folder / "nothing", 3.5, None, b"\0", "\0"])
        words = ("path", "os.PathLike", "null ")
        world.attempt(Call("load", lambda: rnn_fast.load(bad), flaw=words))
    generator = np.random.default_rng(7)
    check = partial(same_model, world)
    loaded = world.attempt(Call("load", lambda: rnn_fast.load(path, seed=generator), check=check))
    if loaded is not None:
        world.generator = generator
        world.adopt(loaded)


def duplicate(world: World) -> None:
    """Copy a model; the copy goes on as the model does."""
    ways: list[Any] = [
        copy.copy,
        copy.deepcopy,
        lambda model: pickle.loads(
            pickle.dumps(model, world.pick([0, 2, pickle.HIGHEST_PROTOCOL]))
        ),
    ]
    way = world.pick(ways)
    other = world.attempt(Call("copy", lambda: way(world.model), check=partial(same_model, world)))
    if other is None:
        return
    problem, before = Problem(world.rng, world.net, 30), world.bits()
    other.Why = other.Why + 1
    if world.bits() != before:
        raise Fault("wrong", "a copy shares its parameters")
    other.decision_function(problem.data("X")["X"] if problem.is_list else problem.sequences)


def assign(world: World) -> None:
    """Assign a parameter: an array in any form, or one that must be refused."""
    name = world.pick([*world.views])
    view = world.views[name]
    value = numbers(world.rng, view.shape, 0.25)
    roll = int(world.rng.integers(8))
    if roll < 4:
        given = dressed(world.rng, value)

        def check(result: Any) -> None:
            if not np.array_equal(view, value.astype(view.dtype)):
                raise Fault("wrong", f"{name} after an assignment")

        world.attempt(
            Call("assign", partial(setattr, world.model, name, given), given, check=check)
        )
        return
    flaws = [
        lambda: masked(world.rng, value),
        lambda: wrong_dtype(world.rng, value),
        lambda: not_finite(world.rng, value, view.dtype),
        lambda: value[None, None],
        lambda: np.concatenate([value, value]),
    ]
    bad = world.pick(flaws)()
    if roll < 7:
        world.attempt(Call("assign", partial(setattr, world.model, name, bad), flaw=(name,)))
    else:
        run = partial(setattr, world.model, "Wxh_l7", 3)
        world.attempt(Call("assign", run, flaw=("Wxh_l7",), errors=(AttributeError,)))


def assign_in_place(world: World) -> None:
    """Change a parameter by an operator: what is refused changes nothing."""
    name = world.pick([*world.views])
    factor = world.pick([0.5, np.nan, np.inf])

    def run() -> None:
        value = getattr(world.model, name)
        with np.errstate(all="ignore"):
            value *= factor
        setattr(world.model, name, value)

    flaw = None if factor == 0.5 else (name,)
    world.attempt(Call("in-place change", run, flaw=flaw))


def through_torch(world: World) -> None:
    """Convert to PyTorch and back, where it is at hand and has the cell."""
    if world.programs in CORE:  # to import it takes longer than these cases
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
    except ImportError:
        return

    supported = world.net.cell in ("tanh", "relu", "gru", "lstm")
    flaw = None if supported else ("PyTorch",)
    module = world.attempt(Call("to_torch", world.model.to_torch, flaw=flaw))
    if module is None:
        return
    problem = Problem(world.rng, world.net, 30)
    X = problem.sequences[0][None]
    with torch.no_grad():
        kind = torch.int64 if world.net.embedding else getattr(torch, world.model.dtype.name)
        out = module.eval()(torch.tensor(X, dtype=kind)).numpy()
    own = world.model.decision_function(X)
    world.close("to_torch", out.reshape(own.shape), own, max(1.0, np.abs(own).max()))
    if world.model.learn_initial_state:
        return

    def check(model: Any) -> None:
        world.close("from_torch", model.decision_function(X), own, max(1.0, np.abs(own).max()))

    options = {"loss": world.net.loss, "return_sequences": world.net.sequences}
    world.attempt(Call("from_torch", lambda: rnn_fast.from_torch(module, **options), check=check))
