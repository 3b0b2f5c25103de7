"""Images: relocated code in memory, with functions that fill and copy of its own."""

from __future__ import annotations

import numpy as np
import pytest

llvm = pytest.importorskip("llvmlite.binding")

from rnn_fast.jit import target_machine  # noqa: E402
from rnn_fast.jit.elf import image_of  # noqa: E402
from rnn_fast.jit.executable import Executable  # noqa: E402
from rnn_fast.jit.filling import add_filling  # noqa: E402
from rnn_fast.jit.image import Image  # noqa: E402

FILL = """
define void @program(ptr %p) {
    %place = getelementptr i64, ptr %p, i64 0
    %n = load i64, ptr %place
    %value_at = getelementptr i64, ptr %p, i64 1
    %value = load i8, ptr %value_at
    %first = getelementptr i64, ptr %p, i64 2
    %to = load ptr, ptr %first
    call void @llvm.memset.p0.i64(ptr %to, i8 %value, i64 %n, i1 false)
    ret void
}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""
COPY = """
define void @program(ptr %p) {
    %n = load i64, ptr %p
    %first = getelementptr i64, ptr %p, i64 1
    %from = load ptr, ptr %first
    %second = getelementptr i64, ptr %p, i64 2
    %to = load ptr, ptr %second
    call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %n, i1 false)
    ret void
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""


def module_of(source):
    """A module for the target."""
    module, machine = llvm.parse_assembly(source), target_machine()
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return module


def image(source, *, filling=True):
    module = module_of(source)
    if filling:
        add_filling(module)
    return image_of(target_machine().emit_object(module))


def test_an_image_is_the_same_after_packing():
    one = image(FILL)
    other = Image.unpacked(one.packed())
    assert (one.body, one.entries) == (other.body, other.entries)
    for name in ("places", "targets", "kinds"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert set(one.entries) == {"program"}


@pytest.mark.parametrize("value", [0, 171])
def test_memory_is_filled_to_the_byte(value):
    run = Executable(image(FILL)).function("program", "integers")
    for n in (*range(140), 1000, 4099):
        for shift in (0, 1, 3):
            memory = np.full(n + 200, 7, np.uint8)
            record = np.array([n, value, memory.ctypes.data + 64 + shift], np.int64)
            run(record.ctypes.data)
            wanted = np.full(n + 200, 7, np.uint8)
            wanted[64 + shift : 64 + shift + n] = value
            np.testing.assert_array_equal(memory, wanted)


def test_memory_is_copied_to_the_byte():
    run = Executable(image(COPY)).function("program", "integers")
    source = np.random.default_rng(0).integers(0, 256, 5000, np.uint8)
    for n in (*range(140), 1000, 4099):
        memory = np.full(n + 200, 7, np.uint8)
        record = np.array([n, source.ctypes.data + 1, memory.ctypes.data + 65], np.int64)
        run(record.ctypes.data)
        wanted = np.full(n + 200, 7, np.uint8)
        wanted[65 : 65 + n] = source[1 : 1 + n]
        np.testing.assert_array_equal(memory, wanted)


def test_code_that_calls_something_outside_is_refused():
    with pytest.raises(RuntimeError, match="compiled code calls memset"):
        image(FILL, filling=False)


def test_code_with_data_of_its_own_is_refused():
    source = """
        @count = global i64 0
        define void @program(ptr %p) {
            store ptr %p, ptr @count
            ret void
        }"""
    with pytest.raises(RuntimeError, match="data of its own|not known"):
        image(source)


def test_an_object_of_another_format_is_refused():
    with pytest.raises(RuntimeError, match="no 64-bit ELF object"):
        image_of(b"\xcf\xfa\xed\xfe" + bytes(99))
