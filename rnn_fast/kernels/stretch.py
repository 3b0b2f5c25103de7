"""The program of a stretch: some epochs of a training, each with a validation and a verdict.

It calls the programs that train and measure by their addresses, so that one exists for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..jit import kernel
from ..layout.batch_records import MEASURED, SUMS
from ..layout.stretch import ENDING, MONITORED, RULES, StretchJob
from ..simd import Shape, address_of, call_program, typed_view


@kernel
def train(job, e):
    """Run epoch e of the stretch; return whether all numbers are finite."""
    rules, record = job.rules, job.job
    for i in range(job.n_parameters):
        job.before[i] = job.parameters[i]
    factors, result = job.factors + e * job.factor_step, job.results + e * len(SUMS)
    for b in range(job.batches):
        job.schedule[b] = rules[RULES.rate] * (factors[b] * rules[RULES.factor])
    job.rates[e] = job.schedule[job.batches - 1]
    record[job.order_at] = address_of(job.orders + e * job.order_step)
    record[job.schedule_at] = address_of(job.schedule)
    record[job.result_at] = address_of(result)
    if job.seed_at >= 0:
        record[job.seed_at] = job.seeds[e]
    call_program(job.train, record)
    zero = 0.0
    for i in range(job.n_parameters):
        zero += job.parameters[i] * 0.0  # NaN of NaN and of infinity
    return math.isfinite(result[SUMS.loss]) and zero == 0.0


@kernel
def validate(job, sums):
    """`sums` = losses, hits and weights of the held-out samples, in their order."""
    for i in range(job.n_held_out * MEASURED):
        job.sums[i] = 0.0
    call_program(job.measure, job.held_out)
    for k in range(MEASURED):
        sums[k] = 0.0
        for i in range(job.n_held_out):
            sums[k] += job.sums[k * job.n_held_out + i]


@kernel
def watched(monitor, result, measured):
    """Mean that a rule watches, with a sign so that less is better; NaN without weights."""
    sums = measured if monitor[MONITORED.held_out] > 0.0 else result
    weight = sums[SUMS.weight]
    value = sums[int(monitor[MONITORED.place])] / weight if weight > 0.0 else math.nan
    return monitor[MONITORED.sign] * value


@kernel
def adjust_rate(rules, value):
    """Let the plateau schedule see an epoch."""
    threshold = rules[RULES.plateau_sign] * rules[RULES.plateau_threshold]
    if value < rules[RULES.plateau_best] * (1.0 - threshold):
        rules[RULES.plateau_best], rules[RULES.plateau_waited] = value, 0.0
    elif rules[RULES.plateau_waited] < rules[RULES.plateau_patience]:
        rules[RULES.plateau_waited] += 1.0
    else:
        rules[RULES.factor] *= rules[RULES.plateau_factor]
        rules[RULES.plateau_waited] = 0.0


@kernel
def watch(job, value):
    """Let early stopping see an epoch; return whether it is time to stop."""
    rules = job.rules
    if value < rules[RULES.best] - rules[RULES.min_delta]:
        rules[RULES.best], rules[RULES.waited] = value, 0.0
        job.ending[ENDING.improved] = 1
        for i in range(job.n_parameters):
            job.best[i] = job.parameters[i]
    else:
        rules[RULES.waited] += 1.0
    return rules[RULES.waited] >= rules[RULES.patience]


def stretch(dtype: str) -> Callable:
    """Epochs in one call, for parameters of a dtype."""
    shape = Shape(dtype, 1, 1)

    def program(record):
        """Train for the epochs of the `StretchJob`, until one diverges or is the last to wait for.

        An epoch that diverges is undone.
        """
        job = typed_view(StretchJob, record, shape)
        rules, ending, is_over, e = job.rules, job.ending, False, 0
        while e < job.epochs and not is_over:
            if not train(job, e):
                for i in range(job.n_parameters):
                    job.parameters[i] = job.before[i]
                ending[ENDING.diverged] = 1
                return
            result, sums = job.results + e * len(SUMS), job.measures + e * MEASURED
            if job.measure:
                validate(job, sums)
            if rules[RULES.plateau_factor] > 0.0:
                adjust_rate(rules, watched(rules + RULES.plateau_monitor, result, sums))
            if rules[RULES.patience] > 0.0:
                is_over = watch(job, watched(rules + RULES.monitor, result, sums))
            e += 1
            ending[ENDING.done] = e

    return program
