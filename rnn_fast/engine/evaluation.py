"""Logits and measures of sequences, by as many threads as there is work for."""

from __future__ import annotations

import threading

import numpy as np

from ..data.blocks import Block
from ..data.parts import Part
from ..data.plain import SMALL
from ..data.rows import Sequences, Targets
from ..layout.batch_records import MEASURED
from ..layout.network import Network
from ..losses import LOSSES
from ..losses.measures import Measures, Spread, means_of, quiet
from ..tuning import TUNING
from . import operations, threads
from .chance import Noise
from .held_out import HeldOut
from .loss import loss_fields
from .tiling import seconds_per_row
from .workspace import Job, spaces


class Evaluation(threading.local):
    """Logits and measures of a network, again and again.

    Short sequences of the same number and length as the last ones cost little more than the
    kernels: the call has been prepared.  Threads may share an evaluation, and so a model that
    predicts: each thread has a prepared call, on work memory of its own.
    """

    def __init__(self, net: Network, parameters: np.ndarray) -> None:
        self._net, self._parameters = net, parameters
        self._changes = -1  # of the job
        self._starts = self._lengths = self._out = self._sums = np.empty(0)
        self._job: Job | None = None

    def logits(
        self,
        data: Sequences,
        n_threads: int | None = None,
        *,
        state: np.ndarray | None = None,
        final: np.ndarray | None = None,
        noise: Noise | None = None,
    ) -> np.ndarray:
        """Return `operations.logits`, computed by up to `n_threads` threads; None: all cores."""
        if state is final is noise is None and self._prepared(data):
            self._lead(data, out=self._out, sums=None)
            return self._out.copy()
        options = {"state": state, "final": final, "noise": noise}
        with self._team(data, n_threads) as team:
            return operations.logits(self._net, data, self._parameters, team=team, **options)

    def sums(
        self,
        data: Sequences,
        targets: Targets,
        n_threads: int | None = None,
        *,
        state: np.ndarray | None = None,
        noise: Noise | None = None,
    ) -> np.ndarray:
        """Return losses, hits and weights, summed over all sequences, long ones first."""
        if state is noise is None and not targets.skips and self._prepared(data):
            self._sums[:] = 0
            y, weights, _ = targets
            self._lead(data, out=None, sums=self._sums, y=y, weights=weights)
            return total(self._sums)
        sums = np.zeros((MEASURED, len(data.starts)))
        with self._team(data, n_threads) as team:
            operations.predict(
                self._net,
                data,
                self._parameters,
                targets=targets,
                sums=sums,
                state=state,
                noise=noise,
                team=team,
            )
        return total(sums)

    def _seconds(self, data: Sequences) -> float:
        return seconds_per_row(self._net) / 3 * float(data.lengths.sum())

    def _team(self, data: Sequences, n_threads: int | None) -> threads.Team:
        """Return threads for some work."""
        worth = self._seconds(data) > TUNING.worth_seconds
        return threads.Team(threads.wanted(n_threads) if worth else 1)

    def _lead(self, data: Sequences, **fields: np.ndarray | None) -> None:
        """Run the prepared job."""
        assert self._job is not None
        if fields["sums"] is not None and not self._job.get("evaluate"):
            self._job.set(loss_fields(self._space, self._net))
        self._job.set({**operations.rows(self._net, data), **fields})
        self._space.lead(self._job)
        self._job.forget("x", "tokens", "y", "weights")

    def _prepared(self, data: Sequences) -> bool:
        """Return whether the job is for such sequences, after an attempt to make it so."""
        # `rows.few_rows` returns the same places
        same = data.starts is self._starts and data.lengths is self._lengths
        return (same and self._changes == TUNING.changes) or self._prepare(data)

    def _prepare(self, data: Sequences) -> bool:
        """Prepare a call for sequences such as these, if they are few and short."""
        net, (x, starts, lengths) = self._net, data
        n, T = len(starts), int(lengths[0])
        fixed = not (starts.flags.writeable or lengths.flags.writeable)  # `rows.few_rows`
        small = fixed and x.size <= SMALL and T <= TUNING.predict_steps
        if not (small and (lengths == T).all() and self._seconds(data) <= TUNING.worth_seconds):
            return False
        self._changes = -1
        self._space = operations.prediction_space(spaces, net, T, n)
        if self._space.n_bytes > TUNING.model_bytes:
            self._space = None
            return False
        self._out = np.zeros((len(x) if net.sequences else n, net.output_size), net.dtype)
        self._sums = np.zeros((MEASURED, n))
        order = np.arange(n, dtype=np.int64)
        self._job = operations.predictions(self._space, net, data, order, self._parameters)
        self._starts, self._lengths = starts, lengths
        self._changes = TUNING.changes
        return True

    def measure(self, part: Part, n_threads: int | None = None) -> dict[str, float]:
        """Return the measures of some sequences of a dataset, see `losses.measures`."""
        measures = Measures(self._net.loss)
        for visit in part:
            block = visit.block if part.is_whole else visit.block.chosen(self._net, visit.order)
            self._add(measures, block, visit.spread, n_threads)
            part.seen(visit)
        return measures.means()

    def held_out(self, part: Part) -> HeldOut | None:
        """Return a prepared call that measures a part; None if it is not small and in memory."""
        visits = list(part) if part.is_single else []
        if not visits:
            return None
        (visit,) = visits
        block = visit.block if part.is_whole else visit.block.chosen(self._net, visit.order)
        sequences, targets = block.inputs.sequences, block.targets
        if targets is None or sequences.lengths.max() > TUNING.predict_steps:
            return None
        return HeldOut(self._net, sequences, targets, block.state, self._parameters)

    def means(self, part: Part, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Return the measures of a part that was measured before, from new sums (n, MEASURED).

        Each is (n,), of the bits of `measure`.
        """
        losses, hits, weight = sums.T
        with quiet():  # NaN where all weights are 0
            means = means_of(LOSSES[self._net.loss], losses, hits, weight, part.spread())
        return {name: np.broadcast_to(values, len(sums)) for name, values in means.items()}

    def measure_all(
        self, block: Block, n_threads: int | None = None, noise: Noise | None = None
    ) -> dict[str, float]:
        """Return the measures of all sequences of a block."""
        measures = Measures(self._net.loss)
        self._add(measures, block, block.spread(self._net), n_threads, noise)
        return measures.means()

    def _add(
        self,
        measures: Measures,
        block: Block,
        spread: Spread,
        n_threads: int | None,
        noise: Noise | None = None,
    ) -> None:
        """Add all sequences of a block to the measures."""
        assert block.targets is not None  # a measured part has targets
        sequences = block.inputs.sequences
        sums = self.sums(sequences, block.targets, n_threads, state=block.state, noise=noise)
        measures.add(sums, spread)


def total(sums: np.ndarray) -> np.ndarray:
    """Add up each row in its order, as a compiled loop does; `numpy.sum` adds pairs."""
    added: np.ndarray = np.add.accumulate(sums, axis=1)[:, -1]
    return added
