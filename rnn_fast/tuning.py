"""Constants that were tuned on a machine, in one record; none of them changes a result's meaning.

Each has a unit, and says on which machine and by which command it was found.  `tuned` changes some
for a while, to measure again or to test what rarely happens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tuning:
    """Tuned constants; Zen 4 (AVX-512, 1 MiB of L2) unless another machine is named.

    Attributes
    ----------
    tiles : dict
        By number of vector registers: (rows, vectors, parts, relative cost of a number) of register
        tiles that leave room for operands; a vector is a register cut into `parts`.  Measured on
        Zen 3 with 16 registers, where a tile one vector wide loads a number for each
        multiplication, and on Zen 4 with 32, where the load is part of the multiplication.  The
        first is favoured, since each further one is compiled on its first use, and so are whole
        vectors, by 4 %.  ``rnn-fast bench ladder``.
    splitting : tuple of str
        Processors, by LLVM's names, that compute a vector of half a register in half the time:
        Zen 4 splits its 512 bits.  On others half a vector takes the time of a whole one.
    unit_vecs : dict
        By number of vector registers, and by samples of a step: registers of units of the tiles of
        the units driver.  With one sample a panel of 4 for 64 units is half of the first cache, and
        of weights that are read to and fro more stays there: 0.96 of the time with 8.
    unit_samples : int
        Samples of a batch up to which units always lie in lanes: a GRU of 2 units took 0.63 and
        0.83 of the time with 1 and 2 samples, 1.05 with 3.
    unit_calls : float
        Time of a number in a lane of the units driver is ``1 + unit_calls / H**2`` of the batch
        driver's with whole vectors: at H = 64 a GRU took 0.31, 0.55, 0.79 of the time with 4, 8 and
        17 samples, with 24 samples 1.02 at H = 32, and an LSTM 1.12 at H = 16.
    half_cost : float
        Time of a number with half vectors, in times of whole ones: 0.78 of the time with 8 samples,
        0.89 with 17.
    crowded_bytes : float
        A block's states cost 1 % more for each so many bytes: less of them stays in cache.
        ``rnn-fast bench ladder``.
    step_cost : float
        Fixed cost of a step of a block, in multiplications of a number.  At H = 16 a tanh network
        took 0.93 of the time with blocks of 64 instead of 16.
    tails, tail_cost, tail_favour
        Vectors that a narrower tile of a small last block may have; the relative cost of a number
        there, whose few sums wait for one another; and the factor by which a batch with such a tile
        must be cheaper, for it takes twice as long to compile.
    near_bytes, reading_cost : float
        Weights of more bytes than that do not stay near the core, and each costs so many
        multiplications when it is read.  At H = 256, 0.95 of the time with blocks of 64.
    max_groups : int
        Groups of blocks that a batch is divided into, at most: threads that can work on it.
    gradient_numbers : int
        Numbers that may accumulate gradients in all groups, and that keep an embedding's.
    thread_shift : int
        Cache lines by which the work memories of threads are shifted against one another.  Two that
        went through the same places of their pages in step took 1.2 times as long.
        ``rnn-fast bench threads``.
    predict_steps : int
        Steps of a window in which longer sequences are predicted, which bounds the memory.
    worth_seconds : float
        Work that other threads are called for.
    piece_seconds, trial_seconds : float
        Length of a piece of an epoch, after which Python looks around; of a piece to compare.
    trusted_seconds : float
        Time in which a team of threads is not doubted.
    gain : float
        Share of the time alone that a team must stay below.
    pieces_between_trials : int
        Pieces between two comparisons, at most.
    block_bytes : int
        Bytes of a block that is read from disk, unless the user gives sequences.
    kept_bytes : int
        Bytes of work memory that a thread keeps from one call to the next.  With 8 MB, fits of one
        epoch took 1.07 of the time on LSTMs that need 9 to 20 MB: the gate's ``training.Field``.
    model_bytes : int
        Bytes of work memory that a model keeps from one call to the next, for small ones.
    pass_bytes : int
        Bytes of states that are kept between a forward and a backward pass; of more, the backward
        pass runs forward again.
    plain_step_bytes, plain_chunk_bytes : int
        Bytes of the pre-activations of one step, and of some steps, when NumPy predicts: they stay
        in the second cache.
    plain_layer_bytes : int
        Bytes of a layer's outputs, when NumPy predicts.
    history_rows : int
        Epochs whose history is in a checkpoint itself, before they are filed beside it.  Filing
        costs a sync; rewriting 256 rows with each checkpoint costs 0.03 ms.
    """

    tiles: dict[int, tuple[tuple[int, int, int, float], ...]] = field(
        default_factory=lambda: {
            16: ((4, 2, 1, 0.97), (5, 2, 1, 0.98), (8, 1, 1, 1.17), (10, 1, 1, 1.17)),
            32: (
                (16, 1, 1, 0.96),
                (4, 4, 1, 0.97),
                (5, 4, 1, 0.99),
                (8, 2, 1, 1.0),
                (3, 7, 2, 1.02),
                (4, 5, 2, 1.04),
                (8, 3, 2, 1.06),
                (16, 1, 2, 1.15),
            ),
        }
    )
    splitting: tuple[str, ...] = ("znver4",)
    unit_vecs: dict[int, dict[int, int]] = field(
        default_factory=lambda: {
            16: {1: 8, 2: 4, 4: 2, 8: 1},
            32: {1: 4, 2: 4, 4: 4, 8: 2},
        }
    )
    unit_samples: int = 2
    unit_calls: float = 370.0
    half_cost: float = 1.2
    crowded_bytes: float = 1.5e6
    step_cost: float = 1450.0
    tails: tuple[int, ...] = (1, 2)
    tail_cost: float = 1.3
    tail_favour: float = 1.1
    near_bytes: float = 200e3
    reading_cost: float = 1.3
    max_groups: int = 32
    gradient_numbers: int = 1 << 24
    thread_shift: int = 33
    predict_steps: int = 1024
    worth_seconds: float = 0.001
    piece_seconds: float = 0.1
    trial_seconds: float = 0.02
    trusted_seconds: float = 0.2
    gain: float = 0.95
    pieces_between_trials: int = 64
    block_bytes: int = 1 << 25
    kept_bytes: int = 24 << 20
    model_bytes: int = 1 << 20
    pass_bytes: int = 1 << 30
    plain_step_bytes: int = 1 << 20
    plain_chunk_bytes: int = 1 << 20
    plain_layer_bytes: int = 1 << 25
    history_rows: int = 256

    changes: int = (
        0  #: how often `tuned` has changed it: work memory of another count is not reused
    )


TUNING = Tuning()


@contextlib.contextmanager
def tuned(**values: Any) -> Iterator[None]:
    """Change tuned constants of this process within a ``with`` block."""
    before = {name: getattr(TUNING, name) for name in values}
    for name, value in values.items():
        setattr(TUNING, name, value)
    TUNING.changes += 1
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(TUNING, name, value)
        TUNING.changes += 1
