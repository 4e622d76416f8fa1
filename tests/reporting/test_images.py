import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from alexnet.data.sources.folders.folder import Folder
from alexnet.errors import DataError
from alexnet.reporting.facts import Missing
from alexnet.reporting.images import THUMBNAIL, StoredImages, card, exact, thumbnail

from .made_up import facts_of


def image_in(html: str) -> Image.Image:
    """Return the first image of some HTML."""
    found = re.search(r'src="data:image/\w+;base64,([^"]+)"', html)
    assert found is not None
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


def test_a_thumbnail_is_small_and_links_to_its_file(tmp_path) -> None:
    html = thumbnail(facts_of(tmp_path), "0/image <3>.jpg")
    assert 'href="file:///data/made%20up/0/image%20%3C3%3E.jpg"' in html
    assert max(image_in(html).size) == THUMBNAIL
    assert len(html) < 20_000, "of noise, which no JPEG makes small"


def test_an_image_without_a_file_has_no_link_and_shows_its_path(tmp_path) -> None:
    html = card(facts_of(tmp_path), "4/in an <archive>.jpg", "a line & more", "wrong")
    assert "href" not in html
    assert "4/in an &lt;archive&gt;.jpg" in html
    assert "a line &amp; more" in html


def test_a_damaged_image_is_a_word_in_its_place(tmp_path) -> None:
    html = thumbnail(facts_of(tmp_path), "0/damaged.jpg")
    assert "not readable" in html
    assert "damaged on the disk" in html
    assert "<img" not in html


def test_without_the_images_the_section_says_why(tmp_path) -> None:
    facts = replace(facts_of(tmp_path), images=Missing("they are gone"))
    with pytest.raises(Missing, match="they are gone"):
        thumbnail(facts, "0/a.jpg")


def test_exact_images_keep_every_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    html = exact(pixels, "kernels", scale=3)
    assert 'width="90" height="60"' in html
    assert np.array_equal(np.asarray(image_in(html)), pixels)


def test_stored_images_are_found_by_name() -> None:
    store = SimpleNamespace(rows={"a/b.jpg": 1}, pixels=np.arange(2 * 12).reshape(2, 2, 2, 3))
    images = StoredImages(SimpleNamespace(reader=Folder(Path("/data"))), store)
    assert np.array_equal(images.pixels("a/b.jpg"), store.pixels[1])
    assert images.file("a/b.jpg") == Path("/data/a/b.jpg")
    with pytest.raises(DataError, match=r"'c\.jpg' is not there any more"):
        images.pixels("c.jpg")
    in_archive = StoredImages(SimpleNamespace(reader=object()), store)
    assert in_archive.file("a/b.jpg") is None
