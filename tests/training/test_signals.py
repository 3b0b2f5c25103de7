"""Signals that come at once, or wait while a file is written."""

from __future__ import annotations

import signal
import threading

import pytest

from rnn_fast import Terminated
from rnn_fast.training.signals import Signals

NUMBERS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@pytest.mark.parametrize("number", NUMBERS)
def test_they_come_at_once_unless_they_have_to_wait(number):
    done = []
    with Signals() as signals:
        with pytest.raises(NUMBERS[number]):
            signal.raise_signal(number)
        with pytest.raises(NUMBERS[number]), signals.waiting():
            signal.raise_signal(number)
            done.append(1)
        with signals.waiting():
            done.append(2)
    assert done == [1, 2]


def test_a_second_one_does_not_wait():
    with Signals() as signals, pytest.raises(KeyboardInterrupt), signals.waiting():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it did wait")


def test_an_error_comes_first():
    with Signals() as signals, pytest.raises(ZeroDivisionError), signals.waiting():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError


def test_what_the_program_handles_itself_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *arguments: seen.append(arguments[0]))
    try:
        with Signals() as signals, signals.waiting():
            signal.raise_signal(signal.SIGTERM)
            assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_other_threads_have_none():
    def run():
        with Signals() as signals, signals.waiting():
            handlers.append(signal.getsignal(signal.SIGINT))

    handlers = [signal.getsignal(signal.SIGINT)]
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers[0] is handlers[1] is signal.default_int_handler
