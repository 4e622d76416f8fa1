"""The page with the network inside, opened from the disk in Chromium."""

import re
from pathlib import Path

import pytest

from alexnet import load

from ..browser import PHONE, finish, is_too_wide
from ..html.page import HOSTILE
from .predicting import png, shares, write_page

# Some programs that show HTML allow no workers, and browsers of some years ago have no canvas in them.
WITHOUT_WORKERS = "delete globalThis.Worker"
FAILING_WORKER = """const Real = Worker;
globalThis.Worker = class extends Real {
  constructor(address) { super(address); this.postMessage = () => setTimeout(() => this.onerror({ message: "no" })); }
};"""
DROP = """([name, content]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(content)], name, { type: "image/png" }));
  for (const kind of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""
PASTE = """content => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(content)], "image.png", { type: "image/png" }));
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def file(trained_run, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "colours.html"
    write_page(trained_run, path)
    return path


def choose(page, *files: tuple[str, bytes]) -> None:
    """Choose files, and wait until all are predicted."""
    page.locator("#files").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files]
    )
    finish(page)


def titles(page) -> list[str]:
    return page.locator(".card h2").all_inner_texts()


def first_labels(page) -> list[str]:
    return page.locator(".bars li:first-child span").all_inner_texts()


def test_an_image_gets_the_right_label_and_bars_that_add_up(file, trained_run, opened) -> None:
    page = opened(file)
    assert page.title() == "colours: all of them"
    assert page.locator("h1").inner_text() == "colours"
    assert page.locator("#about").inner_text() == "A network of 3 classes: blue, green, red."
    choose(page, ("a red one.png", png("red")))
    assert titles(page) == ["a red one.png"]
    assert first_labels(page) == ["red"]
    found = shares(page.locator(".bars b").all_inner_texts())
    assert sum(found) == pytest.approx(100, abs=0.2)
    expected = load(trained_run).predict(png("red"))[0].predictions
    assert found == pytest.approx([100 * each.probability for each in expected], abs=1)
    assert page.locator("#status").inner_text() == f"a red one.png: red, {found[0]:.1f}%"
    assert re.fullmatch(r"\d+ ms", page.locator(".card .fine").last.inner_text())
    widths = page.locator(".bars li").evaluate_all("all => all.map(each => each.style.getPropertyValue('--share'))")
    assert [100 * float(width) for width in widths] == pytest.approx(found, abs=0.06)
    page.get_by_text("This browser computes the expected probabilities").wait_for()


def test_several_images_are_cards_the_newest_first(file, opened) -> None:
    page = opened(file)
    choose(page, ("old.png", png("red")))
    choose(page, *((f"{label}.png", png(label)) for label in ("blue", "green", "red")))
    assert titles(page) == ["blue.png", "green.png", "red.png", "old.png"]
    assert first_labels(page) == ["blue", "green", "red", "red"]
    assert page.locator("#status").inner_text() == "3 images"
    page.locator("#clear").click()
    assert titles(page) == []
    assert page.locator("#status").inner_text() == ""
    assert page.evaluate("document.activeElement.id") == "files"


def test_the_overlay_is_switched_on_and_off(file, opened) -> None:
    page = opened(file)
    choose(page, ("red.png", png("red")))
    button, canvas = page.locator(".maps button").first, page.locator(".shown canvas")
    assert button.inner_text() == "red"
    assert canvas.is_hidden()
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    opaque = """canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
      .filter((_, at) => at % 4 === 3).reduce((sum, each) => sum + each, 0)"""
    assert canvas.is_visible()
    assert canvas.evaluate(opaque) > 0
    assert canvas.bounding_box() == page.locator(".shown img").bounding_box()
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert canvas.is_hidden()


def test_a_close_second_class_has_a_button_too_and_one_map_is_shown(trained_run, tmp_path, opened) -> None:
    write_page(trained_run, tmp_path / "page.html", temperature=50.0)
    page = opened(tmp_path / "page.html")
    choose(page, ("red.png", png("red")))
    buttons = page.locator(".maps button")
    assert buttons.count() == 2
    for number in (0, 1):
        buttons.nth(number).click()
        pressed = buttons.evaluate_all("all => all.map(each => each.getAttribute('aria-pressed'))")
        assert pressed == [str(each == number).lower() for each in (0, 1)]
    assert page.locator(".shown canvas").is_visible()


def test_a_broken_file_gets_a_sentence_and_stops_no_other(file, opened) -> None:
    page = opened(file)
    choose(page, ("text.png", b"no image"), ("empty.png", b""), ("red.png", png("red")))
    assert page.locator(".card .fault").all_inner_texts() == [
        "Cannot be predicted: not an image that this browser can read, or damaged; save it as JPEG or PNG.",
        "Cannot be predicted: the file is empty.",
    ]
    assert first_labels(page) == ["red"]
    assert page.locator("#status").inner_text() == "3 images, 2 cannot be predicted"
    assert page.locator(".shown.gone").count() == 2


