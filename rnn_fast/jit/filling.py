"""The functions of C's library that LLVM calls where it sees a loop that fills or copies.

A program that calls nothing outside itself runs wherever its bytes lie, so they are part of it.
"""

from __future__ import annotations

from typing import Any

from .target import vector_bytes

#: whole registers, the last of which overlaps the one before; of less than one, words, then bytes.
#: ``no-builtins``: LLVM must not see that these are the functions themselves
_SOURCE = """
define ptr @memset(ptr %p, i32 %value, i64 %n) #0 {{
    %byte = trunc i32 %value to i8
    %v = insertelement <{width} x i8> poison, i8 %byte, i32 0
    %fill = shufflevector <{width} x i8> %v, <{width} x i8> poison, <{width} x i32> zeroinitializer
    %small = icmp ult i64 %n, {width}
    br i1 %small, label %words, label %registers
registers:
    %last = sub i64 %n, {width}
    br label %whole
whole:
    %i = phi i64 [ 0, %registers ], [ %next, %store ]
    %more = icmp ult i64 %i, %last
    br i1 %more, label %store, label %end
store:
    %at = getelementptr i8, ptr %p, i64 %i
    store <{width} x i8> %fill, ptr %at, align 1
    %next = add i64 %i, {width}
    br label %whole
end:
    %rest = getelementptr i8, ptr %p, i64 %last
    store <{width} x i8> %fill, ptr %rest, align 1
    ret ptr %p
words:
    %word = shufflevector <{width} x i8> %fill, <{width} x i8> poison, <4 x i32> zeroinitializer
    %four = and i64 %n, -4
    br label %each
each:
    %j = phi i64 [ 0, %words ], [ %after, %put ]
    %left = icmp ult i64 %j, %four
    br i1 %left, label %put, label %bytes
put:
    %to = getelementptr i8, ptr %p, i64 %j
    store <4 x i8> %word, ptr %to, align 1
    %after = add i64 %j, 4
    br label %each
bytes:
    %k = phi i64 [ %four, %each ], [ %then, %one ]
    %some = icmp ult i64 %k, %n
    br i1 %some, label %one, label %done
one:
    %here = getelementptr i8, ptr %p, i64 %k
    store i8 %byte, ptr %here
    %then = add i64 %k, 1
    br label %bytes
done:
    ret ptr %p
}}

define ptr @memcpy(ptr %to, ptr %from, i64 %n) #0 {{
    %whole = and i64 %n, -{width}
    br label %registers
registers:
    %i = phi i64 [ 0, %0 ], [ %next, %move ]
    %more = icmp ult i64 %i, %whole
    br i1 %more, label %move, label %bytes
move:
    %source = getelementptr i8, ptr %from, i64 %i
    %target = getelementptr i8, ptr %to, i64 %i
    %register = load <{width} x i8>, ptr %source, align 1
    store <{width} x i8> %register, ptr %target, align 1
    %next = add i64 %i, {width}
    br label %registers
bytes:
    %k = phi i64 [ %whole, %registers ], [ %then, %one ]
    %some = icmp ult i64 %k, %n
    br i1 %some, label %one, label %done
one:
    %there = getelementptr i8, ptr %from, i64 %k
    %here = getelementptr i8, ptr %to, i64 %k
    %byte = load i8, ptr %there
    store i8 %byte, ptr %here
    %then = add i64 %k, 1
    br label %bytes
done:
    ret ptr %to
}}

attributes #0 = {{ nounwind noinline "no-builtins" }}
"""


def add_filling(module: Any) -> None:
    """Let an optimised module define ``memset`` and ``memcpy`` for itself."""
    import llvmlite.binding as llvm

    added = llvm.parse_assembly(_SOURCE.format(width=vector_bytes()))
    added.triple, added.data_layout = module.triple, module.data_layout
    names = [function.name for function in added.functions]
    module.link_in(added)  # which leaves out what is internal and not called
    for name in names:
        module.get_function(name).linkage = "internal"
