"""Logits, states and measures of sequences by NumPy, from the fields of a `BatchJob`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...cells.specs import CELLS
from ...data.rows import Sequences
from ...errors import CompilerMissing
from ...layout.network import Network
from ...layout.stages import Wanted
from ...losses import LOSSES
from ...losses.loss import LossNumbers
from ...losses.plain import measured
from ...tuning import TUNING
from .layers import Head, Run, embedding_of, layers_of, learned_state_of


class PlainSpace:
    """Memory and code to predict with NumPy, in the place of a driver's."""

    n_bytes = 0  #: kept between two calls
    numbers = 0  #: in a vector; no program measures

    def __init__(self, net: Network) -> None:
        self.net = net

    def job(self, program: Any, **fields: Any) -> PlainJob:
        """Return a job for arrays, numbers, None; `program` says what a driver would run."""
        return PlainJob(self.net, fields)

    def lead(self, job: PlainJob, team: Any = None) -> None:
        """Run a job in this thread."""
        job.run()


class PlainJob:
    """Sequences to predict or to measure, again and again; the fields are those of a `BatchJob`."""

    def __init__(self, net: Network, fields: Mapping[str, Any]) -> None:
        self.net, self._fields = net, dict(fields)

    def set(self, fields: Mapping[str, Any]) -> None:
        """Change fields."""
        self._fields.update(fields)

    def get(self, name: str) -> Any:
        """Return the array or number of a field; None if there is none."""
        return self._fields.get(name)

    def forget(self, *names: str) -> None:
        """Let arrays go, before they are set anew."""
        for name in names:
            self._fields.pop(name, None)

    def run(self) -> None:
        """Predict the samples, long ones first, a group at a time."""
        order = self._fields["order"][: self._fields["n"]]
        lengths = self._fields["lengths"][order]
        places = np.argsort(-lengths, kind="stable")
        with np.errstate(all="ignore"):  # as compiled code
            work = _Work(self.net, self._fields)
            first = 0
            while first < len(places):
                group = places[first : first + work.samples(int(lengths[places[first]]))]
                work.predict(order[group], group)
                first += len(group)


class Segment(NamedTuple):
    """Steps in which the same sequences go on."""

    start: int
    stop: int
    n: int  #: sequences, the first ones


