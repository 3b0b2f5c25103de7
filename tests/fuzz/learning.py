"""Calls that train: `fit`, `fit_stream`, and a training that is stopped and resumed.

A valid call has the bits of its twin: a copy of the model, trained by one thread on plain arrays.
One epoch of it is compared with the textbook.
"""

from __future__ import annotations

import copy
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import reference_fit
from applying import LEARNED, dress, spoil
from common import without_times
from forms import dressed
from judge import Call, Fault, World
from lies import Whim, change, changing, lying
from settings import drawn_settings, flawed_settings
from worlds import Problem, copied

import rnn_fast
from rnn_fast.optimizers import chosen_optimizer
from rnn_fast.training.schedules import chosen_schedule
from rnn_fast.tuning import tuned

ONE_BLOCK = 1 << 25  #: bytes of a block, more than any case has


def twin_of(world: World) -> Any:
    """Return a copy of the model, with a copy of its random generator."""
    return copy.deepcopy(world.model)


def same_training(world: World, twin: Any, wanted: Any, got: Any) -> None:
    """Compare parameters and histories, bit by bit."""
    for name, view in world.views.items():
        if view.tobytes() != twin.parameters[name].tobytes():
            raise Fault("wrong", f"{name} differs from that of the plain call")
    mine, theirs = (without_times(history.arrays()) for history in (got, wanted))
    repr(got), got.to_frame()
    for name, values in theirs.items():
        if not np.array_equal(mine[name], values, equal_nan=True):
            raise Fault("wrong", f"history.{name} differs from that of the plain call")


