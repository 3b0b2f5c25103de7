"""Predictions by NumPy equal the oracle, and the compiled ones in a process without a compiler."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace

import leaky
import minimal_gated
import numpy as np
import pytest
import reference
import without_compiler
from cases import Case
from registered import registered

from rnn_fast import GRU
from rnn_fast.cells.point import Point
from rnn_fast.cells.specs import CELLS
from rnn_fast.engine import operations
from rnn_fast.engine.chance import Chance
from rnn_fast.engine.plain.steps import PlainStep, PlainStream
from rnn_fast.engine.workspace import Spaces
from rnn_fast.errors import CompilerMissing
from rnn_fast.losses import LOSSES
from rnn_fast.tuning import tuned

pytestmark = pytest.mark.usefixtures("one_tile")
registration = registered(CELLS, leaky.CELL, minimal_gated.CELL)
PLAIN = Spaces(is_plain=lambda net: True)
RNG = np.random.default_rng(0)
NAMES = [*reference.CELLS]
FEW = {"plain_step_bytes": 300, "plain_chunk_bytes": 900, "plain_layer_bytes": 900}


def predicted(case, **options):
    """(logits, final states, sums) by NumPy."""
    net, n = case.net, len(case)
    out = np.zeros((len(case.data.x) if net.sequences else n, net.output_size), net.dtype)
    final = np.zeros((n, net.states, net.runs, net.hidden_size), net.dtype)
    sums = np.zeros((3, n))
    arrays = {"out": out, "final": final, "sums": sums, "targets": case.targets}
    operations.predict(
        net, case.data, case.flat, state=case.state, spaces=PLAIN, **arrays, **options
    )
    return out, final, sums


def assert_as_oracle(case, tolerance):
    wanted = case.expected()
    out, final, sums = predicted(case)
    net = case.net
    logits = [np.atleast_2d(each) for each in wanted.outputs]
    scale = max(1.0, max(np.abs(each).max() for each in logits))
    np.testing.assert_allclose(out, np.concatenate(logits), rtol=0, atol=tolerance * scale)
    scale = max(1.0, np.abs(wanted.final).max())
    np.testing.assert_allclose(final, wanted.final, rtol=0, atol=tolerance * scale)
    losses, hits, weight = sums.sum(axis=1)
    assert losses / weight == pytest.approx(wanted.loss, rel=tolerance, abs=tolerance), net
    assert hits / weight == pytest.approx(wanted.accuracy, rel=tolerance, abs=tolerance), net


@pytest.mark.parametrize("cell", NAMES)
def test_every_cell_equals_the_oracle(cell):
    """Layers, directions, lengths, embeddings, states, weights, losses; nothing is compiled."""
    for seed in range(12):
        assert_as_oracle(Case(seed, cell), 1e-12)
    for seed in range(12, 16):
        assert_as_oracle(Case(seed, cell, dtype="float32"), 5e-6)


@pytest.mark.parametrize("cell", NAMES)
def test_float32_stays_float32(cell):
    """A number of float64 would make all products wider."""
    spec = CELLS[cell]

    def draw(n):
        return tuple(RNG.standard_normal((n, 3, 4)).astype("f4"))

    h, c, _ = draw(3)
    vectors = draw(sum(n for _, n in spec.elementwise_vectors))
    options = tuple(value for _, value in spec.options)
    point = Point(draw(len(spec.rows)), h, None, c, None, vectors, options)
    reset = spec.function("reset")
    numbers = [*reset(point)] if reset else []
    rows, *states = spec.function("forward")(point)
    assert (len(rows), len(states)) == (len(spec.rows), spec.n_states)
    assert {array.dtype for array in (*numbers, *rows, *states)} == {np.dtype("float32")}


@pytest.mark.sweep
@pytest.mark.parametrize("cell", NAMES)
def test_many_networks_equal_the_oracle(cell):
    for seed in range(1000, 1300):
        assert_as_oracle(Case(seed, cell), 1e-12)
        assert_as_oracle(Case(seed, cell, dtype="float32"), 2e-5)


@pytest.mark.parametrize("directions", [1, 2])
def test_groups_and_pieces_change_nothing(directions):
    """Few samples and few steps at a time, and windows of long sequences."""
    for seed in range(8):
        case = Case(seed, "lstm", batch=9, T=11, directions=directions)
        wanted = predicted(case)
        with tuned(**FEW, predict_steps=4):
            for found, each in zip(predicted(case), wanted, strict=True):
                np.testing.assert_allclose(found, each, rtol=1e-12, atol=1e-13)


def test_states_of_each_step():
    """Of all runs, h and c, in the rows of their steps: the next step of a shorter sequence."""
    case = Case(5, "lstm", directions=2, layers=2, batch=4, T=6, embedding=0, H=3)
    net, rows = case.net, len(case.data.x)
    out = np.zeros((2 * net.runs, rows, 3))
    table = [(run, kind, (kind * net.runs + run) * rows * 3) for kind in (0, 1) for run in range(4)]
    hidden = operations.hidden_fields(out, np.array(table))
    predicted(case, hidden=hidden)
    for i, (start, length) in enumerate(zip(case.data.starts, case.data.lengths, strict=True)):
        for t in range(length):
            data = case.data._replace(starts=case.data.starts[i : i + 1], lengths=np.array([t + 1]))
            final = np.zeros((1, 2, net.runs, 3))
            state = None if case.state is None else case.state[i : i + 1]
            operations.predict(net, data, case.flat, state=state, final=final, spaces=PLAIN)
            forward = final[0, :, 0]  # of the run that reads from the start, below all others
            np.testing.assert_allclose(out[[0, net.runs], start + t], forward, atol=1e-13)
        first = out[:, start].reshape(2, net.runs, 3)
        whole = np.zeros((1, 2, net.runs, 3))
        data = case.data._replace(starts=case.data.starts[i : i + 1], lengths=np.array([length]))
        operations.predict(net, data, case.flat, state=state, final=whole, spaces=PLAIN)
        np.testing.assert_allclose(first[:, 1::2], whole[0, :, 1::2], atol=1e-13)


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("cell", ["gru_before", "lstm_peephole"])
def test_a_stream_is_cut_anywhere(cell, embedding):
    case = Case(7, cell, plain=True, batch=2, T=9, layers=2, sequences=True, embedding=embedding)
    net, x = case.net, case.data.x.reshape(2, 9, *case.data.x.shape[1:])
    wanted = predicted(case)[0].reshape(2, 9, -1)
    found = []
    for parts in ([9], [1] * 9, [2, 3, 4]):
        stream, first, outs = PlainStream(net, case.flat, 2), 0, []
        for T in parts:
            steps = stream.steps(T)
            steps.x[...] = x[:, first : first + T]
            assert steps.run()
            outs.append(steps.out)
            first += T
            stream.store()
            stream.load()
        found.append(np.concatenate(outs, axis=1))
    np.testing.assert_allclose(found[0], wanted, rtol=0, atol=1e-12)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_a_stream_refuses_what_is_not_finite():
    case = Case(3, "gru", plain=True, dtype="float32", sequences=True)
    stream = PlainStream(case.net, case.flat, 1)
    steps = stream.steps(1)
    steps.x[...] = 1e39  # beyond float32
    assert not steps.run()
    stream.store()
    assert not stream.state.any()


def test_one_sequence_at_a_time():
    case = Case(0, "lstm", dtype="float32", plain=True, batch=1, T=5)
    step = PlainStep(case.net, case.flat, 5)
    step.x[...] = case.data.x
    assert step.forward()
    wanted = LOSSES[case.net.loss].activation(predicted(case)[0][0])
    np.testing.assert_array_equal(step.outputs, wanted)
    kept = step.x.copy()
    step.x[2] = np.inf
    assert not step.forward()
    np.testing.assert_array_equal(step.x, kept)
    with pytest.raises(CompilerMissing, match=r"rnn_fast\[jit\]"):
        step.backward(0.1)


def test_numpy_has_no_noise():
    case = Case(2, "tanh", plain=True)
    with pytest.raises(CompilerMissing, match="^noise in a prediction needs Numba"):
        predicted(case, noise=Chance(recurrent_noise=0.1).noise(0))


def test_cells_and_losses_without_numpy():
    case = Case(2, "gru", plain=True)
    bare = replace(CELLS["gru"], name="bare", plain=())
    CELLS.add(bare)
    try:
        net = case.net._replace(cell="bare")
        with pytest.raises(CompilerMissing, match="the cell 'bare', without maths in NumPy, needs"):
            operations.logits(net, case.data, case.flat, spaces=PLAIN)
    finally:
        del CELLS["bare"]
    loss = replace(LOSSES["mse"], name="bare", formula=None)
    LOSSES.add(loss)
    try:
        case.net = case.net._replace(loss="bare")
        with pytest.raises(CompilerMissing, match="the loss 'bare', without a formula"):
            predicted(case)
    finally:
        del LOSSES["bare"]


def test_the_error_of_a_worker_is_the_same():
    error = CompilerMissing("a study")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# ------------------------------------------------------------------- a process without a compiler


def example(loss, *, steps=True, outputs=3, **options):
    """A model, and targets of 7 sequences of 6 steps."""
    options = {"loss": loss, "return_sequences": steps, "seed": 0, **options}
    model = GRU(2, 5, outputs, num_layers=2, learn_initial_state=True, **options)
    model.h0 = RNG.standard_normal(model.h0.shape)
    shape = (7, 6, outputs) if steps else (7, outputs)
    positive = LOSSES[loss].bounds is not None or LOSSES[loss].takes_classes
    y = RNG.integers(0, 2, shape) if positive else RNG.standard_normal(shape)
    return model, y[..., 0] if LOSSES[loss].takes_classes else y


def test_without_a_compiler(tmp_path):
    """All that a loaded model answers, and a clear error where it would learn."""
    X, lengths = RNG.standard_normal((7, 6, 2)), RNG.integers(1, 7, 7)
    cases = {loss: example(loss) for loss in LOSSES}
    cases["last"] = example("bce", steps=False)
    cases["both"] = example("mse", bidirectional=True)
    cases["skip"] = example("mse", outputs=2, skip=True)
    for name, (model, _) in cases.items():
        model.save(tmp_path / f"{name}.safetensors")
    targets = {name: y for name, (_, y) in cases.items()}
    np.savez(tmp_path / "data.npz", X=X, lengths=lengths, **targets)
    command = [sys.executable, without_compiler.__file__, tmp_path]
    nothing = os.environ | {"RNN_FAST_PACKS": str(tmp_path)}  # where an installation has packs
    subprocess.run(command, check=True, timeout=120, env=nothing)
    found = np.load(tmp_path / "found.npz")
    for name, (model, y) in cases.items():
        for key, wanted in without_compiler.answers(model, X, y, lengths).items():
            where = f"{name} {key}"
            np.testing.assert_allclose(found[where], wanted, rtol=1e-5, atol=2e-6, err_msg=where)
