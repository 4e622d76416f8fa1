"""What notebooks show of a value: cards with tables, bars, images and links.

Styles are inline, since a notebook has no style sheet for us. Text has the colour of the page, and backgrounds are
transparent or nearly so: it can be read on light and on dark pages.
"""

import os
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from alexnet.html.elements import Html, element

# Okabe and Ito's blue and vermilion, which colour-blind people can tell apart, as red, green and blue.
BLUE, VERMILION = (0, 114, 178), (213, 94, 0)
_LINE = "1px solid rgba(128,128,128,.35)"


def card(title: str, *parts: str) -> Html:
    """Return a title with what belongs to it. What is too wide scrolls inside the card."""
    heading = element("div", title, style="font-weight:600;margin-bottom:.4em;overflow-wrap:anywhere")
    style = f"border:{_LINE};border-radius:6px;padding:.7em 1em;margin:.3em 0;max-width:50em;overflow-x:auto"
    return element("div", heading, *parts, style=style)


def note(text: str) -> Html:
    """Return a line of less weight."""
    return element("div", text, style="opacity:.75;overflow-wrap:anywhere")


def beside(*parts: str) -> Html:
    """Return parts side by side; on a narrow page, one below the other."""
    return element("div", *parts, style="display:flex;flex-wrap:wrap;gap:1em;align-items:center")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, n_left: int = 1) -> Html:
    """Return a table.

    Args:
        header: names of the columns; empty for a table without a header.
        rows: the cells of each row, text or ``Html``.
        n_left: how many columns, from the left, are aligned left; the others hold numbers, and are aligned right.
    """
    head = [_row("th", header, n_left, f"border-bottom:{_LINE};")] if header else []
    body = [_row("td", cells, n_left, "border:0;") for cells in rows]
    return element("table", *head, *body, style="border-collapse:collapse;border:0;margin:.2em 0")


def _row(kind: str, cells: Sequence[str], n_left: int, border: str) -> Html:
    style = f"{border}padding:.1em .8em .1em 0;text-align:"
    sides = ["left" if place < n_left else "right;white-space:nowrap" for place in range(len(cells))]
    return element("tr", *(element(kind, cell, style=style + side) for cell, side in zip(cells, sides, strict=True)))


def bars(shares: Iterable[tuple[str, float]]) -> Html:
    """Return a bar for each label and its share, in [0, 1]."""
    rows = []
    for label, share in shares:
        full = f"width:{share:.1%};height:.7em;background:{rgba(BLUE)}"
        bar = element("div", element("div", style=full), style="width:10em;background:rgba(128,128,128,.2)")
        rows.append((label, bar, f"{share:.1%}"))
    return table((), rows, n_left=2)


def image(content: bytes, kind: str, alt: str, **attributes: str) -> Html:
    """Return an image that is part of the page.

    Args:
        content: the image file.
        kind: ``jpeg``, ``png`` or ``svg+xml``. Scripts in an SVG do not run.
        alt: what is shown in place of the image where images are not shown.
        attributes: its other attributes, such as ``style``.
    """
    return element("img", src=f"data:image/{kind};base64,{b64encode(content).decode()}", alt=alt, **attributes)


def link(path: Path, text: str) -> Html:
    """Return a link to a file or folder.

    It is relative if the path is inside the working directory: notebook servers serve only what lies beside the
    notebook, and browsers open ``file://`` only from pages that are files themselves.
    """
    path, here = path.absolute(), Path.cwd()
    inside = path.is_relative_to(here)
    target = quote(os.fsencode(path.relative_to(here).as_posix())) if inside else path.as_uri()
    return element("a", text, href=target, style="color:inherit")


def rgba(colour: tuple[int, int, int], opacity: float = 1.0) -> str:
    """Return a colour for a style."""
    return f"rgba({','.join(map(str, colour))},{opacity:.2f})"
