"""The measure that early stopping or a schedule watches, and its better direction."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

from ..layout.network import Network
from ..losses import LOSSES
from ..losses.loss import SIGNS
from ..validation import choice
from .history import History

#: signs of the modes; "auto" is the measure's own
MODES = {"min": 1.0, "max": -1.0}
Measure = Literal["loss", "accuracy", "mse", "r2", "val_loss", "val_accuracy", "val_mse", "val_r2"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
Mode = Literal["auto", "min", "max"]


class Monitor(NamedTuple):
    """A column of the history, and 1.0 if less is better there, -1.0 if more is."""

    column: str
    sign: float

    @classmethod
    def of(cls, name: str, rule: Any, net: Network, validates: bool) -> Monitor:
        """Return the monitor of a rule, which has a `monitor` and a `mode`.

        Parameters
        ----------
        name : str
            Argument, for the message.
        rule : EarlyStopping or ReduceOnPlateau
            A monitor of None is the loss, of the validation data if there are any.
        net : Network
        validates : bool
            Whether there are validation data.

        Raises
        ------
        ValueError
            The training will not have the measure.
        """
        own = LOSSES[net.loss].measures
        columns = (*own, *(f"val_{measure}" for measure in own if validates))
        column = rule.monitor or ("val_loss" if validates else "loss")
        choice(f"{name}.monitor, in this training,", column, columns)
        return cls(column, MODES.get(rule.mode, SIGNS[column.removeprefix("val_")]))

    def last(self, history: History) -> float:
        """Return the value after the last epoch, with a sign so that less is better."""
        value: float = self.sign * getattr(history, self.column)[-1]
        return value


LOSS = Monitor("loss", SIGNS["loss"])  #: where nothing is watched


def monitor(name: str, value: Any) -> Measure | None:
    """Check the name of a measure; None passes."""
    return None if value is None else choice(name, value, MEASURES)


def mode(name: str, value: Any) -> Mode:
    """Check a direction."""
    return choice(name, value, get_args(Mode))
