"""The history and how it is shown."""

from __future__ import annotations

import builtins
import re
import sys
from functools import partialmethod

import numpy as np
import pytest
from pieces import Piece

from rnn_fast import History
from rnn_fast.training.markup import Markup, curve, table
from rnn_fast.training.progress import progress


def history(epochs: int = 2) -> History:
    made = History.begin(classifies=True, validates=True)
    same = {
        "accuracy": 0.75,
        "val_loss": 0.25,
        "val_accuracy": 0.875,
        "learning_rate": 0.1,
        "seconds": 0.5,
        "sequences_per_second": 2000.0,
    }
    columns = {name: [value] * epochs for name, value in same.items()}
    made.extend({"loss": [0.5 / (epoch + 1) for epoch in range(epochs)], **columns})
    return made


def test_lists():
    h = history()
    assert len(h) == 2 and h.loss == [0.5, 0.25] and h.val_accuracy == [0.875, 0.875]
    assert h.last() == {"loss": 0.25, "accuracy": 0.75, "val_loss": 0.25, "val_accuracy": 0.875}


def test_what_there_is_none_of_is_none():
    h = History.begin(classifies=False, validates=False)
    h.extend({"loss": [1.0], "accuracy": [0.0], "seconds": [1.0], "sequences_per_second": [1.0]})
    assert h.accuracy is None and h.val_loss is None and h.val_accuracy is None
    assert h.last() == {"loss": 1.0}


def test_arrays_and_a_data_frame():
    pytest.importorskip("pandas")
    h = history(3)
    assert list(h.arrays()) == [
        *("loss", "accuracy", "val_loss", "val_accuracy"),
        *("learning_rate", "seconds", "sequences_per_second"),
    ]
    frame = h.to_frame()
    assert frame.index.tolist() == [1, 2, 3] and frame.index.name == "epoch"
    for name, array in h.arrays().items():
        np.testing.assert_array_equal(frame[name], array)
    assert len(history(0).to_frame()) == 0


@pytest.fixture
def pyplot():
    module = pytest.importorskip("matplotlib.pyplot")
    module.switch_backend("agg")
    yield module
    module.close("all")


def drawn(axes) -> dict[str, tuple[str, str]]:
    """The color and the style of each labelled line."""
    lines = {line.get_label(): line for line in axes.get_lines()}
    shown = {label: line for label, line in lines.items() if label[0] != "_"}
    return {label: (line.get_color(), line.get_linestyle()) for label, line in shown.items()}


def test_a_plot(pyplot):
    made = history(3)
    made.val_loss[:] = [0.5, 0.25, 0.75]
    loss, accuracy = made.plot()
    assert [axes.get_ylabel() for axes in (loss, accuracy)] == ["loss", "accuracy"]
    assert accuracy.get_xlabel() == "epoch"
    for color, axes in (("C0", loss), ("C1", accuracy)):
        assert drawn(axes) == {
            "training": (color, "-"),
            "validation": (color, "--"),
            "best epoch: 2": ("gray", ":"),
        }
    np.testing.assert_array_equal(loss.get_lines()[0].get_ydata(), [0.5, 0.25, 0.5 / 3])
    np.testing.assert_array_equal(loss.get_lines()[2].get_ydata(), made.val_loss)
    texts = [text.get_text() for text in loss.get_legend().get_texts()]
    assert texts == ["training", "validation", "best epoch: 2"]
    loss.figure.canvas.draw()  # with its layout
    assert loss.get_legend().get_window_extent().x0 > loss.get_window_extent().x1


def test_a_plot_in_a_part_of_a_figure(pyplot):
    regression = History.begin(classifies=False, validates=False)
    regression.extend({"loss": [np.nan, 1.0], "mse": [1.0, 1.0], "r2": [0.5, 0.25]})
    left, right = pyplot.figure().subfigures(1, 2)
    axes = regression.plot(right)
    assert right.axes == axes and left.axes == []
    assert [each.get_ylabel() for each in axes] == ["loss", "r2"]
    assert drawn(axes[1]) == {"training": ("C1", "-"), "best epoch: 2": ("gray", ":")}


