"""The display of a training in programs whose standard error is no terminal, or none at all."""

from __future__ import annotations

import io
import sys
import threading

import numpy as np
import pytest

from rnn_fast import SimpleRNN
from rnn_fast.training.progress import Bar, Lines, Progress, progress

X = np.random.default_rng(0).standard_normal((12, 4, 2))
Y = (X.sum((1, 2)) > 0).astype(int)


class Logger:
    """What programs put in the place of stderr: text goes in, no more is known of it."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Broken(Logger):
    """A stream whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError

    def isatty(self):
        return True


class Terminal(io.StringIO):
    def isatty(self):
        return True


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {
    "none": lambda: None,
    "logger": Logger,
    "broken": Broken,
    "closed": closed,
    "object": object,
    "ascii": lambda: io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
    "utf-16": lambda: io.TextIOWrapper(io.BytesIO(), encoding="utf-16"),
}


@pytest.mark.parametrize("verbose", [None, False, True, 2])
@pytest.mark.parametrize("stream", STREAMS)
def test_any_stderr_will_do(monkeypatch, capsys, stream, verbose):
    m, expected = SimpleRNN(2, 4, seed=0), SimpleRNN(2, 4, seed=0)
    expected.fit(X, Y, epochs=2, verbose=False)
    monkeypatch.setattr(sys, "stderr", STREAMS[stream]())
    assert len(m.fit(X, Y, epochs=2, verbose=verbose)) == 2
    np.testing.assert_array_equal(m.Whh, expected.Whh)
    assert capsys.readouterr().out == ""  # nothing goes to the other stream instead


def test_a_logger_gets_the_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", logger := Logger())
    SimpleRNN(2, 4).fit(X, Y, epochs=2, verbose=2)
    assert [line[:9] for line in logger.text.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    SimpleRNN(2, 4).fit(X, Y, epochs=2, verbose=True)
    assert "epoch 2/2: 100%" in logger.text


@pytest.mark.parametrize(
    ("stream", "verbose", "kind"),
    [
        (None, None, Progress),
        (Logger(), None, Progress),
        (Terminal(), None, Bar),
        (Terminal(), False, Progress),
        (Logger(), True, Bar),
        (Terminal(), 2, Lines),
    ],
)
def test_who_gets_what(monkeypatch, stream, verbose, kind):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(3, 0, verbose) as display:
        assert type(display) is kind


def test_without_tqdm_a_bar_becomes_lines(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert type(progress(3, 0, True)) is Lines


@pytest.mark.parametrize("verbose", [True, 2])
def test_a_thread_of_a_server(verbose, capsys):
    histories = []

    def work():
        histories.append(SimpleRNN(2, 4).fit(X, Y, epochs=2, verbose=verbose))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(histories[0]) == 2 and "epoch 2/2" in capsys.readouterr().err


def test_an_event_loop():
    import asyncio

    async def serve():
        here = SimpleRNN(2, 4, seed=0).fit(X, Y, epochs=2, verbose=False)
        there = await asyncio.to_thread(SimpleRNN(2, 4, seed=0).fit, X, Y, epochs=2, verbose=False)
        return here.loss == there.loss

    assert asyncio.run(serve())
