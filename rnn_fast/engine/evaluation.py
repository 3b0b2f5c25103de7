"""Logits and measures of sequences, by as many threads as there is work for."""

from __future__ import annotations

from threading import get_ident
from typing import Any

import numpy as np

from ..data.blocks import Block, rows_of
from ..data.parts import Part
from ..data.plain import SMALL
from ..data.rows import Sequences
from ..layout.network import Network
from ..losses.measures import Measures
from ..tuning import TUNING
from . import operations, threads
from .tiling import seconds_per_row
from .workspace import Job, spaces


class Evaluation:
    """Logits and measures of a network, again and again.

    Short sequences of the same number and length as the last ones cost little more than the
    kernels: the call has been prepared.
    """

    def __init__(self, net: Network, parameters: np.ndarray) -> None:
        self._net, self._parameters = net, parameters
        self._key: tuple[Any, ...] = ()  # of the job
        self._starts = self._lengths = self._out = np.empty(0)
        self._job: Job | None = None

    def logits(
        self,
        data: Sequences,
        n_threads: int | None = None,
        *,
        state: np.ndarray | None = None,
        final: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return `operations.logits`, computed by up to `n_threads` threads; None: all cores."""
        net, seconds = self._net, 0.0
        if not (state is final is None and self._is_prepared(data)):
            seconds = seconds_per_row(net) / 3 * float(data.lengths.sum())
            if not (state is final is None and self._prepare(data, seconds)):
                size = threads.wanted(n_threads) if seconds > TUNING.worth_seconds else 1
                with threads.Team(size) as team:
                    return operations.logits(
                        net, data, self._parameters, state=state, final=final, team=team
                    )
        assert self._job is not None
        self._job.set(operations.rows(net, data))
        self._space.lead(self._job)
        self._job.forget("x", "tokens")
        return self._out.copy()

    def _is_prepared(self, data: Sequences) -> bool:
        """Return whether the job is for such sequences: `rows.few_rows` returns the same places."""
        same = data.starts is self._starts and data.lengths is self._lengths
        return same and self._key == (TUNING.changes, get_ident())

    def _prepare(self, data: Sequences, seconds: float) -> bool:
        """Prepare a call for sequences such as these, if they are few and short."""
        net, (x, starts, lengths) = self._net, data
        n, T = len(starts), int(lengths[0])
        fixed = not (starts.flags.writeable or lengths.flags.writeable)  # `rows.few_rows`
        small = x.size <= SMALL and T <= TUNING.predict_steps and seconds <= TUNING.worth_seconds
        if not (fixed and small and (lengths == T).all()):
            return False
        self._key = ()
        self._space = operations.prediction_space(spaces, net, T, n)
        if self._space.n_bytes > TUNING.model_bytes:
            self._space = None
            return False
        self._out = np.zeros((len(x) if net.sequences else n, net.output_size), net.dtype)
        order = np.arange(n, dtype=np.int64)
        self._job = operations.predictions(
            self._space, net, data, order, self._parameters, out=self._out
        )
        self._starts, self._lengths = starts, lengths
        self._key = TUNING.changes, get_ident()  # work memory is of this thread
        return True

    def measure(self, part: Part, n_threads: int | None = None) -> dict[str, float]:
        """Return the measures of some sequences of a dataset, see `losses.measures`."""
        measures = Measures(self._net.loss)
        for visit in part:
            self._add(measures, visit.block, None if part.is_whole else visit.order, n_threads)
        return measures.means()

    def measure_all(self, block: Block, n_threads: int | None = None) -> dict[str, float]:
        """Return the measures of all sequences of a block."""
        measures = Measures(self._net.loss)
        self._add(measures, block, None, n_threads)
        return measures.means()

    def _add(
        self, measures: Measures, block: Block, order: np.ndarray | None, n_threads: int | None
    ) -> None:
        """Add the sequences `order` of a block to the measures; None: all."""
        (sequences, _), targets, state = block
        assert targets is not None  # a measured part has targets
        y, weights = targets
        rows: Any = order
        if order is None and self._net.sequences and block.inputs.inside is not None:
            order = np.arange(len(block.inputs), dtype=np.int64)  # padding does not count
        if order is not None:
            x, starts, lengths = sequences
            sequences = Sequences(x, starts[order], lengths[order])
            state = None if state is None else state[order]
            if self._net.sequences:
                rows = rows_of(block.inputs.sequences, order)
        values = self.logits(sequences, n_threads, state=state)
        if rows is not None:
            values = values[rows] if self._net.sequences else values
            y, weights = y[rows], None if weights is None else weights[rows]
        measures.add(values, y, weights)
