"""Weights of the units driver: copies turned around, and the way from and to the flat vector."""

from __future__ import annotations

from numba import int64

from ...jit import kernel
from ...layout.batch_records import Pack
from ...layout.unit_records import Rows, Turn
from ...simd import load, size, store, transpose, view, width
from ..batch.matrices import PACK, pack

TURN, ROWS = len(Turn._fields), len(Rows._fields)


@kernel
def panel_of(shapes, N, c):
    """(First column, width) of the panel of N columns that holds column c."""
    _, wide = size(shapes.wide)
    _, two = size(shapes.two)
    _, one = size(shapes.one)
    whole = N // wide * wide
    if c < whole:
        return c // wide * wide, wide
    left = whole + (N - whole) // two * two
    if c < left:
        return whole + (c - whole) // two * two, two
    return whole + (c - whole) // one * one, one


@kernel
def turn(tiles, turn, source, to):
    """Turn a matrix (R, C) around, both in panels."""
    L = width(to)
    R, C = turn.R, turn.C
    N = (R + L - 1) // L * L
    for c in range(0, C, L):
        u, wide = panel_of(tiles.line, C, c)
        from_ = source + (u * R + c - u)
        for r in range(0, R, L):
            v, there = panel_of(tiles.line, N, r)
            at = to + (v * C + c * there + r - v)
            if R % L == 0:
                transpose(from_ + r * wide, wide, at, there)
            else:
                for i in range(r, min(R, r + L)):
                    for j in range(L):
                        at[j * there + i - r] = from_[i * wide + j]


@kernel
def turn_weights(tiles, space):
    """Write the copies of the weights that one of the passes reads."""
    sizes, buffers = space.sizes, space.buffers
    for i in range(sizes.n_packs):
        p = view(Pack, sizes.packs + i * PACK)
        pack(tiles.read, p, buffers.w + p.source, buffers.turned + p.out)
    for i in range(sizes.n_turns):
        t = view(Turn, sizes.turns + i * TURN)
        turn(tiles, t, buffers.w + t.source, buffers.turned + t.to)


@kernel
def move_rows(sizes, padded, flat, to_flat):
    """Copy a vector of the parameters' layout from the flat vector, or to it."""
    for i in range(sizes.n_rows):
        rows = view(Rows, sizes.rows + i * ROWS)
        for r in range(rows.n_rows):
            line = flat + (rows.flat + r * rows.down)
            if rows.turned:
                move(padded + (rows.at + r), rows.step, line, rows.n, to_flat)
            else:
                move(padded + (rows.at + r * rows.step), 1, line, rows.n, to_flat)


@kernel(inline=True)
def move(padded, step, line, n, to_flat):
    """Copy n numbers, `step` apart in `padded`, to `line` or from it."""
    L, done = width(line), int64(0)
    if step == 1:
        done = n - n % L
        for k in range(0, done, L):
            if to_flat:
                store(line + k, load(padded + k))
            else:
                store(padded + k, load(line + k))
    for k in range(done, n):
        if to_flat:
            line[k] = padded[k * step]
        else:
            padded[k * step] = line[k]
