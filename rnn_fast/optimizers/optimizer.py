"""The declaration of an optimizer: its settings, its state, and the names of its compiled maths.

A compiled update reads a vector of float64, the *knobs*: `Limits`, then the optimizer's settings,
then the scalars of its state.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ..validation import Registry, fits

#: keys of `OPTIMIZERS` without those that a script adds
OptimizerName = Literal["sgd", "rmsprop", "adam", "adamw", "adagrad"]


class Limits(NamedTuple):
    """The first knobs, which all optimizers have."""

    updates: float = 0.0  # so far
    clip_norm: float = 0.0  # 0: no limit
    clip_value: float = 0.0


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optimizer; a subclass is a frozen dataclass whose fields are its settings.

    Attributes
    ----------
    name : str
        Key in `OPTIMIZERS`.
    kernel : str
        Compiled step of one register, as ``module:function``; see `optimizers.kernels`.
    begin_kernel : str
        Compiled change of the scalars before each update.
    state : tuple of str
        Vectors of the state, each as long as the parameters; they start at zero.
    scalars : tuple of (str, float)
        Scalars of the state and their starts.
    """

    name: ClassVar[str]
    kernel: ClassVar[str]
    begin_kernel: ClassVar[str] = "rnn_fast.optimizers.kernels:begin_nothing"
    state: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[tuple[tuple[str, float], ...]] = ()

    @property
    def is_plain(self) -> bool:
        """True if a step is ``p -= rate g``, so that rows out of use need none."""
        return False

    def check_dtype(self, dtype: np.dtype) -> None:
        """Raise ValueError for a setting that overflows in a dtype, or becomes 0 there."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value:
                fits(f"{type(self).__name__}.{field.name}", value, dtype)

    @classmethod
    @functools.cache
    def knobs_type(cls) -> Any:
        """Return the NamedTuple of the knobs."""
        settings = [field.name for field in dataclasses.fields(cls)]
        names = [*Limits._fields, *settings, *(name for name, _ in cls.scalars)]
        return NamedTuple(f"{cls.__name__}Knobs", [(name, float) for name in names])

    @classmethod
    def sources(cls) -> tuple[str, ...]:
        """Compiled maths that programs hold, as ``module:function`` and the layout it reads."""
        layout = f"{cls.knobs_type()._fields} {cls.state}"
        return f"{cls.kernel} {layout}", f"{cls.begin_kernel} {layout}"

    @classmethod
    def places(cls) -> Any:
        """Return the place of each knob, by name."""
        kind = cls.knobs_type()
        return kind(*range(len(kind._fields)))

    def knobs(self, clip_norm: float = 0.0, clip_value: float = 0.0) -> np.ndarray:
        """Return the knobs before the first update, float64; a limit of 0 is none."""
        limits = Limits(clip_norm=clip_norm, clip_value=clip_value)
        settings = (getattr(self, field.name) for field in dataclasses.fields(self))
        scalars = (start for _, start in self.scalars)
        return np.array([*limits, *settings, *scalars], np.float64)


OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer")
