"""Epochs in one compiled call have the bits, the histories and the draws of epochs one by one."""

from __future__ import annotations

import numpy as np
import pytest
from interrupter import Interrupter

from rnn_fast import (
    GRU,
    LSTM,
    DivergedError,
    EarlyStopping,
    Exponential,
    ReduceOnPlateau,
    SimpleRNN,
    WarmUp,
)
from rnn_fast.training.loop import Training
from rnn_fast.tuning import tuned

N, T = 30, 7
TIMES = ("seconds", "sequences_per_second")
CASES = {
    "batch": (GRU, {"dtype": "f8"}, {"batch_size": None, "optimizer": "adam"}),
    "dropout": (GRU, {"dropout": 0.3, "num_layers": 2}, {"early_stopping": 3}),
    "every step": (
        LSTM,
        {"return_sequences": True},
        {"schedule": "plateau", "early_stopping": EarlyStopping(5, restore_best=False)},
    ),
    "single": (SimpleRNN, {}, {"batch_size": 1, "schedule": "cosine", "l2": 0.01}),
    "both directions": (
        SimpleRNN,
        {"bidirectional": True},
        {"schedule": WarmUp(2, then=ReduceOnPlateau(0.5, 1))},
    ),
    "in order": (SimpleRNN, {"learning_rate": 0.1}, {"batch_size": 1, "shuffle": False}),
    "windows": (LSTM, {}, {"bptt": 4, "clip_norm": 1.0, "early_stopping": EarlyStopping(2, 0.01)}),
    "accuracy": (
        GRU,
        {"loss": "bce"},
        {
            "early_stopping": EarlyStopping(4, monitor="accuracy"),
            "schedule": ReduceOnPlateau(0.5, 2, monitor="accuracy"),
        },
    ),
    "r2": (GRU, {}, {"early_stopping": EarlyStopping(4, monitor="r2")}),
    "a function": (GRU, {}, {"schedule": lambda epoch: 0.9**epoch}),
    "diverging": (
        SimpleRNN,
        {"nonlinearity": "relu"},
        {"batch_size": 4, "schedule": Exponential(2.0)},
    ),
}


def trained(kind, options, settings, **more):
    """Parameters, history without times, state of the generator, and what was raised."""
    rng = np.random.default_rng(0)
    m = kind(2, 5, **{"seed": 1, "loss": "mse", **options})
    X, y = rng.standard_normal((N, T, 2)), rng.standard_normal((N, T) if m.return_sequences else N)
    if m.loss == "bce":
        y = (y > 0) * 1.0
    data = {"lengths": rng.integers(1, T + 1, N)} if more.pop("ragged") else {}
    validates = more.pop("validates")
    if validates == "data":
        data["validation_data"] = tuple(a[:9] for a in (X, y, *data.values()))
    elif validates == "share":
        data["validation_split"] = 0.3
    told = ""
    try:
        h = m.fit(X, y, **{"epochs": 40, "verbose": False, **data, **settings, **more})
    except DivergedError as error:
        h, told = error.history, str(error)
    kept = {name: values for name, values in h.arrays().items() if name not in TIMES}
    return m._flat, kept, m._generator.bit_generator.state, told


def counting(monkeypatch):
    """The number of epochs in each stretch."""
    counts, real = [], Training.run_stretch

    def run(stretches, n, state):
        real(stretches, n, state)
        counts.append(stretches.stretch.done)

    monkeypatch.setattr(Training, "run_stretch", staticmethod(run))
    return counts


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("validates", ["data", "share", ""])
def test_stretches_have_the_bits_of_single_epochs(one_tile, monkeypatch, case, validates):
    counts = counting(monkeypatch)
    for ragged in (False, True):
        more = {"ragged": ragged, "validates": validates, "n_threads": 1}
        with tuned(piece_seconds=0.0):
            wanted = trained(*CASES[case], **more)
        assert not counts
        for seconds in (0.1, 0.002):
            with tuned(piece_seconds=seconds):
                found = trained(*CASES[case], **more)
            np.testing.assert_array_equal(found[0], wanted[0])
            assert found[1].keys() == wanted[1].keys()
            for name, values in wanted[1].items():
                np.testing.assert_array_equal(found[1][name], values)
            assert found[2:] == wanted[2:]
        if case == "diverging":
            assert wanted[3]
        elif case in ("r2", "a function"):
            assert not counts
        else:
            assert sum(counts) > 1
        counts.clear()


