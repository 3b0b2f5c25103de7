"""Small compiled programs, each around one kernel of the package.

The programs reach below the public interface.  A renamed kernel cannot be measured until this
module uses its new name.  Each factory imports the kernels that it needs, so it fails alone.

A factory returns the function that a `Program` compiles.  The last argument of the function is
`times`.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_fast.jit import Program, vector_bytes, vector_registers

#: part of the key of a program on disk, because this text shapes the program too
VERSION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
COPIES = 8  #: copies of a kernel's arrays, each in its layout


class LossBuffers(NamedTuple):
    """Buffers that a loss reads and writes."""

    targets: Any
    weights: Any
    losses: Any
    hits: Any


def tile_shape(dtype: str) -> Any:
    """Return the register tile that the package uses if no padding is needed."""
    from rnn_fast.simd import Shape

    return Shape(dtype, *((8, 2) if vector_registers() == 32 else (4, 2)))


def lanes(dtype: str) -> int:
    """Return the number of lanes in the register tile."""
    return 2 * vector_bytes() // np.dtype(dtype).itemsize


def reals(n: int, dtype: str, scale: float = 1.0) -> np.ndarray:
    """Return `n` normal numbers at an aligned address."""
    room = np.zeros(n + 64 // np.dtype(dtype).itemsize, dtype)
    start = -room.ctypes.data % 64 // room.itemsize
    room[start : start + n] = scale * np.random.default_rng(0).standard_normal(n)
    return room[start : start + n]


def bound(factory: str, dtype: str, *key: str | int, **arguments: Any) -> Callable[[int], None]:
    """Return a function that runs the program of a factory on arrays and numbers, n times.

    Each call uses the next of `COPIES` copies of the arrays, which differ in layout.  The figure
    then does not depend on the page addresses of one process (`side_by_side`).
    """
    kinds = {
        name: "int" if isinstance(value, int) else {"f": "reals", "i": "integers"}[value.dtype.kind]
        for name, value in arguments.items()
    }
    for name, value in arguments.items():
        if kinds[name] == "reals" and (value.dtype != dtype or name == "options"):
            kinds[name] = "doubles"
    program = Program(__name__, factory, **kinds, times="int")
    run = program(dtype, *key, VERSION)
    arrays = {name: a for name, a in arguments.items() if not isinstance(a, int)}
    copies = [side_by_side(arrays, gap) for gap in range(COPIES)]
    turns = itertools.cycle(
        [
            [placed[n].ctypes.data if n in placed else a for n, a in arguments.items()]
            for placed in copies
        ]
    )

    def work(times: int) -> None:
        run(*next(turns), times)

    work.kept = copies  # type: ignore[attr-defined]  # keeps the arrays alive
    return work


def side_by_side(arrays: dict[str, np.ndarray], gap: int) -> dict[str, np.ndarray]:
    """Return copies in one allocation, `gap` pages apart, at the same offsets in any process.

    The copies start at offsets spread evenly over half a page.  Without this, some processes took 2
    to 6 times as long: a load lay just after an earlier store by page offset.
    """
    page, line = 4096, 64
    apart = page // 2 // max(1, len(arrays)) // line * line
    room = np.zeros(page + sum(a.nbytes + (2 + gap) * page for a in arrays.values()), np.uint8)
    at, placed = -room.ctypes.data % page, {}
    for k, (name, a) in enumerate(arrays.items()):
        at += gap * page + (k * apart - room.ctypes.data - at) % page
        placed[name] = room[at : at + a.nbytes].view(a.dtype).reshape(a.shape)
        placed[name][...] = a
        at += a.nbytes
    return placed


def named(module: str, name: str) -> Any:
    """Return a kernel of the package."""
    return getattr(importlib.import_module(f"rnn_fast.{module}"), name)


# ------------------------------------------------------------------------------------ products


def multiply(dtype: str, version: str) -> Callable:
    """Product of a packed a (32, 32) and b (32, lanes)."""
    kernel, shape = named("kernels.batch.matrices", "multiply"), tile_shape(dtype)

    def program(a, b, out, times):
        for _ in range(times):
            kernel(shape, a, 32, 32, 32, b, out, 0)

    return program


def weight_gradients(dtype: str, version: str) -> Callable:
    """Gradient of W (16, columns) over 2 steps."""
    kernel, shape = named("kernels.batch.matrices", "weight_gradients"), tile_shape(dtype)
    n = lanes(dtype)

    def program(grads, columns, da, z, panel, times):
        for _ in range(times):
            kernel(shape, grads, 16, columns, da, 16 * n, z, columns * n, 2, panel)

    return program


def combine(dtype: str, version: str) -> Callable:
    """Product of one sample (64,) and weights (64, units)."""
    from rnn_fast.simd import Shape, store_tile

    kernel, sums, row = (
        named("kernels.single.recurrence", "combine"),
        Shape(dtype, 4, 2),
        Shape(dtype, 1, 2),
    )
    n = lanes(dtype)

    def program(a, b, out, times):
        for _ in range(times):
            for _ in range(16):
                store_tile(out, 0, kernel(sums, row, a, 1, b, n, 64))

    return program


# --------------------------------------------------------------------------------- elementwise


def cell_forward(dtype: str, cell: str, version: str) -> Callable:
    """Gates and states of 4 units."""
    from rnn_fast.cells.kernels import Step, forward, marker_of

    cell, n = marker_of(cell), 4 * lanes(dtype)

    def program(a, h_prev, h, c_prev, c, vectors, options, times):
        for _ in range(times):
            forward(cell, Step(n, a, h_prev, h, c_prev, c, vectors, options))

    return program


def cell_backward(dtype: str, cell: str, version: str) -> Callable:
    """Backward pass of 4 units."""
    from rnn_fast.cells.kernels import Gradients, Step, backward, marker_of

    cell, n = marker_of(cell), 4 * lanes(dtype)

    def program(a, h_prev, h, c_prev, c, vectors, options, da, dh, dc, dvectors, dlate, times):
        for _ in range(times):
            backward(
                cell,
                Step(n, a, h_prev, h, c_prev, c, vectors, options),
                Gradients(da, dh, dc, dvectors, dlate),
            )

    return program


def function(dtype: str, name: str, version: str) -> Callable:
    """Function of `vector_math` on 512 numbers."""
    from rnn_fast.simd import load, store, width

    kernel = named("simd.vector_math", name)

    def program(x, y, times):
        for _ in range(times):
            for i in range(0, 512, width(x)):
                store(y + i, kernel(load(x + i)))

    return program


def loss(dtype: str, name: str, version: str) -> Callable:
    """Loss and gradient of 4 outputs, with one sample in each lane."""
    from rnn_fast.losses import kernels

    function = kernels.loss_and_gradient
    if not takes(function, "job"):
        return loss_of_several(dtype, name)
    from rnn_fast.layout.loss import LossJob

    chosen, n = kernels.marker_of(name), lanes(dtype)

    def program(numbers, logits, targets, weights, losses, hits, times):
        numbers[0] = 4.0  # `LossNumbers`
        for _ in range(times):
            for _ in range(4):
                job = LossJob(numbers, logits, targets, weights, losses, hits, 1.0, n, 4, 0)
                function(chosen, job)

    return program


def loss_of_several(dtype: str, name: str) -> Callable:
    """`loss` of commits whose programs hold all losses."""
    from rnn_fast.losses import LOSSES
    from rnn_fast.losses.kernels import Choice, loss_and_gradient

    shape, choice, place = tile_shape(dtype), Choice(), LOSSES.place(name)

    def program(numbers, logits, targets, weights, losses, hits, times):
        numbers[0], numbers[1] = place, 4.0  # `LossNumbers`
        for _ in range(times):
            for _ in range(4):
                buffers = LossBuffers(targets, weights, losses, hits)
                loss_and_gradient(shape, choice, numbers, logits, buffers, 1.0, 4)

    return program


# ------------------------------------------------------------------------------------- updates


def takes(kernel: Any, argument: str) -> bool:
    """Return whether a kernel has an argument, which a former version need not have."""
    return argument in inspect.signature(kernel.py_func).parameters


def update(dtype: str, name: str, version: str) -> Callable:
    """Optimizer step on 1003 parameters, which fill no whole number of registers."""
    from rnn_fast.optimizers.kernels import begin, marker_of

    kernel, optimizer = named("optimizers.updates", "descend"), marker_of(name)

    def before(parameters, gradients, moments, record, spare, times):
        for _ in range(times):
            knobs = begin(optimizer, record)
            kernel(optimizer, parameters, gradients, moments, 1003, 1003, 1e-9, knobs, spare)

    if not takes(kernel, "part"):
        return before
    from rnn_fast.layout.descent import Part

    def program(parameters, gradients, moments, record, spare, times):
        part = Part(parameters, gradients, moments, gradients, 1003, 1003, 1003)
        for _ in range(times):
            kernel(optimizer, part, 1e-9, begin(optimizer, record), spare)

    return program


def clip(dtype: str, version: str) -> Callable:
    """Norm limit of 1003 gradients."""
    updates = importlib.import_module("rnn_fast.optimizers.updates")
    if hasattr(updates, "clip"):
        kernel = updates.clip

        def before(gradients, record, times):
            for _ in range(times):
                kernel(gradients, 1003, gradients, 0, record)

        return before
    norm_of, scale = updates.norm_of, updates.scale

    def program(gradients, record, times):
        for _ in range(times):
            norm = norm_of(gradients, 1003, record)
            if norm > 1e9:
                scale(gradients, 1003, 1e9 / norm)

    return program


def penalize(dtype: str, version: str) -> Callable:
    """L1 and L2 penalties of 1003 parameters."""
    kernel = named("optimizers.updates", "penalize")

    def program(parameters, gradients, penalties, times):
        for _ in range(times):
            kernel(parameters, gradients, penalties, 1003, 1003)

    return program


# --------------------------------------------------------------------------- around the products


def pack(dtype: str, version: str) -> Callable:
    """Matrix (64, 36), packed into groups of as many rows as the tile has."""
    from rnn_fast.layout.batch_records import Pack

    kernel, shape = named("kernels.batch.matrices", "pack"), tile_shape(dtype)
    matrix = Pack(source=0, down=36, right=1, R=64, C=36, out=0, height=36, k0=0)

    def program(source, out, times):
        for _ in range(times):
            kernel(shape, matrix, source, out)

    return program


def unpack(dtype: str, version: str) -> Callable:
    """Gradient of a matrix (32, lanes + 4): panels, and 4 columns of partial sums."""
    from rnn_fast.layout.batch_records import Unpack

    kernel, shape = named("kernels.batch.matrices", "unpack"), tile_shape(dtype)
    C = lanes(dtype) + 4
    part = Unpack(grads=0, R=32, C=C, row=0, n_rows=32, column=0, n_columns=C, out=0, down=C)

    def program(grads, out, times):
        for _ in range(times):
            kernel(shape, grads, part, out, False)

    return program


def load_inputs(dtype: str, version: str) -> Callable:
    """Inputs of 5 features, loaded into lanes; every second sequence is shorter."""
    from rnn_fast.kernels.batch.samples import Block, lane_ids

    kernel, shape = named("kernels.batch.inputs", "load_inputs"), tile_shape(dtype)
    n = lanes(dtype)
    size = n if takes(lane_ids, "n") else shape

    def program(x, ids, z, times):
        block = Block(lane_ids(size, ids), n, 0, 8, 4, 0)
        for _ in range(times):
            kernel(shape, block, x, 5, z, 6 * n)

    return program


class Lengths(NamedTuple):
    """Lengths of the sequences, which tell `freeze` and `hold` which have ended."""

    lengths: Any


def ends(dtype: str, name: str, version: str) -> Callable:
    """`freeze` or `hold` on 16 units of a block in which some sequences have ended."""
    kernel, shape = named("kernels.batch.states", name), tile_shape(dtype)

    def program(lengths, p, q, times):
        for _ in range(times):
            for _ in range(4):
                kernel(shape, Lengths(lengths), 8, p, q, 16)

    return program


def dropout(dtype: str, version: str) -> Callable:
    """Masks of 4 units over 4 steps."""
    from rnn_fast.kernels.batch.samples import Block, lane_ids

    kernel, shape = named("kernels.batch.inputs", "draw_mask"), tile_shape(dtype)
    n = lanes(dtype)
    size = n if takes(lane_ids, "n") else shape

    def program(ids, mask, times):
        block = Block(lane_ids(size, ids), n, 0, 4, 4, 0)
        for seed in range(times):  # else the processor learns the masks of one seed
            kernel(shape, block, 4, 4, 4, 0, 0.5, seed, mask)

    def before(ids, mask, times):
        block = Block(lane_ids(size, ids), n, 0, 4, 4, 0)
        for seed in range(times):
            kernel(shape, block, 4, 4, 0, 0.5, seed, mask)

    return program if takes(kernel, "steps") else before


def units(dtype: str, name: str, partial: int, vecs: int, version: str) -> Callable:
    """Part of the single driver: `unit_forward`, `unit_backward` or `unit_gradients`."""
    from rnn_fast.cells.kernels import marker_of
    from rnn_fast.kernels.single.program import single_shapes
    from rnn_fast.layout.single import SingleBuffers, SingleSizes
    from rnn_fast.simd import buffers_of, view

    kernel, cell = named("kernels.single.recurrence", name), marker_of("tanh")
    sums, row, tile, _ = single_shapes(dtype, partial, vecs)

    def gradients(sizes, offsets, work, times):
        sizes = view(SingleSizes, sizes)
        buffers = buffers_of(SingleBuffers, work, offsets)
        for _ in range(times):
            kernel(sums, row, tile, sizes, buffers, False)

    def through_time(sizes, offsets, work, times):
        sizes = view(SingleSizes, sizes)
        buffers = buffers_of(SingleBuffers, work, offsets)
        for _ in range(times):
            kernel(cell, sums, row, sizes, buffers)

    return gradients if name == "unit_gradients" else through_time
