"""Descent along the sign of a running mean, which no file of the package names.

Bernstein et al., signSGD, ICML 2018.
"""

from dataclasses import dataclass
from typing import ClassVar

from rnn_fast import validation
from rnn_fast.jit import kernel
from rnn_fast.optimizers import OPTIMIZERS, Optimizer
from rnn_fast.simd import flush, fma, load, store, where_less


# declaration
@OPTIMIZERS.add
@dataclass(frozen=True)
class Signum(Optimizer):
    """``m = beta m + (1 - beta) g;  p -= rate sign(m)``."""

    beta: float = 0.9

    name: ClassVar[str] = "signum"
    kernel: ClassVar[str] = f"{__name__}:signum"
    state: ClassVar[tuple[str, ...]] = ("mean",)

    def __post_init__(self) -> None:
        validation.rate("beta", self.beta, below=1)


# end of the declaration


# maths
@kernel(inline=True)
def signum(p, g, m, n, rate, knobs):
    """One register: parameters at p, gradients at g, the mean at m."""
    mean = load(m)
    mean = flush(fma(load(g) - mean, 1.0 - knobs.beta, mean))
    store(m, mean)
    sign = where_less(0.0, mean, 1.0, where_less(mean, 0.0, -1.0, mean))
    store(p, fma(sign, -rate, load(p)))


# end of the maths
