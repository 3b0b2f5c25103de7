"""Calls of the operating system of which the n-th fails, and checkpoints with altered content."""

from __future__ import annotations

import json

from rnn_fast.saving import model_file
from rnn_fast.saving.files import Files

CALLS = ("open", "write", "fsync", "link", "replace")
#: makers of what a call may raise
ERRORS = {
    "full": lambda: OSError(28, "No space left on device"),
    "memory": lambda: MemoryError("no memory"),
    "stop": lambda: KeyboardInterrupt("stop"),
}


class Failing(Files):
    """Calls of which the n-th of one name fails; a write, after half of its bytes.

    With `lasts`, so do all calls of that name after it.
    """

    def __init__(self, name, n, error, lasts=False):
        self.calls, real = 0, getattr(Files, name)

        def call(*arguments):
            self.calls += 1
            if self.calls == n or (lasts and self.calls > n):
                if name == "write":
                    handle, data = arguments
                    real(handle, data[: len(data) // 2])
                raise error()
            return real(*arguments)

        setattr(self, name, call)


def content(path):
    """Return architecture, parameters, the record of the training and its arrays."""
    with model_file.reading(path) as file:
        arrays = file.read(is_checkpoint=True)
        own = {name: arrays.pop(f"training.{name}") for name in file.arrays}
        return file.architecture, arrays, json.loads(file.training or "{}"), own


def alter(path, change):
    """Let `change` alter the record and the arrays of a checkpoint, and sign it again."""
    architecture, parameters, training, arrays = content(path)
    change(training, arrays)
    path.write_bytes(model_file.encode(architecture, parameters, training, arrays))