def history_of(fit: Any) -> Any:
    """The history of a training, also of one that diverged."""
    try:
        return fit()
    except rnn_fast.DivergedError as error:
        return error.history


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings, with one thread."""
    return {**settings, "n_threads": 1}


def fit(world: World) -> None:
    """Train on arrays in any form, with flaws and with lies."""
    problem, roll = world.problem(), int(world.rng.integers(12))
    settings = drawn_settings(world, problem.N)
    if world.flip(4):
        settings["validation_data"] = validation(world)
        settings.pop("validation_split", None)
    if roll < 5:
        return fit_rightly(world, problem, settings)
    arguments = problem.data(*LEARNED)
    if roll < 7:
        bad, words = flawed_settings(world)
        settings = {**settings, **bad}
        if "validation_split" in bad:
            settings.pop("validation_data", None)
        elif "validation_data" in bad:
            settings.pop("validation_split", None)
    elif roll == 7:
        words = spoil(world, problem, arguments)
        settings.pop("shuffle_block", None)
    else:
        return fit_on_lies(world, arguments, settings)
    call = partial(world.model.fit, **arguments, **settings)
    with tuned(block_bytes=ONE_BLOCK):  # of several blocks the last alone is read before
        world.attempt(Call("fit", call, arguments, flaw=words))
    return None


def validation(world: World) -> tuple[Any, ...]:
    """Draw validation data."""
    data = {"mask": None}
    while "mask" in data:  # what it hides may be anything
        data = Problem(world.rng, world.net, 40).data()
    return tuple(data[name] for name in ("X", "y", "lengths") if name in data)


def fit_rightly(world: World, problem: Problem, settings: dict[str, Any]) -> None:
    """Train on valid data; compare with the plain call, and with the textbook."""
    with tuned(block_bytes=ONE_BLOCK):  # files are one block, as arrays are
        fit_as_twin(world, problem, settings)


def fit_as_twin(world: World, problem: Problem, settings: dict[str, Any]) -> None:
    """See `fit_rightly`."""
    twin, before = twin_of(world), world.parameters()
    generator = copy.deepcopy(world.generator)
    wanted = history_of(partial(twin.fit, **problem.data(*LEARNED), **plain(settings)))
    given = dress(world, problem.data(*LEARNED))
    held_out = settings.get("validation_data") or ()
    checks = {"validation_data": tuple(dressed(world.rng, v) for v in held_out) or None}
    calls: list[int] = []
    callback = [lambda model, history: calls.append(len(history))]

    def check(history: Any) -> None:
        same_training(world, twin, wanted, history)
        if calls != [*range(1, len(history) + 1)]:
            raise Fault("wrong", f"callbacks were called at epochs {calls}")
        follow_textbook(world, problem, settings, before, generator, history)

    run = partial(world.model.fit, **given, **{**settings, **checks}, callbacks=callback)
    world.attempt(Call("fit", partial(history_of, run), given, check=check))


def follow_textbook(
    world: World,
    problem: Problem,
    settings: dict[str, Any],
    before: Any,
    generator: np.random.Generator,
    history: Any,
) -> None:
    """Compare a training of few updates with float64, batch by batch."""
    schedule, N = chosen_schedule("schedule", settings["schedule"]), problem.N
    size = settings["batch_size"] or N
    n_batches = -(-N // size)
    drops = world.model.dropout and world.net.layers > 1
    windows = settings.get("bptt", problem.T) < problem.lengths.max()
    known = schedule.name != "plateau" and not settings["early_stopping"] and not drops
    whole = not ({"shuffle_block", "validation_split"} & {*settings}) and not windows
    small = 0 < settings["epochs"] * n_batches <= 6 and len(history) == settings["epochs"]
    optimizer = chosen_optimizer(settings["optimizer"])
    steady = getattr(optimizer, "epsilon", 1.0) > 1e-4
    if world.jumps or not (known and whole and small and steady):
        return
    names = ("l1", "l2", "clip_norm", "clip_value")
    descent = reference_fit.Descent(optimizer, *(settings[name] for name in names))
    data = (problem.sequences, problem.targets, problem.weights, problem.state)
    rate = settings["learning_rate"]
    rate = world.model.learning_rate if rate is None else rate
    for e in range(settings["epochs"]):
        order = generator.permutation(N) if settings["shuffle"] else np.arange(N)
        if world.model.dropout:
            generator.integers(2**62)
        batches = [order[at : at + size] for at in range(0, N, size)]
        where = [e + i / n_batches for i in range(n_batches)]
        step = 1 / n_batches
        rates = [rate * reference_fit.factor(schedule, x, settings["epochs"], step) for x in where]
        with np.errstate(all="ignore"):
            found = reference_fit.epoch(world.net, before, data, batches, rates, descent)
        world.close(f"loss of epoch {e + 1}", history.loss[e], found[0], max(1e-2, abs(found[0])))
        if history.penalty is not None:
            world.close("penalty", history.penalty[e], found[2], max(1e-2, found[2]))
    for name, view in world.views.items():
        world.close(f"{name} after fit", view, before[name], max(1e-2, np.abs(before[name]).max()))


def fit_on_lies(world: World, arguments: dict[str, Any], settings: dict[str, Any]) -> None:
    """Train on data that change: by a callback, by another thread, by themselves."""
    kind, model, rng = int(world.rng.integers(4)), world.model, world.child()
    settings["epochs"] = 3
    if kind == 0:

        def meddle(model: Any, history: Any) -> None:
            change(rng, arguments)

        run = partial(model.fit, **arguments, **settings, callbacks=[meddle])
    elif kind == 1:
        lies = world.pick([n for n in arguments if n in ("X", "y", "lengths", "sample_weight")])
        arguments[lies] = lying(rng, arguments[lies], world.files)
        run = partial(model.fit, **arguments, **settings)
    elif kind == 2:

        def run() -> Any:
            with changing(rng, arguments):
                return model.fit(**arguments, **settings)
    else:
        run = partial(model.fit, **arguments, **settings, callbacks=[partial(interfere, world)])
    world.attempt(Call(f"fit, lie {kind}", run, lies=True))


def interfere(world: World, model: Any, history: Any) -> Any:
    """Do within a callback what nobody should."""
    kind = int(world.rng.integers(7))
    if kind == 0:
        raise Whim("the callback has had enough")
    if kind == 1:
        return np.True_
    if kind == 2:
        small = Problem(world.rng, world.net, 10)
        model.fit(**small.data(*LEARNED), epochs=1, verbose=0)
    elif kind == 3:
        model.predict(Problem(world.rng, world.net, 10).sequences)
    elif kind == 4:
        history.loss.clear()
    elif kind == 5:
        model.Why[...] = 0.25
    else:
        model.learning_rate = 0.0
    return None


# ---------------------------------------------------------------------------------- streams


def stream(world: World) -> None:
    """Train on the items of an iterable."""
    problems = [Problem(world.rng, world.net, 40) for _ in range(int(world.rng.integers(1, 5)))]
    settings, roll = drawn_settings(world, 1, streams=True), int(world.rng.integers(10))
    settings["batch_size"] = world.pick([None, None, 2])
    items = [problem.data(*LEARNED) for problem in problems]
    if roll < 5:
        twin = twin_of(world)
        fresh = [copied(item) for item in items]
        wanted = history_of(partial(twin.fit_stream, fresh, **plain(settings)))
        given: Any = [dress(world, item, files=False) for item in items]
        if reuses := world.flip(3):
            given = Reusing(items)
        run = partial(world.model.fit_stream, given, **settings)
        check = partial(same_training, world, twin, wanted)
        inputs = None if reuses else given
        world.attempt(Call("fit_stream", partial(history_of, run), inputs, check=check))
    elif roll < 7:
        bad, words = flawed_settings(world, streams=True)
        run = partial(world.model.fit_stream, items, **{**settings, **bad})
        world.attempt(Call("fit_stream", run, items, flaw=words))
    else:
        given = Unruly(world, items, int(world.rng.integers(8)))
        run = partial(world.model.fit_stream, given, **{**settings, "epochs": 2})
        world.attempt(Call(f"fit_stream, lie {given.kind}", run, lies=True))


class Reusing:
    """Items that are all in the same buffers, where their shapes are equal."""

    def __init__(self, items: list[dict[str, Any]]):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Any:
        kept: dict[Any, np.ndarray] = {}
        for item in self.items:
            out = dict(item)
            for name, value in item.items():
                if isinstance(value, np.ndarray):
                    buffer = kept.setdefault((name, value.shape, value.dtype), np.empty_like(value))
                    buffer[...] = value
                    out[name] = buffer
            yield out
            for buffer in kept.values():  # nothing may still read them
                buffer[...] = 0


NO_ITEMS: list[Any] = [None, 3, "xy", (1,), {"X": 1}, {"X": 1, "y": 1, "z": 1}, (1, 2, 3, 4)]


class Unruly:
    """Items that are none, change, raise, or are not as many as they say."""

    def __init__(self, world: World, items: list[Any], kind: int):
        self.files, self.rng, self.items, self.kind = world.files, world.child(), items, kind

    def __len__(self) -> int:
        if self.kind == 0:
            raise TypeError("length unknown")
        return len(self.items) + (self.kind == 1)

    def __iter__(self) -> Any:
        kind, rng = self.kind, self.rng
        for i, item in enumerate(self.items):
            yield item
            if kind == 2:
                raise Whim("the stream broke")
            if kind == 3:
                yield NO_ITEMS[rng.integers(len(NO_ITEMS))]
            if kind == 4:
                change(rng, self.items[: i + 1])
            if kind == 5 and i == 0:
                return
            if kind == 6:
                yield {**item, "X": lying(rng, item["X"], self.files)}
            if kind == 7:
                yield from self.items


# ---------------------------------------------------------------------------------- resuming


def resume(world: World) -> None:
    """Stop a training by an error of a callback, resume it, and compare with an unbroken one."""
    problem, path = world.problem(), world.folder / f"checkpoint-{world.tally['calls']}"
    settings = drawn_settings(world, problem.N) | {"epochs": 4}
    stop = int(world.rng.integers(1, 4))
    whole, again = twin_of(world), twin_of(world)
    wanted = history_of(partial(whole.fit, **problem.data(*LEARNED), **plain(settings)))

    def break_off(model: Any, history: Any) -> None:
        if len(history) == stop:
            raise Whim("enough")

    keep = {"checkpoint": path, "checkpoint_every": world.pick([1, 2])}
    given = problem.data(*LEARNED)
    run = partial(world.model.fit, **given, **settings, **keep, callbacks=[break_off])
    world.attempt(Call("fit with a checkpoint", partial(history_of, run), given, lies=True))
    given = problem.data(*LEARNED)
    if "shuffle_block" not in settings:
        given = dress(world, given, files=False)
    if damaged := world.flip(4) and path.exists():
        data = bytearray(path.read_bytes())
        data[int(world.rng.integers(len(data)))] ^= 1 << int(world.rng.integers(8))
        path.write_bytes(data)  # the checkpoint before it will do
    run = partial(again.fit, **given, **settings, **keep, resume=True)
    check = partial(same_training, SimpleNamespace(views=again.parameters), whole, wanted)
    world.attempt(Call("fit, resumed", partial(history_of, run), given, check=check, lies=damaged))
