"""Names of cells, losses and optimizers are compared in the folders of their kind alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from test_floors import SOURCES, room_of

from rnn_fast.cells.specs import CELLS
from rnn_fast.losses import LOSSES
from rnn_fast.optimizers import OPTIMIZERS

#: names by the room that may compare them; `rnn` is the model's name of the simple cell
NAMES = {"cells": {*CELLS, "rnn"}, "losses": {*LOSSES}, "optimizers": {*OPTIMIZERS}}
#: `bench` writes each cell once more on purpose, in other frameworks
FREE = ("bench",)


def names_in(node: ast.AST) -> set[str]:
    """Text constants of an expression."""
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and type(n.value) is str}


def comparisons(source: str, names: set[str]) -> Iterator[tuple[int, str]]:
    """(line, name) of each comparison with a name, match of one, and table keyed by several."""
    for node in ast.walk(ast.parse(source)):
        found: set[str] = set()
        if isinstance(node, ast.Compare):
            found = names_in(node) & names
        elif isinstance(node, ast.match_case):
            found = names_in(node.pattern) & names
        elif isinstance(node, ast.Dict):
            keys = {name for key in node.keys if key is not None for name in names_in(key)}
            found = keys & names if len(keys & names) > 1 else set()
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("startswith", "endswith"):
                found = {name for text in names_in(node) for name in names if text in name}
        for name in sorted(found):
            yield node.lineno if hasattr(node, "lineno") else 0, name


@pytest.mark.parametrize("name", SOURCES)
def test_no_comparison_with_a_name(name):
    source = SOURCES[name].read_text(encoding="utf-8")
    for kind, names in NAMES.items():
        if room_of(name) not in (kind, *FREE):
            found = [f"{name}:{line}: {word!r}" for line, word in comparisons(source, names)]
            assert not found, f"{kind} are compared outside their folder"


@pytest.mark.parametrize(
    "source",
    [
        "if net.cell == 'gru': pass",
        "x = loss in ('bce', 'mse')",
        "x = {'adam': 1, 'sgd': 2}[name]",
        "if name.startswith('lstm'): pass",
        "match loss:\n    case 'bce': pass",
    ],
)
def test_the_walk_sees_a_comparison(source):
    assert any([*comparisons(source, names)] for names in NAMES.values())


@pytest.mark.parametrize("registry", [CELLS, LOSSES, OPTIMIZERS], ids=lambda r: r.kind)
def test_registries_raise(registry):
    with pytest.raises(ValueError, match=f"{registry.kind} must be one of .*; got 'nothing'"):
        registry["nothing"]
    with pytest.raises(ValueError, match="there is a .* already"):
        registry.add(next(iter(registry.values())))
