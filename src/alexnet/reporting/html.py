"""The few blocks that the report is made of: they use the classes of ``style.css``, those of ``alexnet.html`` none.

Text that is put into ``Markup`` is escaped: names of classes and paths may hold anything.
"""

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

# What stands for a number that does not exist, such as the recall of a class without images.
NOTHING = Markup('<span class="muted">&ndash;</span>')

# Longer tables scroll in a box of their own.
MANY_ROWS = 40


class Share(float):
    """A share in [0, 1], shown in percent."""

    def __str__(self) -> str:
        return f"{float(self):.1%}"


def lines(parts: Iterable[str]) -> Markup:
    """Return the parts one below the other in the file; text is escaped."""
    return Markup("\n").join(parts)


def paragraph(*sentences: str, kind: str = "") -> Markup:
    """Return sentences as one paragraph; empty ones are left out."""
    return Markup('<p class="{}">{}</p>').format(kind, Markup(" ").join(filter(None, sentences)))


def items(entries: Iterable[str]) -> Markup:
    """Return a bulleted list."""
    return Markup("<ul>{}</ul>").format(lines(Markup("<li>{}</li>").format(entry) for entry in entries))


def details(summary: str, body: str, *, is_open: bool = False) -> Markup:
    """Return a part that is folded until its summary is clicked."""
    opened = Markup(" open") if is_open else ""
    return Markup("<details{}><summary>{}</summary>{}</details>").format(opened, summary, body)


def grid(cells: Iterable[str], kind: str = "") -> Markup:
    """Return cells side by side, as many as fit into a row."""
    return Markup('<div class="grid {}">{}</div>').format(kind, lines(cells))


def wide(body: str, name: str, kind: str = "") -> Markup:
    """Return a box that scrolls where its content is wider than the page; the arrow keys scroll it too.

    Args:
        body: its content.
        name: what it holds, for screen readers.
        kind: ``tall`` for a box of limited height, which scrolls down as well.
    """
    box = Markup('<div class="wide {}" role="region" aria-label="{}" tabindex="0">{}</div>')
    return box.format(kind, name, body)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, name: str, sortable: bool = False) -> Markup:
    """Return a table in a box of its own.

    Args:
        columns: their titles.
        rows: ``Share`` and numbers are aligned to the right, None is a dash, everything else is text.
        name: what the table holds, for screen readers.
        sortable: whether a click on a title sorts the rows. They must be sorted by the first column.
    """
    rows = list(rows)
    are_numbers = [any(_is_number(row[i]) for row in rows) for i in range(len(columns))]
    head = lines(
        _title(title, is_number, sortable=sortable, is_sorted=i == 0)
        for i, (title, is_number) in enumerate(zip(columns, are_numbers, strict=True))
    )
    body = lines(Markup("<tr>{}</tr>").format(Markup().join(map(_cell, row, are_numbers))) for row in rows)
    whole = Markup('<table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>')
    whole = whole.format("sortable" if sortable else "", head, body)
    return wide(whole, name, "tall" if len(rows) > MANY_ROWS else "")


def bars(shares: Iterable[tuple[str, float, str]]) -> Markup:
    """Return a bar for each label and share in [0, 1]; the third is its kind: ``right``, ``wrong`` or empty."""
    return Markup('<ol class="bars">{}</ol>').format(
        lines(
            Markup('<li class="{}" style="--share:{:.4f}" title="{}"><span>{}</span><b>{}</b></li>').format(
                kind, share, label, label, Share(share)
            )
            for label, share, kind in shares
        )
    )


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 image", "1,204 images"."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def _title(title: str, is_number: bool, *, sortable: bool, is_sorted: bool) -> Markup:
    kind = "n" if is_number else ""
    if not sortable:
        return Markup('<th scope="col" class="{}">{}</th>').format(kind, title)
    order = "ascending" if is_sorted else "none"
    return Markup('<th scope="col" class="{}" aria-sort="{}"><button type="button">{}</button></th>').format(
        kind, order, title
    )


def _cell(value: object, is_number: bool) -> Markup:
    return Markup('<td class="n">{}</td>' if is_number else "<td>{}</td>").format(_shown(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _shown(value: object) -> Markup:
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return escape(f"{value:,}")
    if isinstance(value, float) and not isinstance(value, Share):
        return escape(f"{value:.3f}")
    return escape(value)