def test_callbacks_and_checkpoints_see_each_epoch(one_tile, monkeypatch, tmp_path):
    counts, seen = counting(monkeypatch), []
    more = {"ragged": False, "validates": ""}
    trained(*CASES["batch"], callbacks=[lambda m, h: seen.append(len(h))], **more)
    assert seen == list(range(1, 41))
    trained(*CASES["batch"], checkpoint=tmp_path / "c", **more)
    assert not counts


def test_lines_tell_of_each_epoch(one_tile, capsys):
    more = {"ragged": False, "validates": "data"}
    _, kept, *_ = trained(*CASES["batch"], **{"verbose": 2, **more})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 40
    for k, line in enumerate(lines):
        assert line.startswith(f"epoch {k + 1}/40: loss {kept['loss'][k]:.4g}, ")


def test_an_interrupt_after_a_stretch_keeps_its_epochs(one_tile, monkeypatch):
    """The model is as its last update left it, and the history has all epochs until then."""
    real = Training.run_stretch

    def run(stretches, n, state):
        real(stretches, n, state)
        raise KeyboardInterrupt

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N, T, 2)), rng.standard_normal(N)
    one, two = (GRU(2, 5, loss="mse", seed=1) for _ in range(2))
    monkeypatch.setattr(Training, "run_stretch", staticmethod(run))
    with pytest.raises(KeyboardInterrupt) as stop:
        one.fit(X, y, epochs=50, n_threads=1)
    n = int(str(stop.value).split()[3])
    assert n > 2
    monkeypatch.undo()
    two.fit(X, y, epochs=n, n_threads=1)
    np.testing.assert_array_equal(one._flat, two._flat)
    assert one._generator.bit_generator.state == two._generator.bit_generator.state


def test_evaluate_equals_the_validation_loss(one_tile):
    rng = np.random.default_rng(0)
    for sequences in (True, False):
        m = LSTM(2, 5, return_sequences=sequences, loss="mae", seed=0)
        X, lengths = rng.standard_normal((N, T, 2)), rng.integers(1, T + 1, N)
        y = rng.standard_normal((N, T) if sequences else N)
        h = m.fit(X, y, lengths=lengths, validation_data=(X, y, lengths), epochs=20, n_threads=1)
        found = m.evaluate(X, y, lengths=lengths)
        assert found == {k: h.arrays()[f"val_{k}"][-1] for k in found}


def interrupted(moment, stops):
    """Train with an interrupt at a line; return the model, what it said, and the lines in all."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N, T, 2)), rng.standard_normal(N)
    m, said, flats = GRU(2, 5, loss="mse", seed=1), None, []
    settings = {"epochs": 24, "verbose": False, "n_threads": 1, "learning_rate": 0.3}
    settings["early_stopping"] = EarlyStopping(20) if stops else None
    if moment is None:
        m.fit(X, y, callbacks=[lambda m, h: flats.append(m._flat.copy())], **settings)
        return flats
    lines = Interrupter({moment: KeyboardInterrupt} if moment else {})
    try:
        with tuned(piece_seconds=0.0015), lines:  # some epochs
            m.fit(X, y, **settings)
    except KeyboardInterrupt as stop:
        said = str(stop)
    return m, said, lines.n


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("share", [0.02, pytest.param(1.0, marks=pytest.mark.sweep)])
def test_an_interrupt_anywhere_leaves_the_parameters_of_the_epochs_it_tells_of(
    monkeypatch, stops, share
):
    """One that comes within an epoch, the first, leaves what its updates have made."""
    flats, counts = interrupted(None, stops), counting(monkeypatch)
    interrupted(0, stops)
    *_, n_lines = interrupted(0, stops)
    assert len(counts) > 2
    rng, told = np.random.default_rng(0), 0
    for moment in rng.permutation(np.arange(1, n_lines + 1))[: int(share * n_lines)].tolist():
        m, said, _ = interrupted(moment, stops)
        if said is None or "after" not in said or "batches" in said:
            continue
        n, told = int(said.split()[3]), told + 1
        if n and not stops:
            np.testing.assert_array_equal(m._flat, flats[n - 1])
        elif n:
            assert any((m._flat == flat).all() for flat in flats[:n])
    assert told > 5
