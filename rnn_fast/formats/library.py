"""A model as a shared library: the compiled code of its stream and the weights, behind C functions.

The records and the work memory of a stream are copied as they stand after its preparation.  In C
they lie in memory of the caller; the addresses in them are filled in by ``NAME_reset``.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import validation
from ..engine.unit_stream import IS_FINITE, UNIT_STREAM, Steps, UnitStream
from ..engine.workspace import address
from ..errors import CompilerMissing
from ..jit import can_compile, native_object, target
from ..layout.network import Network
from ..layout.parameters import parameter_views
from .c import check_steps, checked_name

_LINE = 64  #: bytes that arrays are aligned to
_LEAST_ADDRESS = 1 << 32


class Frozen(NamedTuple):
    """The memory of a prepared stream."""

    image: bytes  #: of all arrays and records
    pointers: np.ndarray  #: (n, 2) int64: places in the image of addresses, and where they lead
    block: int  #: place of the record to call the program with
    x: int
    out: int
    program: Any
    key: tuple[Any, ...]  #: of the program


def write_library(model: Any, path: str | os.PathLike[str], name: str | None) -> None:
    """Write ``path`` and a header beside it; see `Model.to_library`."""
    net: Network = model._net
    place = Path(validation.path("path", path))
    name = checked_name(name, str(place))
    check_steps(net)
    if not can_compile():
        raise CompilerMissing("to_library")
    compiler = _compiler()
    _run([*compiler, "--version"])
    frozen = freeze(net, model._flat)
    with tempfile.TemporaryDirectory() as folder:
        source, code = Path(folder, "model.c"), Path(folder, "program.o")
        header, built = Path(folder, "model.h"), Path(folder, "library")
        symbol = f"{name}_program"
        code.write_bytes(native_object(frozen.program.llvm_module(*frozen.key), symbol))
        header.write_text(_header(net, name, frozen), encoding="utf-8")
        source.write_text(_source(net, name, symbol, frozen), encoding="utf-8")
        options = ["-shared", "-O2", "-std=c99", *([] if sys.platform == "win32" else ["-fPIC"])]
        _run([*compiler, *options, str(source), str(code), "-o", str(built)])
        shutil.copyfile(built, place)
        shutil.copyfile(header, place.with_suffix(".h"))


def freeze(net: Network, parameters: np.ndarray) -> Frozen:
    """Return the memory of a stream of one sequence, before its first step."""
    stream = UnitStream(net, parameters, 1)
    if net.learned_state:
        views = parameter_views(parameters, net)
        for k, state in enumerate(("h0", "c0")[: net.states]):
            stream.state[:, k] = views[state]
    stream.load()
    steps = Steps(stream, 1)
    tables = stream.space.layout.arrays.values()
    records = [steps.block, steps.job.block, steps.x, steps.out, *steps.job.arrays(), *tables]
    arrays = _apart(records)
    starts, image = {}, bytearray()
    for start, array in arrays:
        image += bytes(-len(image) % _LINE)
        starts[start] = len(image)
        image += array.tobytes()
    words = np.frombuffer(bytes(image) + bytes(-len(image) % 8), np.int64)
    pointers = []
    for start, array in arrays:
        inside = np.flatnonzero((words >= start) & (words < start + max(1, array.nbytes)))
        pointers += [(8 * int(i), starts[start] + int(words[i]) - start) for i in inside]

    found = np.array(pointers, np.int64).reshape(-1, 2)
    _check_complete(arrays, starts, words, found)

    def place(array: np.ndarray) -> int:
        here = address(array)
        start = max(each for each in starts if each <= here)
        return starts[start] + here - start

    return Frozen(
        bytes(image),
        found,
        place(steps.block),
        place(steps.x),
        place(steps.out),
        UNIT_STREAM,
        (net.dtype.name, net.cell, *stream.space.tile),
    )


def _apart(arrays: list[np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """Return the arrays that are no part of another, by their addresses."""
    found: list[tuple[int, np.ndarray]] = []
    for array in sorted(arrays, key=lambda each: (address(each), -each.nbytes)):
        start = address(array)
        if not found or start + array.nbytes > found[-1][0] + found[-1][1].nbytes:
            found.append((start, array))
    return found


def _check_complete(
    arrays: list[tuple[int, np.ndarray]],
    starts: dict[int, int],
    words: np.ndarray,
    pointers: np.ndarray,
) -> None:
    """Make sure that no address of this process is left; sizes and places are far smaller."""
    left = set(np.flatnonzero(abs(words) > _LEAST_ADDRESS).tolist()) - {*(pointers[:, 0] // 8)}
    for start, array in arrays:
        first = starts[start] // 8
        if array.dtype == np.int64 and left & {*range(first, first + array.size)}:
            raise AssertionError("an array of the stream is missing")


def _lines(texts: list[str], per_line: int) -> str:
    """Return numbers as lines of C."""
    lines = (texts[i : i + per_line] for i in range(0, len(texts), per_line))
    return ",\n".join("    " + ", ".join(line) for line in lines)


_HEADER = """\
/* {model}: one sequence, step by step, made by rnn_fast.

   The code is for {triple}, {processor}.

   Memory of {upper}_BYTES bytes is one sequence.  {name}_reset begins it; {name}_step takes
   {inputs}, writes the {outputs} outputs before sigmoid or softmax,
   and returns 1; or 0, and changes nothing, if x is {bad}. */
