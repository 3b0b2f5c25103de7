"""Training in float64 NumPy, batch by batch: penalties, limits of the gradient, every optimizer.

The textbook of `fit`, as `reference` is the textbook of the gradients.  `optimizer` and `schedule`
are anything with the fields and the name of the package's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import reference
from reference import Array, Params


def sgd(o: Any, p: Array, g: Array, s: Any, rate: float, count: int) -> Array:
    """v = momentum v + g; the step is v, or with Nesterov's momentum g + momentum v."""
    g = g + o.weight_decay * p
    s["v"] = o.momentum * s["v"] + g
    return p - rate * (g + o.momentum * s["v"] if o.nesterov else s["v"])


def rmsprop(o: Any, p: Array, g: Array, s: Any, rate: float, count: int) -> Array:
    """s = alpha s + (1 - alpha) g^2; the step is g / (sqrt(s) + epsilon)."""
    g = g + o.weight_decay * p
    s["square"] = o.alpha * s["square"] + (1 - o.alpha) * g**2
    s["mean"] = o.alpha * s["mean"] + (1 - o.alpha) * g
    size = s["square"] - s["mean"] ** 2 if o.centered else s["square"]
    s["v"] = o.momentum * s["v"] + g / (np.sqrt(np.maximum(size, 0.0)) + o.epsilon)
    return p - rate * s["v"]


def adam(o: Any, p: Array, g: Array, s: Any, rate: float, count: int) -> Array:
    """m and s are running means of g and g^2; the step is m^ / (sqrt(s^) + epsilon)."""
    if o.name == "adamw":
        p = p * (1 - rate * o.weight_decay)
    else:
        g = g + o.weight_decay * p
    s["mean"] = o.beta1 * s["mean"] + (1 - o.beta1) * g
    s["square"] = o.beta2 * s["square"] + (1 - o.beta2) * g**2
    mean, square = s["mean"] / (1 - o.beta1**count), s["square"] / (1 - o.beta2**count)
    return p - rate * mean / (np.sqrt(square) + o.epsilon)


def adagrad(o: Any, p: Array, g: Array, s: Any, rate: float, count: int) -> Array:
    """s = s + g^2; the step is g / (sqrt(s) + epsilon), at a rate that decays."""
    g = g + o.weight_decay * p
    s["square"] = s["square"] + g**2
    rate = rate / (1 + (count - 1) * o.lr_decay)
    return p - rate * g / (np.sqrt(s["square"]) + o.epsilon)


STEPS = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam, "adamw": adam, "adagrad": adagrad}


def factor(schedule: Any, x: float, epochs: int, step: float) -> float:
    """Factor of the learning rate at x epochs, where an update takes `step` epochs."""
    if schedule.name == "constant":
        return 1.0
    if schedule.name == "step":
        return float(schedule.factor ** math.floor(x / schedule.every))
    if schedule.name == "exponential":
        return float(schedule.factor ** math.floor(x))
    if schedule.name == "cosine":
        return schedule.end + (1 - schedule.end) * (1 + math.cos(math.pi * x / epochs)) / 2
    if schedule.name == "warmup":
        line = min(1.0, (x + step) / schedule.epochs)
        return line * factor(schedule.then, x, epochs, step)
    raise ValueError(f"the oracle has no schedule {schedule.name!r}")


class Descent:
    """An optimizer's state of each parameter, and what comes before its step."""

    def __init__(self, optimizer: Any, l1: Any, l2: Any, clip_norm: Any, clip_value: Any):
        self.optimizer, self.count, self.state = optimizer, 0, {}
        self.l1, self.l2, self.clip_norm, self.clip_value = l1, l2, clip_norm, clip_value

    def update(self, params: Params, gradients: Params, rate: float) -> float:
        """Take one step in place; return the penalty before it."""
        penalty, self.count = 0.0, self.count + 1
        for name, g in gradients.items():
            p, l1, l2 = params[name], strength(self.l1, name), strength(self.l2, name)
            penalty += float(l1 * np.abs(p).sum() + l2 * (p**2).sum() / 2)
            g += l1 * np.sign(p) + l2 * p
            if self.clip_value:
                np.clip(g, -self.clip_value, self.clip_value, out=g)
        if self.clip_norm:
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
            for g in gradients.values():
                g *= min(1.0, self.clip_norm / (norm + 1e-6))
        step = STEPS[self.optimizer.name]
        for name, g in gradients.items():
            zero = np.zeros_like(g)
            state = self.state.setdefault(name, {"v": zero, "mean": zero, "square": zero})
            params[name] = step(self.optimizer, params[name], g, state, rate, self.count)
        return penalty


def strength(penalty: Any, name: str) -> float:
    """The coefficient of a parameter: a number is for the matrices, a dict names parameters."""
    kind = name.partition("_")[0]
    if not isinstance(penalty, Mapping):
        return float(penalty or 0.0) if kind in ("Wxh", "Whh", "Why") else 0.0
    chosen = [factor for key, factor in penalty.items() if key in (name, kind)]
    return float(chosen[-1]) if chosen else 0.0


def epoch(
    net: Any,
    params: Params,
    data: tuple[list[Any], list[Any], list[Any] | None, Array | None],
    batches: list[Array],
    rates: list[float],
    descent: Descent,
) -> tuple[float, float, float]:
    """Train in place on batches of samples; return mean loss, accuracy and penalty.

    data : sequences, targets, weights, state, as for `reference.run`
    """
    sequences, targets, weights, state = data
    sums, penalties = np.zeros(3), []
    for batch, rate in zip(batches, rates, strict=True):
        x, y = ([values[i] for i in batch] for values in (sequences, targets))
        w = None if weights is None else [weights[i] for i in batch]
        weight = float(sum(map(len, x)) if net.sequences else len(x))
        if w is not None:
            weight = float(sum(np.sum(each) for each in w))
        if not weight:
            continue
        found = reference.run(net, params, x, y, w, None if state is None else state[batch])
        penalties.append(descent.update(params, found.gradients, rate))
        sums += weight * np.array([found.loss, found.accuracy, 1.0])
    loss, accuracy, weight = sums
    return loss / (weight or 1.0), accuracy / (weight or 1.0), float(np.mean(penalties or 0.0))
