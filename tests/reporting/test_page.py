"""The page as a browser shows it, opened from the disk."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import alexnet
from alexnet.reporting.facts import Missing
from alexnet.reporting.page import page
from alexnet.reporting.sections import PARTS

from ..browser import LAPTOP, PHONE, is_too_wide, watched
from .made_up import evaluation_of, facts_of, outputs_of

IDS = [section.id for sections in PARTS.values() for section in sections]
MOST_BYTES = 5_000_000


class Checked(HTMLParser):
    """Fails where a tag is closed that is not open, or left open."""

    EMPTY = frozenset({"meta", "link", "img", "br", "path", "rect", "use"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A page of five awkwardly named classes."""
    folder = tmp_path_factory.mktemp("page")
    facts = facts_of(folder / "a <run> & more")
    file = folder / "small.html"
    file.write_text(page(facts), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """A page of 1,000 classes and 10,000 images."""
    folder = tmp_path_factory.mktemp("page")
    file = folder / "large.html"
    file.write_text(page(facts_of(folder / "large", 1000, 10_000)), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser):
    with watched(browser) as open_page:
        yield open_page


def column(shown, number: int) -> list[str]:
    """Return the cells of a column of the table of classes."""
    return shown.locator(f"#classes tbody tr td:nth-child({number})").all_inner_texts()


@pytest.mark.parametrize("file", ["small", "large"])
def test_every_section_is_there_and_not_empty(file, request, opened) -> None:
    path = request.getfixturevalue(file)
    assert path.stat().st_size <= MOST_BYTES
    shown = opened(path)
    assert shown.locator("main section[id]").evaluate_all("all => all.map(each => each.id)") == IDS
    for name in IDS:
        text = shown.locator(f"#{name}").inner_text()
        assert len(text) > 60, name
        assert "Not here" not in text, text
    broken = "all => all.filter(image => !(image.complete && image.naturalWidth > 0)).length"
    assert shown.locator("img").evaluate_all(broken) == 0
    links = shown.locator("nav a").evaluate_all("all => all.map(each => each.getAttribute('href'))")
    assert links == [f"#{name}" for name in IDS]


@pytest.mark.parametrize("file", ["small", "large"])
@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_the_page_never_scrolls_sideways(file, size, request, opened) -> None:
    shown = opened(request.getfixturevalue(file), size)
    assert not is_too_wide(shown)
    shown.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    assert not is_too_wide(shown)


def test_names_are_text_and_not_tags(small, opened) -> None:
    shown = opened(small)
    assert "<b>bold</b>" in shown.locator("#classes").inner_text()
    assert shown.title() == "a <run> & more: alexnet report"


def test_a_click_sorts_and_another_turns_round(small, opened) -> None:
    shown = opened(small)
    recalls = [float(text.rstrip("%")) for text in column(shown, 4)]
    title = shown.locator("#classes th", has_text="recall")
    for order, expected in (("ascending", sorted(recalls)), ("descending", sorted(recalls, reverse=True))):
        title.locator("button").click()
        assert [float(text.rstrip("%")) for text in column(shown, 4)] == expected
        assert title.get_attribute("aria-sort") == order
    assert shown.locator('#classes th:not([aria-sort="none"])').count() == 1


def test_the_keyboard_sorts_too(small, opened) -> None:
    shown = opened(small)
    names = column(shown, 1)
    shown.locator("#classes th button").first.focus()
    shown.keyboard.press("Enter")
    assert sorted(column(shown, 1)) == sorted(names)
    assert column(shown, 1) != names
    assert shown.locator("#classes th").first.get_attribute("aria-sort") == "descending"


def test_a_class_without_a_score_stays_last(tmp_path, opened) -> None:
    outputs = outputs_of(6, 60)
    kept = outputs.labels != 2
    names = tuple(name for name, is_kept in zip(outputs.names, kept, strict=True) if is_kept)
    some = replace(
        outputs, names=names, labels=outputs.labels[kept], log_probabilities=outputs.log_probabilities[kept]
    )  # fmt: skip
    file = tmp_path / "page.html"
    file.write_text(page(facts_of(tmp_path / "run", outputs=some)), encoding="utf-8")
    shown = opened(file)
    button = shown.locator("#classes th", has_text="recall").locator("button")
    for _ in range(2):
        button.click()
        assert column(shown, 4)[-1] == "\N{EN DASH}"


def test_it_is_dark_where_the_reader_likes_that(small, opened) -> None:
    def brightness(scheme: str, what: str) -> float:
        shown = opened(small, color_scheme=scheme)
        colour = shown.locator("body").evaluate(f"body => getComputedStyle(body).{what}")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    assert brightness("light", "backgroundColor") > 200 > 100 > brightness("light", "color")
    assert brightness("dark", "backgroundColor") < 60 < 180 < brightness("dark", "color")


def test_on_paper_everything_is_unfolded(small, opened) -> None:
    shown = opened(small)
    assert shown.locator("details:not([open])").count() > 0
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.locator("details:not([open])").count() == 0
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.locator("details:not([open])").count() > 0
    assert len(shown.pdf()) > 10_000


def test_the_report_of_a_real_run(run, opened) -> None:
    shown = opened(alexnet.report(run), PHONE)
    assert not is_too_wide(shown)
    assert "Not here" not in shown.locator("main").inner_text()
    assert shown.locator("#mistakes").inner_text()


# Without a browser


@pytest.mark.parametrize("n_classes", [2, 5, 31])
def test_tags_are_closed_in_order(n_classes, tmp_path) -> None:
    html = page(facts_of(tmp_path, n_classes))
    Checked(html.replace("<!DOCTYPE html>", ""))
    assert len(re.findall(r'\bid="([\w-]+)"', html)) >= len(IDS)


def test_a_section_that_cannot_be_made_says_why(tmp_path) -> None:
    facts = replace(facts_of(tmp_path), evaluation=Missing("the images are gone"), kernels=Missing("no <weights>"))
    html = page(facts)
    assert "Not here: the images are gone." in html
    assert "Not here: no &lt;weights&gt;." in html
    assert all(f'<section id="{name}">' in html for name in IDS)


def test_an_error_in_a_section_stays_there(tmp_path) -> None:
    broken = evaluation_of(outputs_of(5, 60), intervals={})
    html = page(facts_of(tmp_path, evaluation=broken))
    assert html.count("an error in alexnet: KeyError") == 1
    assert html.count("Not here") == 1


def test_a_page_asks_for_nothing(tmp_path) -> None:
    html = page(facts_of(tmp_path))
    addresses = re.findall(r'(?:src|href|xlink:href)="([^"]{1,40})', html)
    assert addresses
    assert {each.partition(":")[0] if ":" in each else each[0] for each in addresses} <= {"data", "file", "#"}
    assert "@import" not in html
    assert "url(http" not in html
