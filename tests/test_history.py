"""The history and how it is shown."""

from __future__ import annotations

import builtins
import sys

import pytest

from rnn_fast import History
from rnn_fast.history import progress


def history(epochs: int = 2) -> History:
    made = History.begin(classifies=True, validates=True)
    for epoch in range(epochs):
        made.append(
            loss=0.5 / (epoch + 1),
            accuracy=0.75,
            val_loss=0.25,
            val_accuracy=0.875,
            seconds=0.5,
            sequences_per_second=2000.0,
        )
    return made


def test_lists():
    h = history()
    assert len(h) == 2 and h.loss == [0.5, 0.25] and h.val_accuracy == [0.875, 0.875]
    assert h.last() == {"loss": 0.25, "accuracy": 0.75, "val_loss": 0.25, "val_accuracy": 0.875}


def test_what_there_is_none_of_is_none():
    h = History.begin(classifies=False, validates=False)
    h.append(loss=1.0, accuracy=0.0, seconds=1.0, sequences_per_second=1.0)
    assert h.accuracy is None and h.val_loss is None and h.val_accuracy is None
    assert h.last() == {"loss": 1.0}


def test_repr():
    assert repr(history(0)) == "History(no epochs)"
    assert repr(history(2)) == (
        "History(2 epochs, 1 s, 2,000 sequences/s: loss 0.5 -> 0.25, accuracy 0.75 -> 0.75, "
        "val_loss 0.25 -> 0.25, val_accuracy 0.875 -> 0.875)"
    )
    assert repr(history(1)).startswith("History(1 epoch, ")


def shown(verbose: bool | int | None) -> None:
    with progress(2, verbose) as show:
        show(history(1))
        show(history(2))


@pytest.mark.parametrize("verbose", [False, 0, None])  # pytest's stderr is no terminal
def test_quiet(verbose, capsys):
    shown(verbose)
    assert capsys.readouterr() == ("", "")


def test_lines(capsys):
    shown(2)
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [
        "epoch 1/2: loss 0.5, accuracy 0.75, val_loss 0.25, val_accuracy 0.875, 2,000 sequences/s",
        "epoch 2/2: loss 0.25, accuracy 0.75, val_loss 0.25, val_accuracy 0.875, 2,000 sequences/s",
    ]


def test_bar(capsys):
    pytest.importorskip("tqdm")
    shown(True)
    out, err = capsys.readouterr()
    assert out == "" and "2/2" in err and "loss 0.25" in err


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown(None)
    assert "2/2" in capsys.readouterr().err


def test_no_stderr_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    shown(None)


def test_lines_without_tqdm(capsys, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("tqdm"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    shown(True)
    assert capsys.readouterr().err.startswith("epoch 1/2: loss 0.5")
