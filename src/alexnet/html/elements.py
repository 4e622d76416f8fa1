"""HTML elements. All text is escaped, since class names and paths may hold anything.

By hand: markupsafe would be one more dependency for two functions.
"""

from html import escape

# Elements without content.
_EMPTY = frozenset({"br", "img"})


class Html(str):
    """A text that is HTML already, and is not escaped again."""

    __slots__ = ()


def element(name: str, /, *content: str, **attributes: str) -> Html:
    """Return an element.

    Args:
        name: its name, such as ``td``.
        content: what it holds: text, which is escaped, and ``Html``.
        attributes: its attributes, such as ``style``; they are escaped.
    """
    start = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
    if name in _EMPTY:
        return Html(f"<{name}{start}>")
    return Html(f"<{name}{start}>{joined(*content)}</{name}>")


def joined(*content: str) -> Html:
    """Return several texts as one; those that are not ``Html`` are escaped."""
    return Html("".join(each if isinstance(each, Html) else _escaped(each) for each in content))


def _escaped(text: str) -> str:
    # Paths may hold bytes that are not text, and a notebook could not send them.
    return escape(text.encode("utf-8", "backslashreplace").decode())
