"""The measure that early stopping or a schedule watches, and its better direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..layout.network import Network
from ..losses import LOSSES
from ..losses.loss import SIGNS
from ..validation import choice
from .history import History

#: signs of the modes; "auto" is the measure's own
MODES = {"min": 1.0, "max": -1.0}
MEASURES = (*SIGNS, *(f"val_{name}" for name in SIGNS))


class Monitor(NamedTuple):
    """A column of the history, and 1.0 if less is better there, -1.0 if more is."""

    column: str
    sign: float

    @classmethod
    def of(cls, name: str, rule: Any, columns: Sequence[str]) -> Monitor:
        """Return the monitor of a rule, which has a `monitor` and a `mode`, or of None.

        Parameters
        ----------
        name : str
            Argument, for the message.
        rule : EarlyStopping, ReduceOnPlateau or None
            A monitor of None is the loss, of the validation data if there are any.
        columns : sequence of str
            Measures of this training, see `measures_of`.

        Raises
        ------
        ValueError
            This training will not have the measure.
        """
        column = None if rule is None else rule.monitor
        if column is None:
            column = "val_loss" if "val_loss" in columns else "loss"
        choice(f"{name}.monitor, in this training,", column, columns)
        mode = "auto" if rule is None else rule.mode
        return cls(column, MODES.get(mode, SIGNS[column.removeprefix("val_")]))

    def last(self, history: History) -> float:
        """Return the value after the last epoch, with a sign so that less is better."""
        value: float = self.sign * getattr(history, self.column)[-1]
        return value


def measures_of(net: Network, validates: bool) -> tuple[str, ...]:
    """Return the columns that may be watched in a training of a network."""
    own = LOSSES[net.loss].measures
    return (*own, *(f"val_{name}" for name in own if validates))


def monitor(name: str, value: Any) -> str | None:
    """Check the name of a measure; None passes."""
    return None if value is None else choice(name, value, MEASURES)


def mode(name: str, value: Any) -> str:
    """Check a direction."""
    return choice(name, value, ("auto", *MODES))
