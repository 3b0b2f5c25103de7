"""Frozen tile kernel, whose time is the unit of other times.  The kernel must never change.

The kernel sums a register tile of a matrix product, as large as the package's tile, from data in
the first-level cache.  It is LLVM's text and uses nothing from the package, so that it stays the
same when the package changes.  LLVM compiles it for the host.  A changed kernel needs a new
version, and its times need a new unit.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import llvmlite.binding as llvm
import numpy as np

UNIT = "tile-1"  #: time of 2**20 multiply-adds of version 1
K = 256


def source(lanes: int, rows: int, vecs: int) -> str:
    """Return LLVM's text of ``times`` products (rows, K) by (K, vecs * lanes), summed up."""
    vector = f"<{lanes} x float>"
    cells = [(r, c) for r in range(rows) for c in range(vecs)]
    start = "\n".join(f"  %s{r}_{c} = phi {vector} [zeroinitializer, %entry], [%n{r}_{c}, %next]"
                      for r, c in cells)  # fmt: skip
    loop = "\n".join(f"  %x{r}_{c} = phi {vector} [%s{r}_{c}, %outer], [%n{r}_{c}, %inner]"
                     for r, c in cells)  # fmt: skip
    columns = "\n".join(
        f"  %pb{c} = getelementptr {vector}, ptr %row, i64 {c}\n"
        f"  %b{c} = load {vector}, ptr %pb{c}, align 64"
        for c in range(vecs)
    )
    step = "\n".join(
        f"  %pa{r} = getelementptr float, ptr %column, i64 {r}\n"
        f"  %a{r} = load float, ptr %pa{r}\n"
        f"  %i{r} = insertelement {vector} undef, float %a{r}, i32 0\n"
        f"  %f{r} = shufflevector {vector} %i{r}, {vector} undef, <{lanes} x i32> zeroinitializer\n"
        + "\n".join(
            f"  %n{r}_{c} = call {vector} @llvm.fmuladd.v{lanes}f32"
            f"({vector} %f{r}, {vector} %b{c}, {vector} %x{r}_{c})"
            for c in range(vecs)
        )
        for r in range(rows)
    )
    stores = "\n".join(
        f"  %po{r}_{c} = getelementptr {vector}, ptr %out, i64 {i}\n"
        f"  store {vector} %n{r}_{c}, ptr %po{r}_{c}, align 64"
        for i, (r, c) in enumerate(cells)
    )
    return f"""
declare {vector} @llvm.fmuladd.v{lanes}f32({vector}, {vector}, {vector})
define void @tile(ptr %a, ptr %b, ptr %out, i64 %times) {{
entry:
  br label %outer
outer:
  %t = phi i64 [0, %entry], [%t1, %next]
{start}
  br label %inner
inner:
  %k = phi i64 [0, %outer], [%k1, %inner]
{loop}
  %ka = mul i64 %k, {rows}
  %column = getelementptr float, ptr %a, i64 %ka
  %kb = mul i64 %k, {vecs}
  %row = getelementptr {vector}, ptr %b, i64 %kb
{columns}
{step}
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, {K}
  br i1 %more, label %inner, label %next
next:
  %t1 = add i64 %t, 1
  %again = icmp ult i64 %t1, %times
  br i1 %again, label %outer, label %end
end:
{stores}
  ret void
}}"""


def tile_of(features: dict[str, bool]) -> tuple[int, int, int]:
    """Return (lanes, rows, vecs): eight rows of 64-byte registers, or four of 32 or 16 bytes."""
    if features.get("avx512f"):
        return 16, 8, 2
    return (8, 4, 2) if features.get("avx") else (4, 4, 2)


def aligned(n: int) -> np.ndarray:
    """Return `n` float32 zeros that start at a multiple of 64 bytes."""
    room = np.zeros(n + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + n]


def make() -> Callable[[int], None]:
    """Return a function that repeats the work of one unit."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    lanes, rows, vecs = tile_of(features)
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=2, jit=True
    )
    module = llvm.parse_assembly(source(lanes, rows, vecs))
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(
        engine.get_function_address("tile")
    )
    a, b, out = aligned(K * rows), aligned(K * vecs * lanes), aligned(rows * vecs * lanes)
    a[:], b[:] = 0.5, 1e-3
    inner = 2**20 // (K * rows * vecs * lanes)
    arguments = (a.ctypes.data, b.ctypes.data, out.ctypes.data)

    def work(times: int) -> None:
        run(*arguments, times * inner)

    work.kept = a, b, out, engine  # type: ignore[attr-defined]  # `run` needs them
    return work
