"""The tutorial's interface: `forward`, and one step of descent by `backward`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import reference
from forms import dressed, masked, wrong_dtype
from judge import Call, World
from lies import change
from worlds import Problem

from rnn_fast.losses import LOSSES


def online(world: World) -> None:
    """Outputs of one sequence or a batch, then a step of descent; or what must be refused."""
    problem, single = Problem(world.rng, world.net, 40), world.flip()
    if problem.is_list or "lengths" in problem.arguments:
        return
    x = problem.arguments["X"][0] if single else problem.arguments["X"]
    if x.ndim == 3 and x.shape[1:] == (world.net.input_size, 1):
        return  # these are columns of one sequence
    if world.flip(5):
        refuse(world, x)
        return
    before, chosen = world.parameters(), slice(0, 1 if single else None)
    data = problem.sequences[chosen], problem.targets[chosen]
    given, wanted = dressed(world.rng, x), run(world, before, *data)
    activation = LOSSES[world.net.loss].activation

    def check(outputs: Any) -> None:
        outs = np.array([activation(out) for out in wanted.outputs])
        world.close("outputs", outputs, outs[0] if single else outs, max(1.0, np.abs(outs).max()))

    forward = partial(world.model.forward, given)
    if world.attempt(Call("forward", forward, given, check=check)) is None:
        return
    change(world.rng, given)  # it was copied
    if world.flip(3):  # `backward` repeats the forward pass
        world.model.Why = before["Why"] = before["Why"] / 2
        wanted = run(world, before, *data)
    y = np.array(problem.targets[0] if single else problem.targets)
    if world.flip(3):
        bad = world.pick([np.nan, "text", None, [[[0.0]]], 10**400, masked(world.rng, y[None])])
        world.attempt(Call("backward", partial(world.model.backward, bad), bad, flaw=("y",)))

    def learned(result: Any) -> None:
        for name, gradient in wanted.gradients.items():
            step = before[name] - world.model.learning_rate * gradient
            scale = max(np.abs(step).max(), np.abs(before[name]).max(), 1e-3)
            if not world.jumps:
                world.close(f"{name} after backward", world.views[name], step, scale)

    world.attempt(Call("backward", partial(world.model.backward, y), y, check=learned))


def run(world: World, parameters: reference.Params, *data: Any) -> reference.Result:
    with np.errstate(all="ignore"):
        return reference.run(world.net, parameters, *data)


def refuse(world: World, x: np.ndarray) -> None:
    """Give `forward` what is no sequence."""
    wrong = [masked(world.rng, x), wrong_dtype(world.rng, x), x[None, None], x[:0], None, 3]
    bad = world.pick(wrong)
    world.attempt(Call("forward", partial(world.model.forward, bad), bad, flaw=("x",)))
