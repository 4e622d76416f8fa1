"""HTML elements. All text is escaped, since class names and paths may hold anything."""

from markupsafe import Markup, escape

# Elements without content.
_EMPTY = frozenset({"br", "img"})
# A text that is HTML already, and is not escaped again.
Html = Markup


def element(name: str, /, *content: str, **attributes: str) -> Html:
    """Return an element.

    Args:
        name: its name, such as ``td``.
        content: what it holds: text, which is escaped, and ``Html``.
        attributes: its attributes, such as ``style``; they are escaped.
    """
    start = Html("").join(Html(' {}="{}"').format(key, _escaped(value)) for key, value in attributes.items())
    if name in _EMPTY:
        return Html("<{}{}>").format(name, start)
    return Html("<{0}{1}>{2}</{0}>").format(name, start, joined(*content))


def joined(*content: str) -> Html:
    """Return several texts as one; those that are not ``Html`` are escaped."""
    return Html("").join(each if isinstance(each, Html) else _escaped(each) for each in content)


def _escaped(text: str) -> Html:
    # Paths may hold bytes that are not text, and a page could not be written with them.
    return escape(text.encode("utf-8", "backslashreplace").decode())
