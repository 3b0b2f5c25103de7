"""Progress of a training, shown while it runs.

A program's stderr may be a logger, closed, or None, and its terminal may go away.  That ends the
display, never the training.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, ClassVar

from .history import History


class Progress:
    """A display that shows nothing; the others have the same methods."""

    shows: ClassVar[bool] = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def within(self, history: History, share: float | None, loss: float, speed: float) -> None:
        """Show a moment in an epoch: the share done, if known; the loss so far; sequences/s."""

    def epoch(self, history: History) -> None:
        """Show the end of an epoch."""


def progress(epochs: int, past: int, verbose: bool | int | None) -> Progress:
    """Return a display of the progress on stderr, for a ``with`` block.

    Parameters
    ----------
    epochs, past : int
        Epochs in all, and epochs done before.
    verbose : {None, False, True, 2}
        Nothing, a bar, or a line per epoch.  None: a bar in a terminal or a notebook.  Without
        tqdm a bar becomes lines.
    """
    if verbose is None:
        verbose = "ipykernel" in sys.modules or STDERR.isatty()
    if not verbose:
        return Progress()
    if verbose == 1:
        with contextlib.suppress(Exception):  # tqdm is missing, or a warning of it is an error
            from tqdm.auto import tqdm

            return Bar(tqdm, epochs, past)
    return Lines(epochs)


class Stderr:
    """The program's stderr of the moment, which loses what cannot be written.

    An error while tqdm writes would leave its lock taken: bars of other threads then wait for ever.
    """

    def write(self, text: str) -> int:
        """Write text, if there is a stream that takes it."""
        with contextlib.suppress(Exception):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if it can be flushed."""
        with contextlib.suppress(Exception):
            sys.stderr.flush()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        with contextlib.suppress(Exception):
            return bool(sys.stderr.isatty())
        return False

    def fileno(self) -> int:
        """Return the descriptor, by which tqdm finds the width of a terminal."""
        return sys.stderr.fileno()

    @property
    def encoding(self) -> str:
        """Encoding of the stream; tqdm draws in ASCII unless it is UTF-8."""
        return getattr(sys.stderr, "encoding", None) or "ascii"


STDERR = Stderr()


class Lines(Progress):
    """A line per epoch."""

    shows = True

    def __init__(self, epochs: int):
        self.epochs = epochs

    def epoch(self, history: History) -> None:
        """Print it."""
        done = f"epoch {len(history)}/{self.epochs}"
        STDERR.write(f"{done}: {_measures(history)}, {_speed(history)}\n")


class Bar(Progress):
    """A bar that moves within the epochs, with the remaining time."""

    shows = True

    def __init__(self, tqdm: Any, epochs: int, past: int):
        shape = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"
        self.epochs, self._done = epochs, float(past)
        self.bar = tqdm(
            total=epochs, initial=past, bar_format=shape, desc=self._epoch(past), file=STDERR
        )

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def _epoch(self, past: int) -> str:
        return f"epoch {min(past + 1, self.epochs)}/{self.epochs}"

    def _advance(self, done: float) -> None:
        self.bar.update(done - self._done)
        self._done = done

    def within(self, history: History, share: float | None, loss: float, speed: float) -> None:
        """Move on, with the loss of the epoch so far."""
        said = f"loss {loss:.4g}"
        if (before := history.last()) and "val_loss" in before:
            said += f", val_loss {before['val_loss']:.4g}"
        self.bar.set_postfix_str(f"{said}, {speed:,.0f} sequences/s", refresh=False)
        if share is not None:
            self._advance(len(history) + share)

    def epoch(self, history: History) -> None:
        """Move to the end of the epoch."""
        self.bar.set_postfix_str(f"{_measures(history)}, {_speed(history)}", refresh=False)
        self.bar.set_description_str(self._epoch(len(history)), refresh=False)
        self._advance(len(history))


def _speed(history: History) -> str:
    return f"{history.sequences_per_second[-1]:,.0f} sequences/s"


def _measures(history: History) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in history.last().items())
