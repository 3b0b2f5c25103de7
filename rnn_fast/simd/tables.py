"""Tables in vector registers, looked up by AVX-512's permutations.

A table fills 512 bits: 16 float32 or 8 float64.  It lies in one register, or in two of 256 bits, so
that a function has the same bits in Vecs of either width.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir
from numba import types

from ..jit import has_avx512
from .elementwise import elementwise
from .llvm import INT32, call_avx512, constant, integers
from .types import Vec


def has_tables(vec: Vec) -> bool:
    """Return whether the target can look up a table by each number of a `vec`."""
    bits = vec.n * vec.dtype.bitwidth
    return bits in (256, 512) and has_avx512(bits)


def entries(dtype: types.Float) -> int:
    """Return the number of entries of a table of `dtype`."""
    return 512 // dtype.bitwidth


def table(values: Sequence[float]):
    """Make an operation on Vecs that `has_tables`: x to ``values[low bits of x]``."""
    return elementwise(lambda builder, x: _look_up(builder, x, values), "table")


def _look_up(builder, x, values):
    """The vector of ``values[low bits of x]``."""
    n, kind = x.type.count, _kind(x)
    index = builder.bitcast(x, integers(x.type)[0])
    registers = [ir.Constant(x.type, values[i : i + n]) for i in range(0, len(values), n)]
    if len(registers) == 1:
        return call_avx512(builder, f"permvar.{kind[1]}f.512", registers[0], index)
    low, high = registers
    return call_avx512(builder, f"vpermi2var.{kind}.256", low, index, high)


def _scaled(builder, x, n):
    """x * 2**floor(n), zero or infinite where that is; by AVX-512."""
    width = x.type.count
    mask = ir.Constant(ir.IntType(max(8, width)), -1)
    bits = width * (32 if _kind(x) == "ps" else 64)
    rounding = [INT32(4)] if bits == 512 else []  # as the processor is set
    return call_avx512(builder, f"mask.scalef.{_kind(x)}.{bits}", x, n, x, mask, *rounding)


def _kind(x):
    return "ps" if isinstance(x.type.element, ir.FloatType) else "pd"


def _quarter_octave(builder, x):
    it, mantissa = integers(x.type)
    bits = builder.lshr(builder.bitcast(x, it), constant(it, mantissa - 2))
    return builder.bitcast(bits, x.type)


#: x * 2**floor(n), on a target that `has_tables`
scaled = elementwise(_scaled, "scaled")
#: bits whose lowest four count quarters of an octave, [1, 1.25) and so on; 12 stands for [1, 1.25)
quarter_octave = elementwise(_quarter_octave, "quarter_octave")
