from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from alexnet.reporting.html import Share, bars, counted, details, grid, items, paragraph, table

EVIL = "<script>alert('&')</script>\""


class Tags(HTMLParser):
    """The tags and the text of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(str(html))  # a Markup would escape what is added to it

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "block",
    [
        paragraph(EVIL),
        items([EVIL]),
        details(EVIL, EVIL),
        grid([EVIL]),
        table([EVIL, "n"], [(EVIL, 1)], name=EVIL, sortable=True),
        bars([(EVIL, 0.5, "")]),
    ],
    ids=["paragraph", "items", "details", "grid", "table", "bars"],
)
def test_what_names_hold_is_shown_and_never_run(block) -> None:
    found = Tags(block)
    assert "script" not in found.tags
    assert EVIL in found.text


def test_markup_is_not_escaped_again() -> None:
    assert "<b>bold</b> &amp; more" in paragraph(Markup("<b>bold</b>"), "& more")


def test_a_table_shows_numbers_for_reading() -> None:
    columns = ("class", "images", "loss", "recall")
    html = table(columns, [("a", 12345, 0.5, Share(0.25)), ("b", 0, 1.0, None)], name="scores")
    assert [cell in html for cell in ("12,345", "0.500", "25.0%", "&ndash;")] == [True] * 4
    assert html.count('<td class="n">') == 6, "all but the names are aligned to the right"
    assert "<button" not in html


def test_a_sortable_table_says_how_it_is_sorted() -> None:
    html = table(("class", "images"), [("a", 2), ("b", 1)], name="scores", sortable=True)
    assert html.count("<button") == 2
    assert [html.count(f'aria-sort="{order}"') for order in ("ascending", "none")] == [1, 1]


def test_a_long_table_scrolls_in_a_box_of_its_own() -> None:
    tables = [table(("n",), [(number,) for number in range(n)], name="numbers") for n in (40, 41)]
    assert ["tall" in html for html in tables] == [False, True]


def test_a_part_may_be_open() -> None:
    assert details("a", "b").startswith("<details><summary>")
    assert details("a", "b", is_open=True).startswith("<details open><summary>")


@pytest.mark.parametrize(("n", "words"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (12345, "12,345 images")])
def test_nouns_go_with_their_numbers(n, words) -> None:
    assert counted(n, "image") == words


def test_a_plural_may_be_given() -> None:
    assert counted(2, "class", "classes") == "2 classes"
