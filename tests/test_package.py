"""What the package says of itself holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rnn_fast

ROOT = Path(__file__).parents[1]
tomllib = pytest.importorskip("tomllib")  # Python 3.11
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CLASSIFIERS = PROJECT["classifiers"]


def test_the_oldest_python_is_the_first_named():
    versions = [c.rpartition(" ")[2] for c in CLASSIFIERS if re.search(r":: 3\.\d+$", c)]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert versions == [f"3.{minor}" for minor in range(10, 10 + len(versions))]


def test_types_are_there():
    assert "Typing :: Typed" in CLASSIFIERS
    assert (Path(rnn_fast.__file__).parent / "py.typed").is_file()


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = dict(re.findall(r"^(\w[\w-]*): (.+)$", text, re.M))
    assert cited["version"] == rnn_fast.__version__ and cited["title"] == PROJECT["name"]
    assert cited["license"] == PROJECT["license"]
    assert cited["abstract"] == f"{PROJECT['description']}."
    assert re.findall(r"^  - (?!name)(.+)$", text, re.M) == PROJECT["keywords"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_of_a_page_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link