def segments(lengths: np.ndarray, most: int) -> Iterator[Segment]:
    """Yield segments of sequences, long ones first.

    `most` are numbers, of all sequences of a segment and all its steps.
    """
    start = 0
    for end in np.unique(lengths).tolist():
        n = int(np.count_nonzero(lengths >= end))
        steps = max(1, most // n)
        for first in range(start, end, steps):
            yield Segment(first, min(first + steps, end), n)
        start = end


class _Group(NamedTuple):
    """Some sequences, long ones first, and their rows."""

    samples: np.ndarray  # (n,)
    starts: np.ndarray
    lengths: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Steps that there are, (T, n) bool."""
        steps: np.ndarray = np.arange(self.lengths[0])[:, None] < self.lengths
        return steps

    @property
    def rows(self) -> np.ndarray:
        """Rows of all steps that there are, (m,), step by step."""
        rows: np.ndarray = (self.starts + np.arange(self.lengths[0])[:, None])[self.inside]
        return rows

    def steps(self, segment: Segment, reverse: bool) -> np.ndarray:
        """Return the steps (T, n), or (T, 1) for all, that a run reads in a segment."""
        steps = np.arange(segment.start, segment.stop)[:, None]
        return self.lengths[: segment.n] - 1 - steps if reverse else steps


class _Work:
    """The weights of a network, and the fields of a job."""

    def __init__(self, net: Network, fields: Mapping[str, Any]) -> None:
        self.net = net

        def get(name: str) -> Any:
            return fields.get(name)

        parameters = fields["parameters"]
        self.layers = layers_of(net, parameters)
        self.head = Head(net, parameters) if net.output_size else None
        self.table = embedding_of(net, parameters)
        x = get("x") if self.table is None else get("tokens")
        self.data = Sequences(x, fields["starts"], fields["lengths"])
        self.initial, self.state = learned_state_of(net, parameters), get("state")
        self.out, self.sums, self.final = get("out"), get("sums"), get("final")
        self.y, self.weights, self.loss = get("y"), get("weights"), get("loss")
        self.hidden, self.hidden_step = get("hidden"), get("hidden_step")
        wanted = get("wanted")
        self.wanted = [] if wanted is None else [Wanted(*row) for row in wanted.tolist()]
        self.step_bytes = len(CELLS[net.cell].rows) * net.hidden_size * net.dtype.itemsize

    def samples(self, T: int) -> int:
        """Return the sequences of T steps in a group."""
        layer = T * self.net.directions * self.net.hidden_size * self.net.dtype.itemsize
        return max(
            1, min(TUNING.plain_step_bytes // self.step_bytes, TUNING.plain_layer_bytes // layer)
        )

    def predict(self, samples: np.ndarray, places: np.ndarray) -> None:
        """Predict a group, whose sums have their `places`."""
        net, (_, starts, lengths) = self.net, self.data
        group = _Group(samples, starts[samples], lengths[samples])
        n, H = len(samples), net.hidden_size
        start = np.broadcast_to(self.initial, (n, *self.initial.shape))
        if self.state is not None:
            start = self.state[samples]
        states = np.array(start.transpose(2, 1, 3, 0), order="C")  # (runs, states, H, n)
        outputs: np.ndarray | None = None
        for layer, runs in enumerate(self.layers):
            below, is_top = outputs, layer == net.layers - 1
            shape = (int(group.lengths[0]), len(runs) * H, n)
            outputs = np.zeros(shape, net.dtype) if net.sequences or not is_top else None
            for d, run in enumerate(runs):
                place = layer * len(runs) + d
                own = None if outputs is None else outputs[:, d * H : (d + 1) * H]
                self._run(group, run, place, states[place], below, own, reverse=d == 1)
        if self.head is not None:
            self._read_out(group, outputs, states[-net.directions :, 0], places)
        if self.final is not None:
            self.final[samples] = states.transpose(3, 1, 0, 2)

    def _run(
        self,
        group: _Group,
        run: Run,
        place: int,
        state: np.ndarray,
        below: np.ndarray | None,
        outputs: np.ndarray | None,
        *,
        reverse: bool,
    ) -> None:
        """Run one layer in one direction; write its outputs (T, H, n), and the states wanted."""
        T, n = int(group.lengths[0]), len(group.samples)
        wanted = [each for each in self.wanted if each.run == place]
        keeps: list[np.ndarray | None] = [outputs, None][: len(state)]
        for each in wanted:
            if keeps[each.state] is None:
                keeps[each.state] = np.zeros((T, len(state[0]), n), self.net.dtype)
        for segment in segments(group.lengths, TUNING.plain_chunk_bytes // self.step_bytes):
            steps, going = group.steps(segment, reverse), slice(0, segment.n)
            chosen: Any = (slice(segment.start, segment.stop), slice(None), going)
            if reverse:  # of each sequence at its own steps
                chosen = (steps, slice(None), np.arange(segment.n))
            if below is None:
                x = self._inputs(group.starts[going] + steps)
            else:
                x = below[chosen].swapaxes(1, 2) if reverse else below[chosen]
            now = np.ascontiguousarray(state[..., going])
            shape = (len(x), len(state[0]), segment.n)
            parts = [None if keep is None else np.empty(shape, keep.dtype) for keep in keeps]
            run.over(x, now, parts)
            state[..., going] = now
            for keep, part in zip(keeps, parts, strict=True):
                if keep is not None and part is not None:
                    keep[chosen] = part.swapaxes(1, 2) if reverse else part
        for each in wanted:
            kept = keeps[each.state]
            assert kept is not None
            columns = each.column + np.arange(len(state[0]))
            flat = self.hidden.reshape(-1)
            values = kept.swapaxes(1, 2)[group.inside]
            flat[group.rows[:, None] * self.hidden_step + columns] = values

    def _inputs(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs (T, I, n) of rows (T, n) of the data."""
        x = self.data.x[rows]
        x = x if self.table is None else self.table[x]
        inputs: np.ndarray = x.swapaxes(1, 2)
        return inputs

    def _read_out(
        self, group: _Group, outputs: np.ndarray | None, last: np.ndarray, places: np.ndarray
    ) -> None:
        """Write logits and measures of every step or, from `last` (D, H, n), of the last one."""
        assert self.head is not None
        if outputs is None:
            at, y = group.samples, last.reshape(-1, last.shape[-1]).T
        else:
            at, y = group.rows, outputs.swapaxes(1, 2)[group.inside]
        logits = self.head(y)
        if self.net.skip:
            logits += self.data.x[at, : self.net.output_size]
        if self.out is not None:
            self.out[at] = logits
        if self.sums is None:
            return
        measures = np.zeros((len(self.sums), *group.inside.shape))
        measures = measures if outputs is not None else measures[:, :1]
        there = group.inside if outputs is not None else slice(None)
        for sums, values in zip(measures, self._measured(at, logits), strict=True):
            sums[there] = values
        self.sums[:, places] += measures.sum(axis=1)

    def _measured(self, at: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return weighted losses and hits of logits, and the weights, (n,) each."""
        loss, numbers = LOSSES[self.net.loss], LossNumbers(*self.loss[: len(LossNumbers._fields)])
        if loss.formula is None:
            raise CompilerMissing(f"the loss {loss.name!r}, without a formula in NumPy,")
        values, hits = measured(
            loss.formula,
            logits,
            self.y[at],
            self.net.loss_options,
            height=int(numbers.outputs),
            skips=bool(numbers.skips),
            labels=bool(numbers.labels),
        )
        weights = np.ones(len(at)) if self.weights is None else self.weights[at].astype(float)
        counts = weights > 0  # or the outputs may be anything
        return (
            np.where(counts, weights * values, 0),
            np.where(counts, weights * hits, 0),
            np.where(counts, weights, 0),
        )
