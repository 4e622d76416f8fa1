"""HTML as a browser reads it."""

import re
from html.parser import HTMLParser

# What a class or a file may be named.
HOSTILE = """<b>&"'</td></table><script>alert(1)</script>&amp;"""


class Page(HTMLParser):
    """A piece of HTML. It is an error if its elements are not closed in order.

    Attributes:
        elements: the name and the attributes of each element, in order.
        text: all text.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        html.encode()  # as it is sent to a browser
        self.feed(str(html))  # markupsafe's texts would escape again what they are joined with
        self.close()
        assert self._open == [], "an element is not closed"
        # Text has the colour of the page, be it light or dark.
        assert not re.search(r"[\";]\s*color\s*:(?!inherit)", html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "img":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of a name."""
        return [attributes for each, attributes in self.elements if each == name]

    @property
    def names(self) -> set[str]:
        """The names of all elements."""
        return {name for name, _ in self.elements}
