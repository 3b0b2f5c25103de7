"""Docstrings open with a verb or a noun phrase."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rnn_fast

PACKAGE = Path(rnn_fast.__file__).parent
FILES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
OPENINGS = ("What", "Where", "Who", "Whether", "Those", "That")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(source):
    """Yield the line and the docstring of everything that has one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


@pytest.mark.parametrize("file", FILES)
def test_docstrings_open_with_a_verb_or_a_noun(file):
    texts = docstrings(FILES[file].read_text(encoding="utf-8"))
    summaries = [(line, text.splitlines()[0]) for line, text in texts]
    wrong = [f"line {line}: {text}" for line, text in summaries if text.split()[0] in OPENINGS]
    assert not wrong, "\n".join(wrong)


def test_docstrings_of_all_kinds_are_read():
    source = '"""A."""\nclass B:\n  """What."""\n  def f(self):\n    """C."""\n    return "Who"\n'
    assert sorted(docstrings(source)) == [(1, "A."), (3, "What."), (5, "C.")]
