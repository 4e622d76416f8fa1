"""What a notebook shows of predictions; that they are right is in test_classifier.py."""

import gc
import io
import os
import pickle
import weakref
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet import load
from alexnet.inference.classifier import N_KEPT
from alexnet.inference.predictions import MOST_SHOWN, ImagePredictions, Prediction, PredictionList

from ..conftest import coloured_image
from ..html.page import HOSTILE, Page

RANKED = (Prediction(HOSTILE, 0.7), Prediction("glass", 0.25), Prediction("", 0.05))


def image_of(page: Page) -> Image.Image:
    (attributes,) = page.all("img")
    return Image.open(io.BytesIO(b64decode(str(attributes["src"]).removeprefix("data:image/jpeg;base64,"))))


def test_a_prediction_shows_its_image_and_a_bar_for_each_class(tmp_path) -> None:
    Image.new("RGB", (600, 300), "red").save(tmp_path / "a.jpg")
    page = Page(ImagePredictions(str(tmp_path / "a.jpg"), RANKED)._repr_html_())
    assert page.text == f"{tmp_path / 'a.jpg'}{HOSTILE}70.0%glass25.0%5.0%"
    image = image_of(page)
    assert image.size == (192, 96)
    assert np.abs(np.asarray(image).astype(int) - (254, 0, 0)).max() < 5
    assert [str(each["style"]).split(";")[0] for each in page.all("div")[-6:]][1::2] == [
        "width:70.0%",
        "width:25.0%",
        "width:5.0%",
    ]


@pytest.mark.parametrize("path", ["gone.jpg", HOSTILE, "x" * 5000, "null\0byte", os.fsdecode(b"caf\xe9.jpg"), "."])
def test_an_image_that_is_gone_is_said_and_the_bars_stay(path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Page(ImagePredictions(path, RANKED)._repr_html_())
    assert "the image cannot be shown: " in page.text
    assert "glass25.0%" in page.text
    assert page.names == {"div", "table", "tr", "td"}


def test_an_image_that_could_not_be_read_says_why() -> None:
    page = Page(ImagePredictions(HOSTILE, error=f"damaged ({HOSTILE})")._repr_html_())
    assert page.text == f"{HOSTILE}cannot be read: damaged ({HOSTILE})"
    assert page.names == {"div"}


def test_a_class_shows_its_bar() -> None:
    page = Page(RANKED[0]._repr_html_())
    assert page.text == f"{HOSTILE}70.0%"


def test_a_grey_image_is_shown_as_the_network_saw_it() -> None:
    pixels = np.full((67, 67, 1), 200, np.uint8)
    image = image_of(Page(ImagePredictions("<Image>", RANKED, seen=weakref.ref(pixels))._repr_html_()))
    assert (image.mode, image.size) == ("L", (67, 67))


def test_of_a_long_list_the_first_are_shown(tmp_path) -> None:
    results = PredictionList(ImagePredictions(f"{number}.jpg", error="gone") for number in range(MOST_SHOWN + 5))
    page = Page(results._repr_html_())
    assert page.text.count("cannot be read") == MOST_SHOWN
    assert f"{MOST_SHOWN - 1}.jpg" in page.text
    assert page.text.endswith("and 5 more images")
    assert "more" not in Page(PredictionList(results[:MOST_SHOWN])._repr_html_()).text
    assert Page(PredictionList()._repr_html_()).text == ""


def test_arrays_and_bytes_are_kept_for_a_while_and_no_longer(trained_run, image_folder) -> None:
    """However many are predicted, and whatever becomes of the results, a classifier keeps the last few."""
    classifier = load(trained_run)
    path = image_folder / "red" / "photo 1.jpg"
    (of_file,) = classifier.predict(path)
    first, second = classifier.predict([path.read_bytes(), np.asarray(coloured_image("blue", 1))])
    assert of_file.seen is None
    assert first == replace(first, seen=None), "what is kept is not compared"
    for result, colour in ((first, 0), (second, 2)):
        means = np.asarray(image_of(Page(result._repr_html_()))).mean(axis=(0, 1))
        assert means.argmax() == colour
    assert str(of_file.path) in Page(classifier.predict(path)._repr_html_()).text
    results = [classifier.predict(path.read_bytes())[0] for _ in range(N_KEPT)]
    gc.collect()
    assert "more images were predicted since" in Page(first._repr_html_()).text
    assert sum(result.seen() is not None for result in [first, second, *results]) == N_KEPT


def test_predictions_can_be_sent_to_another_process(trained_run, image_folder) -> None:
    results = load(trained_run).predict([(image_folder / "red" / "photo 1.jpg").read_bytes()])
    copied = pickle.loads(pickle.dumps(results))
    assert copied == results
    assert "cannot be shown" in Page(copied._repr_html_()).text


def test_a_classifier_shows_its_classes_and_how_it_was_trained(trained_run) -> None:
    classifier = load(trained_run)
    page = Page(classifier._repr_html_())
    assert "3 classes: blue, green, red" in page.text
    assert f"{classifier.artifact.architecture.n_parameters:,} parameters" in page.text
    assert f"val_top1{classifier.artifact.provenance['val_top1']:.4g}" in page.text
    classifier.artifact.provenance["data"] = HOSTILE
    classifier.artifact.provenance["recipe"] = {"name": [HOSTILE]}
    page = Page(classifier._repr_html_())
    assert f"data{HOSTILE}" in page.text
    assert page.names == {"div", "table", "tr", "td"}


def test_a_classifier_of_a_thousand_classes_names_the_first(trained_run) -> None:
    classifier = load(trained_run)
    classifier.artifact = replace(classifier.artifact, classes=tuple(f"class {number}" for number in range(1000)))
    text = Page(classifier._repr_html_()).text
    assert "1000 classes: class 0, class 1" in text
    assert "class 999" not in text


def test_a_folder_of_predictions_is_a_list(trained_run, image_folder) -> None:
    results = load(trained_run).predict(Path(image_folder / "red"))
    assert isinstance(results, list)
    assert len(Page(results._repr_html_()).all("img")) == MOST_SHOWN