def test_a_plot_without_numbers(pyplot):
    for made in (history(0), History.begin(classifies=False, validates=False)):
        assert all("best" not in label for axes in made.plot() for label in drawn(axes))
    diverged = History.begin(classifies=True, validates=False)
    diverged.extend({"loss": [np.nan], "accuracy": [0.5]})
    assert [*drawn(diverged.plot()[0])] == ["training"]


@pytest.mark.parametrize("figure", [1, "figure", []])
def test_a_plot_elsewhere(figure):
    with pytest.raises(TypeError, match="figure must be a figure of Matplotlib, or None; got"):
        history().plot(figure)


def test_a_notebook_shows_a_table():
    made = history(300)
    made.val_loss[:] = [np.nan, 0.5, 0.125, *[0.25] * 297]
    piece = Piece(made._repr_html_())
    rows = [piece.cells[k : k + 5] for k in range(0, len(piece.cells), 5)]
    assert rows[0] == ["measure", "first", "last", "best", ""]
    assert rows[1] == ["loss", "0.5", "0.001667", "0.001667 in epoch 300", ""]
    assert rows[3] == ["val_loss", "nan", "0.25", "0.125 in epoch 3", ""]
    assert piece.tags.count("polyline") == len(rows) - 1 == 4
    assert len(made._repr_html_()) < 20_000
    assert "no epochs" in history(0)._repr_html_()


def test_a_curve():
    values = [np.nan, 1.0, np.inf, 3.0, 2.0]
    points = re.search(r'points="(.*?)"', curve(values))[1]
    assert points == "41.0,30.0 119.0,2.0 158.0,16.0"  # less is lower; of equal distances
    assert 'points="2.0,2.0"' in curve([1.0]) and curve([]) == curve([np.nan]) == ""
    assert "dasharray" in curve([1.0, 2.0], dashed=True)
    assert "dasharray" not in curve([1.0, 2.0])


def test_a_table_is_escaped():
    text = table("<b>", ["a & b"], [["<script>", Markup("<i>x</i>")]], "1 < 2")
    assert Piece(text).cells == ["a & b", "<script>", "x"]
    assert "&lt;b&gt;" in text and "<i>x</i>" in text and "1 &lt; 2" in text


@pytest.mark.parametrize(("method", "name"), [("to_frame", "pandas"), ("plot", "plot")])
def test_without_the_extra(method, name, monkeypatch):
    for module in ("pandas", "matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"is not installed; `pip install .rnn_fast\[{name}\]"):
        getattr(history(), method)()


def test_repr():
    assert repr(history(0)) == "History(no epochs)"
    assert repr(history(2)) == (
        "History(2 epochs, 1 s, 2,000 sequences/s: loss 0.5 -> 0.25, accuracy 0.75 -> 0.75, "
        "val_loss 0.25 -> 0.25, val_accuracy 0.875 -> 0.875)"
    )
    assert repr(history(1)).startswith("History(1 epoch, ")


def shown(verbose: bool | int | None) -> None:
    with progress(2, 0, verbose) as show:
        show.within(history(0), 0.5, 0.75, 1500.0)
        show.epoch(history(1))
        show.within(history(1), None, 0.3, 1500.0)
        show.epoch(history(2))


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
    assert out == "" and "epoch 2/2: 100%" in err and "loss 0.25" in err


def test_a_bar_moves_within_an_epoch_and_starts_where_a_training_goes_on(capsys, monkeypatch):
    tqdm = pytest.importorskip("tqdm.auto").tqdm
    monkeypatch.setattr(tqdm, "__init__", partialmethod(tqdm.__init__, mininterval=0))
    with progress(4, 1, True) as bar:
        bar.within(history(1), 0.5, 0.75, 1500.0)
        assert bar.bar.n == 1.5
        bar.epoch(history(2))
        assert bar.bar.n == 2.0
    err = capsys.readouterr().err
    assert "epoch 2/4:  25%" in err and "epoch 2/4:  38%" in err and "epoch 3/4:  50%" in err
    assert "loss 0.75, val_loss 0.25, 1,500 sequences/s" in err


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shown(None)
    assert "epoch 2/2" in capsys.readouterr().err


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
