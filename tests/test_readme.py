"""Every script in the README runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
SCRIPTS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_script(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(script, str(README), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_the_language_model_has_learned(tmp_path, monkeypatch, capsys):
    (script,) = (s for s in SCRIPTS if "perplexity" in s)
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    exec(compile(script, str(README), "exec"), names)
    assert names["perplexity"] < 6  # of a hundred characters
