"""The content of a script's functions: their code, and what they use from outside."""

from __future__ import annotations

import dis
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..validation import shown
from . import maths

Maths = Callable[..., Any]
NUMBERS = (bool, int, float)


def content_of(function: Maths, inside: tuple[Maths, ...] = ()) -> Iterator[str]:
    """Yield texts that are the same for functions that compute the same, in the same words.

    Raises
    ------
    TypeError
        As `outside_of`.
    """
    code = function.__code__
    consts = [c for c in code.co_consts if not isinstance(c, str)]  # without the docstring
    yield f"{code.co_code.hex()} {consts} {code.co_names} {code.co_varnames} {code.co_freevars}"
    yield repr((function.__defaults__, function.__kwdefaults__))
    for name, value in outside_of(function):
        if isinstance(value, NUMBERS):
            yield f"{name} {value!r}"
        elif value in (*inside, function) or not is_helper(value):
            yield f"{name} {value.__name__}"
        else:
            yield name
            yield from content_of(value, (*inside, function))


def is_helper(value: Any) -> bool:
    """Return whether a value is a function of a script, not one of `maths`."""
    return isinstance(value, FunctionType) and value.__module__ != maths.__name__


def outside_of(function: Maths) -> Iterator[tuple[str, Any]]:
    """Yield names and values that a function uses from its module or a function around it.

    Raises
    ------
    TypeError
        A value is none of numbers, functions, and modules of functions for maths; or there is a
        function inside the function.
    """
    code = function.__code__
    if any(isinstance(const, CodeType) for const in code.co_consts):
        raise TypeError(
            f"{function.__name__} has a function, a comprehension or a generator inside, which the "
            "maths of a cell cannot have"
        )
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    values = {name: function.__globals__[name] for name in names if name in function.__globals__}
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    values |= {name: cell.cell_contents for name, cell in cells}
    for name, value in sorted(values.items()):
        module = isinstance(value, ModuleType) and value in (math, maths, _package())
        if not (module or isinstance(value, (*NUMBERS, FunctionType))):
            raise TypeError(
                f"{function.__name__} uses {name}, {shown(value)}: the maths of a cell may use "
                "numbers, functions of rnn_fast.cells, and functions made of these, imported by "
                "their names"
            )
        yield name, value


def _package() -> ModuleType:
    """Return `rnn_fast.cells`, whose attributes are those of `maths`."""
    return sys.modules[__package__]


@cache
def helpers_of(function: Maths) -> tuple[FunctionType, ...]:
    """Return the functions of scripts that a function calls, directly or not."""
    found: dict[FunctionType, None] = {}
    for _, value in outside_of(function):
        if is_helper(value):
            found |= dict.fromkeys((*helpers_of(value), value))
    return tuple(found)
