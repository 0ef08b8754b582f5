"""The tables of a page, by the names with which they are read out."""

from html.parser import HTMLParser


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._name, self._in_cell = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "div" and given.get("role") == "region":
            self._name = given.get("aria-label") or ""
        elif tag == "tr":
            self.found.setdefault(self._name, []).append([])
        elif tag in ("td", "th"):
            self.found[self._name][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
            row = self.found[self._name][-1]
            row[-1] = " ".join(row[-1].split())

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.found[self._name][-1][-1] += data


def tables(html: str) -> dict[str, list[list[str]]]:
    """Name of a table → its rows, the head first, each a list of the words of its cells."""
    parser = _Tables()
    parser.feed(html)
    return parser.found
