"""The turn of a thread to train a model."""

from __future__ import annotations

from threading import RLock


class Turn:
    """Permission to train a model, for one thread in a ``with`` block.

    The thread may take it again, as a callback does that trains the model it is called with.  It
    costs 0.2 us of the 15 of a small update.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        """Take the turn.

        Raises
        ------
        RuntimeError
            Another thread has it.
        """
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                "the model is being trained by another thread; one thread at a time may train it"
            )

    def __exit__(self, *error: object) -> None:
        self._lock.release()
