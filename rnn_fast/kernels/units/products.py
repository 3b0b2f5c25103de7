"""Matrices of the units driver: weights in panels, products of rows with them, gradients.

A row of a matrix fills the lanes with units; the numbers of the other operand are broadcast.  A
panel is a strip of columns as wide as a register tile, so that a product reads weights from one end
to the other.  Strips are `wide` registers, then two, then one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...jit import kernel, overloads
from ...layout.unit_records import UnitBack, UnitProduct
from ...layout.unit_tables import READ_ROWS
from ...simd import (
    Shape,
    fma,
    load_tile,
    rank1,
    size,
    spread,
    store_tile,
    sum_rows,
    view,
    zeros,
)

PRODUCT, BACK = len(UnitProduct._fields), len(UnitBack._fields)
SUMS = 8  #: registers of partial sums of one row: the latency of an FMA times its throughput


class Shapes(NamedTuple):
    """Register tiles of one kind of product: panels of `wide` registers, of two, of one."""

    wide: Any
    two: Any
    one: Any


class Tiles(NamedTuple):
    """All register tiles of the driver."""

    line: Any  # `Shapes` of one row
    sums: Any  # of its partial sums
    step: Any  # of the samples of a step
    steps: Any  # of many steps
    grads: Any  # of gradients of weights
    read: Any  # of the readout
    packed: Any  # a row of its packed weights


def tiles_of(dtype: str, rows: int, vecs: int, steps: int, grads: int) -> Tiles:
    """Make the tiles of a `UnitTile`."""

    def shapes(count: Any) -> Shapes:
        return Shapes(*(Shape(dtype, count(v), v) for v in (vecs, min(vecs, 2), 1)))

    return Tiles(
        line=shapes(lambda v: 1),
        sums=shapes(lambda v: SUMS // v),
        step=shapes(lambda v: rows),
        steps=shapes(lambda v: steps),
        grads=shapes(lambda v: grads),
        read=Shape(dtype, READ_ROWS, 1),
        packed=Shape(dtype, 1, 1, READ_ROWS),
    )


# ---------------------------------------------------------------------------------- one row


@kernel(inline=True)
def row_panel(sums, row, a, a_part, a_step, b, b_part, ldb, parts, K, backwards):
    """``sum over g, k of a[g, k] b[g, k, :]``, a Tile of one row.

    Term k of a part goes to partial sum ``k % rows``; the terms left over are added last.  If
    `backwards`, the last part is the first.
    """
    rows, _ = size(sums)
    acc = zeros(sums)
    whole = K - K % rows
    for i in range(parts):
        g = parts - 1 - i if backwards else i
        for k in range(0, whole, rows):
            factors = spread(sums, a + (g * a_part + k * a_step), a_step)
            acc = fma(factors, load_tile(sums, b + (g * b_part + k * ldb), ldb), acc)
    result = sum_rows(acc, row)
    for g in range(parts):
        for k in range(whole, K):
            result = rank1(result, a + (g * a_part + k * a_step), 0, b + (g * b_part + k * ldb))
    return result


@kernel(inline=True)
def put_row_panel(sums, row, a, a_part, panel, height, parts, K, out, add, backwards):
    """Write or add the product of a row with a panel."""
    _, wide = size(row)
    part = height // parts * wide
    new = row_panel(sums, row, a, a_part, 1, panel, part, wide, parts, K, backwards)
    if add:
        new = new + load_tile(row, out, 0)
    store_tile(out, 0, new)


@kernel
def multiply_row(tiles, a, a_part, packed, height, parts, K, N, out, add, backwards):
    """out (N) = a W, or += where `add`; W (height, N) in panels, K rows of each part are used.

    Weights that the first cache cannot hold are best read backwards every other time, panels and
    parts of a panel: what was read last is still there.
    """
    sums, line = tiles.sums, tiles.line
    _, wide = size(line.wide)
    _, two = size(line.two)
    _, one = size(line.one)
    whole = N // wide * wide
    for i in range(0, whole, wide):
        u = whole - wide - i if backwards else i
        at = packed + u * height
        put_row_panel(
            sums.wide, line.wide, a, a_part, at, height, parts, K, out + u, add, backwards
        )
    left = (N - whole) // two * two
    for u in range(whole, whole + left, two):
        at = packed + u * height
        put_row_panel(sums.two, line.two, a, a_part, at, height, parts, K, out + u, add, backwards)
    for u in range(whole + left, N, one):
        at = packed + u * height
        put_row_panel(sums.one, line.one, a, a_part, at, height, parts, K, out + u, add, backwards)


# --------------------------------------------------------------------------------- many rows


@kernel(inline=True)
def put_panel(shape, M, a, a_step, a_part, panel, height, parts, K, out, out_step, add):
    """Write or add the products of M rows with a panel, whole tiles of rows at a time."""
    rows, wide = size(shape)
    part = height // parts * wide
    for m in range(0, M, rows):
        to = out + m * out_step
        acc = load_tile(shape, to, out_step) if add else zeros(shape)
        for g in range(parts):
            b = panel + g * part
            for k in range(K):
                acc = rank1(acc, a + (m * a_step + g * a_part + k), a_step, b + k * wide)
        store_tile(to, out_step, acc)


@kernel
def multiply_rows(
    shapes, M, a, a_step, a_part, packed, height, parts, K, N, out, out_step, add, backwards
):
    """out (M, N) = a W, or += where `add`; as many rows are written as whole tiles have.

    Each sum adds its terms in their order, so that a row has the same bits in every shape of tile.
    """
    _, wide = size(shapes.wide)
    _, two = size(shapes.two)
    _, one = size(shapes.one)
    whole = N // wide * wide
    for i in range(0, whole, wide):
        u = whole - wide - i if backwards else i
        at, to = packed + u * height, out + u
        put_panel(shapes.wide, M, a, a_step, a_part, at, height, parts, K, to, out_step, add)
    left = (N - whole) // two * two
    for u in range(whole, whole + left, two):
        at, to = packed + u * height, out + u
        put_panel(shapes.two, M, a, a_step, a_part, at, height, parts, K, to, out_step, add)
    for u in range(whole + left, N, one):
        at, to = packed + u * height, out + u
        put_panel(shapes.one, M, a, a_step, a_part, at, height, parts, K, to, out_step, add)


def multiply(
    tiles, M, a, a_step, a_part, packed, height, parts, K, N, out, out_step, add, backwards
):
    """Products of the M rows of one step, in partial sums if that is one row."""
    raise NotImplementedError


@overloads(multiply)
def _multiply(
    tiles, M, a, a_step, a_part, packed, height, parts, K, N, out, out_step, add, backwards
):
    def row(
        tiles, M, a, a_step, a_part, packed, height, parts, K, N, out, out_step, add, backwards
    ):
        multiply_row(tiles, a, a_part, packed, height, parts, K, N, out, add, backwards)

    def rows(
        tiles, M, a, a_step, a_part, packed, height, parts, K, N, out, out_step, add, backwards
    ):
        multiply_rows(
            tiles.step,
            M,
            a,
            a_step,
            a_part,
            packed,
            height,
            parts,
            K,
            N,
            out,
            out_step,
            add,
            backwards,
        )

    return row if tiles[2][0].shape.rows == 1 else rows


@kernel
def weights_of(space, product):
    """The weights of a product in the table."""
    buffers = space.buffers
    return (buffers.turned if product.turned else buffers.w) + product.packed


@kernel
def step_products(tiles, space, first, n, b, b_step, a, backwards):
    """Add products of the samples of one step, rows `first` to ``first + n`` of the table, to a."""
    sizes = space.sizes
    S, a_step = sizes.samples, sizes.a_step
    for i in range(first, first + n):
        p = view(UnitProduct, sizes.products + i * PRODUCT)
        w, at, to = weights_of(space, p), b + p.at, a + p.to
        h, step = p.height, tiles.step
        multiply_rows(step, S, at, b_step, 0, w, h, 1, p.K, p.N, to, a_step, True, backwards)


@kernel
def early_products(tiles, space, first, n, M, x, x_step, a):
    """``a = [x_t, 1] W`` of M rows at once; a row has the same bits alone and in any company."""
    sizes, step = space.sizes, space.sizes.a_step
    for i in range(first, first + n):
        p = view(UnitProduct, sizes.products + i * PRODUCT)
        w, at, to, h = weights_of(space, p), x + p.at, a + p.to, p.height
        if M == 1:
            multiply_rows(tiles.line, M, at, x_step, 0, w, h, 1, p.K, p.N, to, step, False, False)
        else:
            multiply_rows(tiles.steps, M, at, x_step, 0, w, h, 1, p.K, p.N, to, step, False, False)


@kernel
def step_backs(tiles, space, first, n, da, out, out_step, backwards):
    """Add products of the samples' da of one step, rows `first` to ``first + n`` of the table."""
    sizes = space.sizes
    S, Hp, H, da_step = sizes.samples, sizes.Hp, sizes.H, sizes.da_step
    for i in range(first, first + n):
        p = view(UnitBack, sizes.backs + i * BACK)
        w, at, gates = weights_of(space, p), da + p.at, p.gates
        multiply(
            tiles, S, at, da_step, Hp, w, gates * Hp, gates, H, p.N, out, out_step, True, backwards
        )


@kernel
def many_backs(tiles, space, first, n, M, da, out, out_step):
    """Write products of M rows of da, rows `first` to ``first + n`` of the table."""
    sizes, many = space.sizes, tiles.steps
    Hp, H, step = sizes.Hp, sizes.H, sizes.da_step
    for i in range(first, first + n):
        p, add = view(UnitBack, sizes.backs + i * BACK), i > first
        w, at, gates = weights_of(space, p), da + p.at, p.gates
        multiply_rows(
            many, M, at, step, Hp, w, gates * Hp, gates, H, p.N, out, out_step, add, False
        )
