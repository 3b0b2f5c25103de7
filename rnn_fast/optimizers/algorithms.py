"""How parameters descend: the optimizers, as what `fit` is given by name or as an object.

Each is the algorithm of that name in PyTorch, step by step; `updates` has the compiled ones.  With
g the gradient, p the parameters, and a state that starts at zero with every `fit`::

    SGD      v = momentum v + g;                      p -= rate v            (Polyak, 1964)
    RMSprop  s = decay s + (1 - decay) g^2;           p -= rate g / (sqrt(s) + epsilon)
    Adam     m = beta1 m + (1 - beta1) g, s likewise; p -= rate m^ / (sqrt(s^) + epsilon)
    AdamW    p -= rate weight_decay p, then as Adam
    Adagrad  s += g^2;                                p -= rate g / (sqrt(s) + epsilon)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Union

from .. import validation
from .record import Knobs


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Parameters
    ----------
    momentum : float
        In [0, 1).
    nesterov : bool
        Descend along ``g + momentum v`` (Sutskever et al., 2013); needs a momentum.
    weight_decay : float
        Adds ``weight_decay p`` to g.
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        validation.rate("momentum", self.momentum, below=1)
        validation.rate("weight_decay", self.weight_decay)
        if validation.flag("nesterov", self.nesterov) and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0")


@dataclass(frozen=True)
class RMSprop:
    """Divide by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    Parameters
    ----------
    decay : float
        In [0, 1): of the mean square; PyTorch's ``alpha``.
    epsilon : float
    momentum : float
        In [0, 1): of what is descended along.
    centered : bool
        Subtract the square of a running mean: divide by a standard deviation (Graves, 2013).
    weight_decay : float
        Adds ``weight_decay p`` to g.
    """

    decay: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    weight_decay: float = 0.0

    name: ClassVar[str] = "rmsprop"

    def __post_init__(self) -> None:
        validation.rate("decay", self.decay, below=1)
        validation.above_zero("epsilon", self.epsilon)
        validation.rate("momentum", self.momentum, below=1)
        validation.flag("centered", self.centered)
        validation.rate("weight_decay", self.weight_decay)


@dataclass(frozen=True)
class Adam:
    """Adaptive moments (Kingma and Ba, 2015).

    Parameters
    ----------
    momentum, decay : float
        In [0, 1): of the first and the second moment, beta1 and beta2.
    epsilon : float
    weight_decay : float
        Adds ``weight_decay p`` to g.
    """

    momentum: float = 0.9
    decay: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    name: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        validation.rate("momentum", self.momentum, below=1)
        validation.rate("decay", self.decay, below=1)
        validation.above_zero("epsilon", self.epsilon)
        validation.rate("weight_decay", self.weight_decay)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    momentum, decay : float
        In [0, 1): of the first and the second moment, beta1 and beta2.
    epsilon : float
    weight_decay : float
        Each update shrinks p by ``learning_rate weight_decay p``.
    """

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"


@dataclass(frozen=True)
class Adagrad:
    """Divide by the root of the sum of all squared gradients (Duchi et al., 2011).

    Parameters
    ----------
    rate_decay : float
        The k-th update is at ``learning_rate / (1 + (k - 1) rate_decay)``.
    epsilon : float
    weight_decay : float
        Adds ``weight_decay p`` to g.
    """

    rate_decay: float = 0.0
    epsilon: float = 1e-10
    weight_decay: float = 0.0

    name: ClassVar[str] = "adagrad"

    def __post_init__(self) -> None:
        validation.rate("rate_decay", self.rate_decay)
        validation.above_zero("epsilon", self.epsilon)
        validation.rate("weight_decay", self.weight_decay)


Optimizer = Union[SGD, RMSprop, Adam, AdamW, Adagrad]  # noqa: UP007  # `|` of classes needs no 3.10
KINDS: tuple[Any, ...] = (SGD, RMSprop, Adam, AdamW, Adagrad)
OPTIMIZERS = {kind.name: kind for kind in KINDS}


def chosen_optimizer(value: Any) -> Optimizer:
    """`value` as an optimizer; a name stands for one with its defaults.

    Raises
    ------
    TypeError, ValueError
        It is none.
    """
    if isinstance(value, KINDS):
        return value
    if isinstance(value, type) or not isinstance(value, str):
        raise TypeError(
            f"optimizer must be a name or an object such as SGD(momentum=0.9); got {value!r}"
        )
    return OPTIMIZERS[validation.choice("optimizer", value, OPTIMIZERS)]()


def knobs_of(optimizer: Optimizer, clip_norm: float = 0.0, clip_value: float = 0.0) -> Knobs:
    """What the compiled update reads before its first step; a limit of 0 is none."""
    own = {name: float(value) for name, value in vars(optimizer).items()}
    return Knobs(**own, clip_norm=clip_norm, clip_value=clip_value)
