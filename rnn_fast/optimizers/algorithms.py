"""The optimizers, as `fit` takes them by name or as an object.

Each is the algorithm of that name in PyTorch, step by step; `optimizers.kernels` has the compiled
steps.  With g the gradient, p the parameters, and a state that starts at zero::

    SGD      v = momentum v + g;                      p -= rate v            (Polyak, 1964)
    RMSprop  s = alpha s + (1 - alpha) g^2;           p -= rate g / (sqrt(s) + epsilon)
    Adam     m = beta1 m + (1 - beta1) g
             s = beta2 s + (1 - beta2) g^2;           p -= rate m^ / (sqrt(s^) + epsilon)
    AdamW    p -= rate weight_decay p, then as Adam
    Adagrad  s += g^2;                                p -= rate g / (sqrt(s) + epsilon)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from .. import validation
from ..validation import above_zero, check_fields, flag, rate
from .optimizer import OPTIMIZERS, Optimizer

SHARE = partial(rate, below=1)
KERNELS = "rnn_fast.optimizers.kernels"


@OPTIMIZERS.add
@dataclass(frozen=True)
class SGD(Optimizer):
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
    kernel: ClassVar[str] = f"{KERNELS}:sgd"
    state: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        check_fields(self, momentum=SHARE, nesterov=flag, weight_decay=rate)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0")

    @property
    def is_plain(self) -> bool:
        """True without momentum and decay."""
        return not (self.momentum or self.weight_decay)


@OPTIMIZERS.add
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Divide by a running root mean square of the gradient (Tieleman and Hinton, 2012).

    Parameters
    ----------
    alpha : float
        In [0, 1): decay of the mean square.
    epsilon : float
        Added to the root.
    momentum : float
        In [0, 1), of the steps.
    centered : bool
        Subtract the square of a running mean: divide by a standard deviation (Graves, 2013).
    weight_decay : float
        Adds ``weight_decay p`` to g.
    """

    alpha: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    weight_decay: float = 0.0

    name: ClassVar[str] = "rmsprop"
    kernel: ClassVar[str] = f"{KERNELS}:rmsprop"
    state: ClassVar[tuple[str, ...]] = ("square", "mean", "velocity")

    def __post_init__(self) -> None:
        check_fields(self, alpha=SHARE, epsilon=above_zero, momentum=SHARE)
        check_fields(self, centered=flag, weight_decay=rate)


@OPTIMIZERS.add
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba, 2015).

    Parameters
    ----------
    beta1, beta2 : float
        In [0, 1): decay of the first and the second moment.
    epsilon : float
        Added to the root of the second moment.
    weight_decay : float
        Adds ``weight_decay p`` to g.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    name: ClassVar[str] = "adam"
    kernel: ClassVar[str] = f"{KERNELS}:adam"
    begin_kernel: ClassVar[str] = f"{KERNELS}:begin_adam"
    state: ClassVar[tuple[str, ...]] = ("mean", "square")
    scalars: ClassVar[tuple[tuple[str, float], ...]] = (("power1", 1.0), ("power2", 1.0))

    def __post_init__(self) -> None:
        check_fields(self, beta1=SHARE, beta2=SHARE, epsilon=above_zero, weight_decay=rate)


@OPTIMIZERS.add
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    beta1, beta2 : float
        In [0, 1): decay of the first and the second moment.
    epsilon : float
        Added to the root of the second moment.
    weight_decay : float
        Each update shrinks p by ``learning_rate weight_decay p``.
    """

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"
    kernel: ClassVar[str] = f"{KERNELS}:adamw"


@OPTIMIZERS.add
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Divide by the root of the sum of all squared gradients (Duchi et al., 2011).

    Parameters
    ----------
    lr_decay : float
        The k-th update is at ``learning_rate / (1 + (k - 1) lr_decay)``.
    epsilon : float
        Added to the root.
    weight_decay : float
        Adds ``weight_decay p`` to g.
    """

    lr_decay: float = 0.0
    epsilon: float = 1e-10
    weight_decay: float = 0.0

    name: ClassVar[str] = "adagrad"
    kernel: ClassVar[str] = f"{KERNELS}:adagrad"
    state: ClassVar[tuple[str, ...]] = ("square",)

    def __post_init__(self) -> None:
        check_fields(self, lr_decay=rate, epsilon=above_zero, weight_decay=rate)


def chosen_optimizer(value: Any) -> Optimizer:
    """Return `value` as an optimizer; a name stands for one with its defaults.

    Raises
    ------
    TypeError, ValueError
        `value` is neither.
    """
    if isinstance(value, Optimizer):
        return value
    if not isinstance(value, str):
        raise TypeError(
            "optimizer must be a name or an object such as SGD(momentum=0.9); got "
            f"{validation.shown(value)}"
        )
    return OPTIMIZERS[validation.choice("optimizer", value, OPTIMIZERS)]()
