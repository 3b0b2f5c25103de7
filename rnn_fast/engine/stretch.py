"""Some epochs of a training in one compiled call, with validation and early stopping inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import Program
from ..layout.batch_records import MEASURED
from ..layout.stretch import ENDING, RULES, StretchJob
from . import operations
from .epochs import Epochs
from .held_out import HeldOut
from .threads import CORES
from .workspace import Job

STRETCH = Program("rnn_fast.kernels.stretch", "stretch", job="integers")


class Stretch:
    """A call for up to `room` epochs, to be made again and again.

    Parameters
    ----------
    epochs : Epochs
        Loaded with the data to train on.
    n, batch_size : int
        Samples of an epoch, and of a batch.
    held_out : HeldOut or None

    Attributes
    ----------
    rules : (len(RULES),) float64 array
        What decides between two epochs; updated by `run`.
    results : (epochs, RESULTS) float64 array
        Sums of each epoch of the last run.
    rates : (epochs,) float64 array
        Learning rate of the last batch of each epoch.
    measures : (epochs, MEASURED) float64 array
        Sums over the held-out samples after each epoch.
    best : (n_parameters,) array
        Parameters of the best epoch so far, if `rules` has a patience.
    """

    def __init__(self, epochs: Epochs, n: int, batch_size: int, held_out: HeldOut | None) -> None:
        self._epochs, self._n, self._batches = epochs, n, -(-n // batch_size)
        self._held_out, self.rules, self._ending = held_out, np.zeros(len(RULES)), np.zeros(3, int)
        self.best = np.zeros_like(epochs.parameters)
        self.results = np.zeros((0, operations.RESULTS))
        self.measures, self.rates = np.zeros((0, MEASURED)), np.zeros(0)
        record = epochs.job.record._fields
        fields: dict[str, Any] = {
            f"{name}_at": record.index(name) if name in record else -1
            for name in ("order", "schedule", "result", "seed")
        }
        fields |= {
            "train": epochs.job.function.inner,
            "job": epochs.job.block,
            "batches": self._batches,
            "schedule": np.zeros(self._batches),
            "parameters": epochs.parameters,
            "before": np.zeros_like(epochs.parameters),
            "best": self.best,
            "n_parameters": len(epochs.parameters),
            "rules": self.rules,
            "ending": self._ending,
        }
        if held_out is not None:
            fields |= {
                "measure": held_out.job.function.inner,
                "held_out": held_out.job.block,
                "n_held_out": held_out.sums.shape[1],
                "sums": held_out.sums,
            }
        self._job = Job(StretchJob, STRETCH(epochs.net.dtype.name), fields)

    @property
    def done(self) -> int:
        """Finished epochs of the last run."""
        return int(self._ending[ENDING.done])

    @property
    def has_diverged(self) -> bool:
        """True if the epoch after these has left the finite numbers, and was undone."""
        return bool(self._ending[ENDING.diverged])

    @property
    def has_improved(self) -> bool:
        """True if `best` is of one of these epochs."""
        return bool(self._ending[ENDING.improved])

    def begin(self) -> None:
        """Forget the last run."""
        self._ending[:] = 0

    def run(self, orders: np.ndarray, factors: np.ndarray, seeds: np.ndarray) -> None:
        """Run some epochs.

        Parameters
        ----------
        orders : (epochs, n) or (1, n) int64 array
            Samples to visit, of each epoch or of all.
        factors : (epochs, batches) or (1, batches) float64 array
            Factors of the learning rate.
        seeds : (epochs,) int64 array
            Of dropout.
        """
        n_epochs, job = len(seeds), self._epochs.job
        self.results = np.zeros((n_epochs, operations.RESULTS))
        self.measures, self.rates = np.zeros((n_epochs, MEASURED)), np.zeros(n_epochs)
        self._job.set(
            {
                "epochs": n_epochs,
                "orders": orders,
                "order_step": self._n if len(orders) > 1 else 0,
                "factors": factors,
                "factor_step": self._batches if len(factors) > 1 else 0,
                "seeds": seeds,
                "results": self.results,
                "rates": self.rates,
                "measures": self.measures,
            }
        )
        job.set({"n": self._n})
        try:
            with CORES.taken(self, 1):
                self._job.run()
        finally:  # their places were written to
            job.forget("order", "schedule", "result", "seed")
