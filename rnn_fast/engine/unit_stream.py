"""Some sequences, whose next steps come bit by bit: forward alone, with the state kept."""

from __future__ import annotations

import numpy as np

from ..jit import Program
from ..layout.memory import aligned
from ..layout.network import Network
from ..layout.unit_records import STREAM_TASKS, StreamJob
from .workspace import MEMORY, Memory, UnitSpace, address, function_of

UNIT_STREAM = Program("rnn_fast.kernels.units.stream", "unit_stream", block="integers")
WINDOW_BYTES = 1 << 18  #: of the states and activations of a window, which stay in the second cache
PREPARE, PACK, LOAD, STORE, RUN = range(len(STREAM_TASKS))
IS_FINITE = StreamJob._fields.index("is_finite")


class UnitStream:
    """The states and the packed weights of `batch` sequences.

    Attributes
    ----------
    state : (batch, states, runs, H) array
        Written by `store`, read by `load`.
    """

    def __init__(
        self, net: Network, parameters: np.ndarray, batch: int, memory: Memory = MEMORY
    ) -> None:
        self.net = net = net._replace(sequences=True)
        self.batch, numbers = batch, net.runs * net.hidden_size * (net.gates + 3)
        window = max(16, WINDOW_BYTES // (batch * numbers * net.dtype.itemsize))
        self.space = UnitSpace(net, window, batch, memory=memory, forward_only=True)
        self.state = np.zeros((batch, net.states, net.runs, net.hidden_size), net.dtype)
        self.function = function_of(UNIT_STREAM, net, *self.space.tile)
        self.fields = {
            "order": np.arange(batch),
            "n": batch,
            "parameters": parameters,
            "state": self.state,
            "final": self.state,
        }
        calls = [Steps(self, 1, task) for task in (PREPARE, PACK, LOAD, STORE)]
        prepare, self.pack, self.load, self.store = [call.run for call in calls]
        prepare()
        self.pack()

    def steps(self, T: int) -> Steps:
        """Return the next T steps, to be run again and again."""
        return Steps(self, T)


class Steps:
    """The next T steps of a stream's sequences, to be run again and again.

    Attributes
    ----------
    x : (batch, T, I) float64 array, or (batch, T) int64 array of tokens
        To be filled before `run`.  Tokens must be below the size of the vocabulary.
    out : (batch, T, O) array
        Logits that `run` writes.
    block : int64 array
        The `StreamJob`.
    job : Job
        The `BatchJob` that it names.
    """

    def __init__(self, stream: UnitStream, T: int, task: int = RUN) -> None:
        net, batch = stream.net, stream.batch
        features = (batch, T) if net.embedding else (batch, T, net.input_size)
        self.x = np.zeros(features, np.int64 if net.embedding else np.float64)
        self.out = np.zeros((batch, T, net.output_size), net.dtype)
        n = 0 if net.embedding else self.x.size
        fields = {
            "x": aligned(n, net.dtype),
            "tokens": self.x if net.embedding else None,
            "starts": np.arange(batch) * T,
            "lengths": np.full(batch, T),
            "out": self.out,
        }
        job = stream.space.record(**stream.fields, **fields)
        record = StreamJob(job=job.address, x=address(self.x), n=n, T=T, task=task, is_finite=1)
        block = np.array(record, np.int64)
        self.block, self.job = block, job
        self._address, self._alive = address(block), (stream, job)  # as long as their addresses
        self._numbers = block.data  # a number costs less than with NumPy
        self._function = stream.function

    def run(self) -> int:
        """Run the steps in `x`; 0 if a number is not finite there: then nothing happened."""
        self._function(self._address)
        return self._numbers[IS_FINITE]
