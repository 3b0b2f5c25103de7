"""Headers of several models, compiled by one call of a C compiler, and their steps by ctypes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")
C99, CXX11 = ("-std=c99", *STRICT), ("-std=c++11", "-xc++", *STRICT)
#: runs a model from the start, and once more, with what is in y for x if they are of one size
RUN = """
void {name}_run(const {x} *x, {real} *y, int T)
{{
    {name}_state state;
    {name}_reset(&state);
    for (int t = 0; t < T; t++)
        {name}_step(&state, {next}, y + t * {name}_outputs);
}}
"""


def compiler(language: str = "c") -> str | None:
    """The path of a compiler that takes the options of GCC, or None."""
    names = {"c": ("gcc", "clang", "cc"), "c++": ("g++", "clang++", "c++")}[language]
    return None if os.name == "nt" else next(filter(None, map(shutil.which, names)), None)


def source(folder: Path, models: dict, outputs: dict) -> Path:
    """Write the headers of models by name, and a file that runs them; return this."""
    text = ""
    for name, model in models.items():
        given = {"output": outputs[name]} if name in outputs else {}
        model.to_c(folder / f"{name}.h", **given)
        index = bool(model._net.embedding)
        real = {4: "float", 8: "double"}[model.dtype.itemsize]
        each = "x[t]" if index else f"x + t * {name}_inputs"
        run = RUN.format(name=name, real=real, x="int" if index else real, next=each)
        text += f'#include "{name}.h"\n{run}'
    (folder / "models.c").write_text(text)
    return folder / "models.c"


def compiled(file: Path, *options: str) -> ctypes.CDLL:
    """Return the shared library of a file."""
    library = file.with_suffix(".so")
    command = [compiler(), *C99, *options, "-fPIC", "-shared", str(file), "-o", str(library)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def run(library: ctypes.CDLL, name: str, model, x: np.ndarray, size: int) -> np.ndarray:
    """Return the outputs (T, size) of the steps x, which may be written over in place."""
    x = np.ascontiguousarray(x, np.intc if model._net.embedding else model.dtype)
    y = np.full((len(x), size), np.nan, model.dtype)
    library[f"{name}_run"](x.ctypes, y.ctypes, ctypes.c_int(len(x)))
    return y