def test_images_are_dropped_and_pasted(file, opened) -> None:
    page = opened(file)
    page.evaluate(DROP, ["green.png", list(png("green"))])
    finish(page)
    page.evaluate(PASTE, list(png("blue")))
    page.locator(".card").nth(1).wait_for()
    finish(page)
    assert titles(page) == ["image.png", "green.png"]
    assert first_labels(page) == ["blue", "green"]
    assert "dragged" not in page.locator("body").get_attribute("class")


def test_what_is_no_file_gets_a_sentence(file, opened) -> None:
    page = opened(file)
    page.evaluate(
        "document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: new DataTransfer(), bubbles: true }))"
    )
    assert "There is no file in this" in page.locator("#status").inner_text()


def test_the_keyboard_reaches_everything(file, opened) -> None:
    page = opened(file)
    choose(page, ("red.png", png("red")))
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert reached[:4] == ["Skip to the predictions", "files", "clear", "red"]
    page.locator(".maps button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".shown canvas").is_visible()
    outline = "label => getComputedStyle(label).outlineStyle"
    page.locator("#clear").focus()
    page.keyboard.press("Shift+Tab")
    assert page.locator("#files + label").evaluate(outline) == "solid"


@pytest.mark.parametrize("size", [PHONE, None], ids=["phone", "laptop"])
def test_the_page_never_scrolls_sideways(size, trained_run, tmp_path, opened) -> None:
    long = tuple(f"{'a very long name of a class ' * 4}{n}" for n in range(3))
    write_page(trained_run, tmp_path / "page.html", classes=long)
    page = opened(tmp_path / "page.html", **({} if size is None else {"size": size, "has_touch": True}))
    choose(page, (f"{'long' * 40}.png", png("red")), ("text.png", b""))
    assert not is_too_wide(page)
    assert page.locator("#camera + label").is_visible() == (size is not None)


def test_it_is_dark_where_the_reader_likes_that(file, opened) -> None:
    def brightness(scheme: str, what: str) -> float:
        colour = opened(file, color_scheme=scheme).locator("body").evaluate(f"body => getComputedStyle(body).{what}")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    assert brightness("light", "backgroundColor") > 200 > 100 > brightness("light", "color")
    assert brightness("dark", "backgroundColor") < 60 < 180 < brightness("dark", "color")


def test_names_are_text_and_not_tags(trained_run, tmp_path, opened) -> None:
    classes = (HOSTILE, "<img src=x onerror=alert(1)>", "</script>")
    write_page(trained_run, tmp_path / "page.html", classes=classes, name=HOSTILE, notes=[HOSTILE])
    page = opened(tmp_path / "page.html")
    choose(page, (f"{HOSTILE.replace('/', '')}.png", png("blue")))
    assert page.locator("h1").inner_text() == HOSTILE
    assert first_labels(page) == [HOSTILE]
    assert page.locator("#notes li").first.inner_text() == HOSTILE
    assert page.locator("td").count() == page.locator(".card script").count() == 0


@pytest.mark.parametrize("before", [WITHOUT_WORKERS, FAILING_WORKER], ids=["no worker", "a worker that fails"])
def test_without_a_worker_the_page_computes_itself(before, file, opened) -> None:
    page = opened(file, before=before)
    choose(page, ("red.png", png("red")), ("blue.png", png("blue")))
    assert first_labels(page) == ["red", "blue"]


def test_a_page_that_disagrees_with_its_self_test_predicts_nothing(trained_run, tmp_path, opened) -> None:
    write_page(trained_run, tmp_path / "page.html", off=0.01)
    page = opened(tmp_path / "page.html")
    page.locator("#fault").wait_for()
    said = page.locator("#fault").inner_text()
    assert said.startswith("This browser computes other probabilities than the network has (0.01")
    assert page.locator("#choose").is_hidden()
    page.evaluate(DROP, ["red.png", list(png("red"))])
    page.locator(".card .fault").wait_for()
    assert titles(page) == ["red.png"]
    assert page.locator(".bars").count() == 0


def test_many_classes_are_folded_and_the_rest_has_its_share(trained_run, tmp_path, opened) -> None:
    # The page has no way to know that the network has fewer logits.
    names = tuple(f"class {n}" for n in range(3))
    write_page(trained_run, tmp_path / "page.html", classes=names)
    page = opened(tmp_path / "page.html")
    assert page.locator("#all-classes").is_hidden()
    page.evaluate("describe({ ...model, classes: Array.from({ length: 40 }, (_, n) => `class ${n}`) })")
    assert page.locator("#about").inner_text().endswith("class 11 and 28 more.")
    assert page.locator("#all-classes").is_visible()
    choose(page, ("red.png", png("red")))
    assert page.locator(".bars li.rest").inner_text().startswith("37 other classes")


def test_on_paper_there_are_cards_and_no_buttons(file, opened) -> None:
    page = opened(file)
    choose(page, ("red.png", png("red")))
    page.emulate_media(media="print")
    assert page.locator(".bars").is_visible()
    assert page.locator("#choose").is_hidden()
    assert page.locator(".maps").is_hidden()
    assert len(page.pdf()) > 5_000
