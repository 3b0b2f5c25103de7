"""Facts about a training that the record in its checkpoint must fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..layout.batch_records import Sums
from ..layout.network import Network
from ..losses import LOSSES
from ..saving.record import Facts
from .config import TrainingConfig
from .history import History
from .rates import plateau_rule

COUNTS = ("updates", "windows", "batches")  #: sums that count something


def facts_of(
    config: TrainingConfig,
    net: Network,
    about: Mapping[str, Any],
    *,
    penalizes: bool,
) -> Facts:
    """Return the facts.

    Parameters
    ----------
    config : TrainingConfig
    net : Network
    about : mapping
        The data: `sequences` and the sequences in one of the `blocks`, or no blocks of a stream.
    penalizes : bool
        Whether there are penalties of parameters.
    """
    penalizes = penalizes or any(config.activity)
    history = History.begin(LOSSES[net.loss].classifies, config.validates, penalizes)
    optimizer, stopping = config.optimizer, config.early_stopping
    plateau = plateau_rule(config.schedule)
    blocks = about.get("blocks")
    return Facts(
        columns=tuple(name for name, kept in vars(history).items() if kept is not None),
        knobs=tuple(optimizer.knobs(config.clip_norm, config.clip_value).tolist()),
        n_scalars=len(optimizer.scalars),
        moments=(len(optimizer.state) * net.n_parameters,),
        parameters=(net.n_parameters,),
        dtype=net.dtype,
        counts=tuple(name in COUNTS for name in Sums._fields),
        outputs=net.target_size,
        blocks=None if blocks is None else -(-about["sequences"] // blocks),
        plateau=None if plateau is None else plateau.patience,
        patience=None if stopping is None else stopping.patience,
        keeps_best=stopping is not None and stopping.restore_best,
    )