#ifndef {guard}
#define {guard}
#include <stdint.h>
#define {upper}_INPUTS {n_inputs}
#define {upper}_OUTPUTS {outputs}
#define {upper}_BYTES {n_bytes}
#ifdef __cplusplus
extern "C" {{
#endif
void {name}_reset(void *memory);
int {name}_step(void *memory, const {x_type} *x, {real} *y);
#ifdef __cplusplus
}}
#endif
#endif
"""

_SOURCE = """\
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define SHARED __declspec(dllexport)
#else
#define SHARED __attribute__((visibility("default")))
#endif

extern void {symbol}(void *record);

static const uint64_t image[{n_words}] = {{
{words}
}};
static const int64_t pointers[{n_pointers}][2] = {{
{pointers}
}};

static char *aligned(void *memory) {{
    return (char *)(((uintptr_t)memory + {line} - 1) & ~(uintptr_t)({line} - 1));
}}

SHARED void {name}_reset(void *memory) {{
    char *base = aligned(memory);
    memcpy(base, image, {n_image});
    for (int i = 0; i < {n_pointers}; i++) {{
        char *to = base + pointers[i][1];
        memcpy(base + pointers[i][0], &to, sizeof to);
    }}
}}

SHARED int {name}_step(void *memory, const {x_type} *x, {real} *y) {{
    char *base = aligned(memory);
    {given} *given = ({given} *)(base + {x});
    for (int i = 0; i < {n_inputs}; i++) {{
        {check}given[i] = x[i];
    }}
    {symbol}(base + {block});
    int64_t is_finite = ((int64_t *)(base + {block}))[{flag}];
    if (is_finite) memcpy(y, base + {out}, {outputs} * sizeof *y);
    return is_finite != 0;
}}
"""


def _about(net: Network, name: str) -> dict[str, Any]:
    """Return what header and source both say."""
    real = "float" if net.dtype.itemsize == 4 else "double"
    tokens = bool(net.embedding)
    return {
        "name": name,
        "real": real,
        "x_type": "int64_t" if tokens else real,
        "n_inputs": 1 if tokens else net.input_size,
        "outputs": net.output_size,
    }


def _header(net: Network, name: str, frozen: Frozen) -> str:
    tokens = bool(net.embedding)
    return _HEADER.format(
        **_about(net, name),
        model=name,
        triple=target().triple,
        processor=target().processor,
        inputs=f"a token below {net.input_size}" if tokens else f"{net.input_size} numbers",
        bad="no such token" if tokens else "not finite",
        guard=f"{name.upper()}_H",
        upper=name.upper(),
        n_bytes=len(frozen.image) + _LINE,
    )


def _source(net: Network, name: str, symbol: str, frozen: Frozen) -> str:
    data = frozen.image + bytes(-len(frozen.image) % 8)
    words, tokens = np.frombuffer(data, np.uint64), bool(net.embedding)
    limit = f"if (x[i] < 0 || x[i] >= {net.input_size}) return 0;\n        "
    return _SOURCE.format(
        **_about(net, name),
        symbol=symbol,
        n_words=len(words),
        words=_lines([f"{value}u" for value in words.tolist()], 6),
        n_pointers=len(frozen.pointers),
        pointers=_lines([f"{{{a}, {b}}}" for a, b in frozen.pointers.tolist()], 6),
        line=_LINE,
        n_image=len(frozen.image),
        given="int64_t" if tokens else "double",
        check=limit if tokens else "",
        x=frozen.x,
        block=frozen.block,
        flag=IS_FINITE,
        out=frozen.out,
    )


def _run(command: list[str]) -> None:
    """Run a C compiler.

    Raises
    ------
    RuntimeError
        It is not there, or failed.
    """
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        raise RuntimeError(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{shlex.join(command[:2])} failed: {error.stderr.strip()}") from error


def _compiler() -> list[str]:
    """Return the command of a C compiler."""
    if chosen := os.environ.get("CC"):
        return shlex.split(chosen)
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return [found]
    from importlib.util import find_spec

    if find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise RuntimeError(
        "to_library needs a C compiler to link: set CC, install one, or pip install ziglang"
    )
