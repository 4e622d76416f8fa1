import os
from base64 import b64decode
from urllib.parse import unquote_to_bytes

import pytest

from alexnet.html.blocks import bars, beside, card, image, link, note, table

from .page import HOSTILE, Page


@pytest.mark.parametrize("block", [
    card(HOSTILE, HOSTILE),
    note(HOSTILE),
    beside(HOSTILE),
    table([HOSTILE, "n"], [[HOSTILE, "1"]]),
    bars([(HOSTILE, 0.5)]),
    image(b"", "png", HOSTILE),
])  # fmt: skip
def test_any_name_is_shown_as_it_is(block) -> None:
    page = Page(block)
    assert HOSTILE in page.text or page.all("img")[0]["alt"] == HOSTILE
    assert page.names <= {"div", "table", "tr", "th", "td", "img"}


def test_a_table_has_its_cells_and_aligns_numbers_right() -> None:
    page = Page(table(["class", "images"], [["red", "3"], ["blue", "12"]]))
    assert page.text == "classimagesred3blue12"
    assert len(page.all("tr")) == 3
    styles = [str(cell["style"]) for cell in page.all("td")]
    assert ["text-align:left" in style for style in styles] == [True, False, True, False]
    assert ["text-align:right" in style for style in styles] == [False, True, False, True]


def test_a_table_without_a_header_has_none() -> None:
    assert Page(table((), [["a", "b"]])).all("th") == []


def test_a_bar_is_as_long_as_its_share() -> None:
    page = Page(bars([("red", 0.75), ("blue", 0.004)]))
    assert page.text == "red75.0%blue0.4%"
    widths = [str(each["style"]).split(";")[0] for each in page.all("div")]
    assert widths == ["width:10em", "width:75.0%", "width:10em", "width:0.4%"]


def test_an_image_is_part_of_the_page() -> None:
    (attributes,) = Page(image(b"\x89PNG", "png", "a cat")).all("img")
    kind, _, content = str(attributes["src"]).partition(",")
    assert kind == "data:image/png;base64"
    assert b64decode(content) == b"\x89PNG"


@pytest.mark.parametrize("name", ["a b.html", "#1?.csv", "<b>.json", os.fsdecode(b"caf\xe9.csv")])
def test_a_link_opens_the_file_from_where_the_notebook_is(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (target,) = Page(link(tmp_path / "run" / name, "file")).all("a")
    assert unquote_to_bytes(str(target["href"])) == os.fsencode(f"run/{name}")
    (target,) = Page(link(tmp_path.parent / "other" / name, "file")).all("a")
    assert str(target["href"]).startswith("file:///")
    assert unquote_to_bytes(str(target["href"])) == os.fsencode(f"file://{tmp_path.parent}/other/{name}")
