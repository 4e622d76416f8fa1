"""Networks exported as one HTML file."""

import json
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from alexnet import evaluate, export, load
from alexnet.errors import ArtifactError, SettingsError
from alexnet.exporting import web as room
from alexnet.inference.inputs import expand
from alexnet.model.exported import SelfTest

from ..browser import chromium, watched
from ..conftest import shared_data


def data_in(text: str, name: str):
    found = re.search(rf'id="{name}">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


def in_browser(page, images):
    """Return the label and the probability of the first class of each image."""
    with chromium() as browser, watched(browser) as open_page:
        shown = open_page(page)
        shown.locator("#files").set_input_files([str(image) for image in images])
        shown.locator(".card").first.wait_for()
        expect(shown.locator("[aria-busy]")).to_have_count(0, timeout=60_000)
        labels = shown.locator(".bars li:first-child span").all_inner_texts()
        shares = shown.locator(".bars li:first-child").evaluate_all(
            "all => all.map(each => +each.style.getPropertyValue('--share'))"
        )
        return list(zip(labels, shares, strict=True))


def check(found, predicted, within: float = 0.01) -> None:
    """Check that a page predicts what a classifier does, but for the rounding of its weights."""
    assert len(found) == len(predicted)
    for (label, share), each in zip(found, predicted, strict=True):
        of = {prediction.label: prediction.probability for prediction in each.predictions}
        assert share == pytest.approx(of[label], abs=within)
        # Chance decides between two that are equally probable.
        assert label == each.label or of[each.label] - of[label] < within


@pytest.mark.parametrize("shrink", [False, True], ids=["whole", "shrunk"])
def test_a_page_predicts_what_the_network_does(shrink, trained_run, image_folder, tmp_path) -> None:
    out = tmp_path / "photos.html"
    done = export(trained_run, "web", out=out, shrink=shrink, max_loss=0.2)
    assert done.path == out
    assert done.comparison.n_bytes == out.stat().st_size < 600_000
    assert done.comparison.agreement >= 0.9
    assert json.loads((tmp_path / "photos.html.json").read_text())["agreement"] == done.comparison.agreement
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["photos.html", "photos.html.json"]
    images = [image_folder / label / f"photo {n}.jpg" for label in ("blue", "green", "red") for n in range(4)]
    check(in_browser(out, images), load(trained_run).predict(images))


def test_real_images_are_prepared_as_in_python(trained_run, tmp_path) -> None:
    images = list(expand(str(shared_data("trashnet5") / "test")))[::8][:50]
    done = export(trained_run, "web", out=tmp_path / "photos.html")
    # They look like no image that this small network has learned.
    check(in_browser(done.path, images), load(trained_run).predict(images), within=0.03)


def test_the_page_says_what_it_is_and_where_nothing(trained_run, image_folder, tmp_path) -> None:
    export(trained_run, "web", out=tmp_path / "photos.html")
    text = (tmp_path / "photos.html").read_text(encoding="utf-8")
    assert "<title>photos: blue, green, red</title>" in text
    assert str(image_folder.parent) not in text
    notes = data_in(text, "model")["notes"]
    assert notes[0] == "The network is inside this page, and images stay on this device."
    assert re.search(r"top-1 \d\.\d{3} on \d+ test images\.$", notes[1])
    test = SelfTest.from_json(data_in(text, "network")["self_test"], 67, 3)
    assert test.probabilities.shape == (8, 3)
    assert np.allclose(test.probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_page_that_falls_short_is_refused_and_leaves_nothing(trained_run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(room, "rounded", lambda tensors: {name: -tensor for name, tensor in tensors.items()})
    with pytest.raises(ArtifactError, match=r"export refused: .*; use --format onnx, or keep it with --force"):
        export(trained_run, "web", out=tmp_path / "photos.html")
    assert list(tmp_path.iterdir()) == []
    done = export(trained_run, "web", out=tmp_path / "photos.html", force=True)
    assert "it falls short of its original" in done.notes[-1]
    assert done.path.exists()


def test_it_is_compared_with_the_network_as_it_was(trained_run, tmp_path, monkeypatch) -> None:
    # Only the last layer, which the network and its graph share.
    def without_last_layer(tensors):
        return {name: 0 * tensor if name.startswith("fc8") else tensor for name, tensor in tensors.items()}

    monkeypatch.setattr(room, "rounded", without_last_layer)
    done = export(trained_run, "web", out=tmp_path / "photos.html", force=True)
    assert done.comparison.top1_before == evaluate(trained_run).scores.top1
    assert done.comparison.largest_difference > 0.3


def test_only_an_older_page_is_replaced(trained_run, tmp_path) -> None:
    out = tmp_path / "photos.html"
    for own in ("<title>my own</title>", '<meta name="generator" content="alexnet report">'):
        out.write_text(own)
        with pytest.raises(SettingsError, match="is no export of alexnet"):
            export(trained_run, "web", out=out)
        assert out.read_text() == own
    out.unlink()
    for _ in range(2):
        export(trained_run, "web", out=out)
    assert "alexnet export --format web" in out.read_text(encoding="utf-8")


def test_weights_have_eight_bits_whatever_is_asked_for(trained_run, tmp_path) -> None:
    with pytest.raises(SettingsError, match="the format web always has weights of eight bits"):
        export(trained_run, "web", out=tmp_path / "photos.html", precision="int8")
