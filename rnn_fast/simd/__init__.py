"""Vec and Tile: vector registers as values in compiled code.

``Vec``
    one vector register of ``lanes(dtype)`` numbers (an LLVM vector);
``Tile``
    ``rows x vecs`` of them, kept in registers (an LLVM array), the block of accumulators that
    LLVM does not keep for plain loops;
``Shape``
    a Python object that stands for a tile's size and dtype and passes through compiled code as a
    type, so that functions are written once for all sizes.

Memory is reached through bare pointers.  Only this room and `jit` speak LLVM.
"""

from .atomics import call_program, call_with, fetch_add, load_acquire, pause, replace, store_release
from .elementwise import (
    absolute,
    apply,
    clip,
    exponent,
    flush,
    flush_root,
    fma,
    horner,
    polynomial,
    pow2,
    root,
    unscale,
    where_less,
    with_sign,
)
from .memory import (
    address_of,
    exists,
    fill,
    first,
    load,
    load_record,
    on_stack,
    pointer,
    prefetch,
    store,
    store_record,
    total,
    width,
)
from .random import lane_uniforms, unit_uniforms
from .records import buffers_of, typed_view, view
from .rows import add_rows, load_numbers, load_rows, store_rows
from .tables import has_tables, quarter_octave, scaled, table
from .tiles import (
    dots,
    gather_transpose,
    load_tile,
    one_row,
    rank1,
    rank_lanes,
    size,
    spread,
    store_tile,
    sum_rows,
    transpose,
    zeros,
)
from .types import Shape, Tile, Vec, lanes, marker, marker_type

__all__ = [
    "Shape",
    "Tile",
    "Vec",
    "absolute",
    "add_rows",
    "address_of",
    "apply",
    "buffers_of",
    "call_program",
    "call_with",
    "clip",
    "dots",
    "exists",
    "exponent",
    "fetch_add",
    "fill",
    "first",
    "flush",
    "flush_root",
    "fma",
    "gather_transpose",
    "has_tables",
    "horner",
    "lane_uniforms",
    "lanes",
    "load",
    "load_acquire",
    "load_numbers",
    "load_record",
    "load_rows",
    "load_tile",
    "marker",
    "marker_type",
    "on_stack",
    "one_row",
    "pause",
    "pointer",
    "polynomial",
    "pow2",
    "prefetch",
    "quarter_octave",
    "rank1",
    "rank_lanes",
    "replace",
    "root",
    "scaled",
    "size",
    "spread",
    "store",
    "store_record",
    "store_release",
    "store_rows",
    "store_tile",
    "sum_rows",
    "table",
    "total",
    "transpose",
    "typed_view",
    "unit_uniforms",
    "unscale",
    "view",
    "where_less",
    "width",
    "with_sign",
    "zeros",
]
