"""A program that may not be compiled is ordered, and another process compiles it."""

import json

import pytest

from rnn_fast.jit import NotCompiled, Program, cached_only

ASK = """
import json
from rnn_fast.jit import NotCompiled, Program, cached_only
try:
    with cached_only():
        Program("small", "factory", x="reals")("float64")
    print("loaded")
except NotCompiled as needed:
    print(json.dumps(needed.order, separators=(",", ":")))
"""
COMPILE = """
import json
from rnn_fast.jit import compile_ordered
compile_ordered(json.loads({order!r}))
"""


def test_another_process_compiles(run):
    (order,) = run(ASK)
    assert json.loads(order)["key"] == ["float64", []]
    assert run(COMPILE.format(order=order)) == []
    assert run(ASK) == ["loaded"]


def test_permission_returns():
    program = Program("nowhere", "nothing", x="reals")
    with pytest.raises(NotCompiled, match="nothing is not compiled"), cached_only():
        program("float32")
    with pytest.raises(ModuleNotFoundError):
        program("float32")
