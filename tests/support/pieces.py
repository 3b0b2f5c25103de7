"""HTML that notebooks show: closed, self-contained, without colors of its own."""

from __future__ import annotations

from html.parser import HTMLParser


class Piece(HTMLParser):
    """A piece of HTML: its tags, and the text of each cell of its tables.

    Raises AssertionError for elements that are not closed in their order, for what would need
    another file or run, and for a color that only a light or only a dark page can have.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        assert tag not in ("script", "style", "link", "img", "iframe")
        assert not named.keys() & {"src", "href", "class", "id", "onclick", "color", "bgcolor"}
        assert named.get("stroke", "currentColor") == "currentColor"
        assert "color:" not in named.get("style", "") and "background" not in named.get("style", "")
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "td" in self._open or "th" in self._open:
            self.cells[-1] += data
