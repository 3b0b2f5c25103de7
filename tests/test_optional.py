"""Optional packages: the command that installs one is told if it is missing, else its own error."""

from __future__ import annotations

import pytest

from rnn_fast._optional import extra


def test_a_missing_package_is_named():
    with pytest.raises(ImportError, match=r"^nowhere is not installed; `pip install 'rnn_fast\[e"):
        extra("nowhere.part", "e")


def test_a_package_that_fails_says_itself_why(tmp_path, monkeypatch):
    (tmp_path / "package_that_lacks.py").write_text("import nothing_of_this_name")
    (tmp_path / "package_that_fails.py").write_text("raise ImportError('its own words')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        extra("package_that_lacks", "e")
    with pytest.raises(ImportError, match="^its own words$"):
        extra("package_that_fails", "e")
