import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from alexnet.html.blocks import BLUE, VERMILION
from alexnet.html.matrix import MOST_CLASSES, confusion_matrix

from .page import HOSTILE, Page


def test_a_cell_has_its_count_and_the_colour_of_its_share() -> None:
    page = Page(confusion_matrix(["red", "blue", "none"], [[9, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert page.text == "true \\ predictedredbluenonered91blue4none"
    backgrounds = [str(cell["style"]).partition("background:")[2] for cell in page.all("td")]
    assert backgrounds[0] == "rgba(0,114,178,0.57)", "the root of 9 of 10 images, of 0.6"
    assert backgrounds[1] == "rgba(213,94,0,0.19)"
    assert backgrounds[4] == "rgba(0,114,178,0.60)"
    assert all(each.endswith(",0.00)") for each in backgrounds[5:]), "a class without images has no colour"


def test_any_class_name_is_shown_as_it_is() -> None:
    page = Page(confusion_matrix([HOSTILE, "x" * 300], [[1, 0], [0, 1]]))
    assert page.names == {"table", "tr", "th", "td"}
    assert [cell.get("title") for cell in page.all("th")] == [None, HOSTILE, "x" * 300, HOSTILE, "x" * 300]


@pytest.mark.parametrize("n", [MOST_CLASSES + 1, 1000])
def test_many_classes_are_an_image(n) -> None:
    confusion = np.diag(np.full(n, 4))
    confusion[3, 5] = 12
    page = Page(confusion_matrix([str(i) for i in range(n)], confusion.tolist()))
    (attributes,) = page.all("img")
    content = b64decode(str(attributes["src"]).partition(",")[2])
    assert len(content) < 40_000
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    assert pixels.shape == (n, n, 4)
    assert tuple(pixels[0, 0]) == (*BLUE, 255)
    assert tuple(pixels[3, 3]) == (*BLUE, 128), "the root of 4 of 16"
    assert tuple(pixels[3, 5]) == (*VERMILION, 221)
    assert (pixels[..., 3] > 0).sum() == n + 1
    assert f"{n} classes" in page.text


def test_as_many_classes_as_fit_have_numbers() -> None:
    labels = [str(i) for i in range(MOST_CLASSES)]
    assert len(Page(confusion_matrix(labels, np.eye(MOST_CLASSES, dtype=int).tolist())).all("td")) == MOST_CLASSES**2
