import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import alexnet
from alexnet import load
from alexnet.errors import ArtifactError, SettingsError
from alexnet.explanation.explain import Explainer
from alexnet.explanation.panel import WIDTH
from alexnet.images.decoding import decode
from alexnet.inference.classifier import Classifier
from alexnet.model.artifact import save_artifact
from alexnet.network.module.model import AlexNet
from alexnet.network.value.changes import resolve

from .drawn import CLASSES, SIDE, SQUARE, drawn


@pytest.fixture(scope="module")
def explainer(run) -> Explainer:
    return Explainer.of(load(run))


def test_an_image_is_explained(run, image_folder, tmp_path) -> None:
    path = image_folder / "red" / "photo 3.jpg"
    result = alexnet.explain(run, path, tmp_path / "new" / "panels")
    (found,) = result.images
    assert found.path == str(path)
    assert found.predictions == load(run).predict(path)[0].predictions
    assert found.maps[0].label == "red"
    assert found.maps[0].values.shape == (3, 3), "conv5's maps at 67 px"
    assert found.maps[0].values.max() > 0
    assert [each.layer for each in found.channels] == [f"conv{n}" for n in range(1, 6) for _ in range(3)]
    assert [each.label for each in found.neighbours].count("red") >= 5
    assert result.notes == ()
    assert found.panel == str(tmp_path / "new" / "panels" / "photo 3.png")
    with Image.open(found.panel) as panel:
        assert panel.width == WIDTH


def test_it_becomes_json(run, image_folder) -> None:
    result = alexnet.explain(run, [image_folder / "red" / "photo 3.jpg", "gone.jpg"])
    saved = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert list(saved) == ["images", "kernels", "notes"]
    first, gone = saved["images"]
    assert list(first) == ["path", "predictions", "maps", "channels", "neighbours", "panel"]
    assert first["panel"] is None, "nothing is drawn unless asked for"
    assert set(first["channels"][0]) == {"layer", "channel", "strength", "window", "patches"}
    assert set(first["neighbours"][0]) == {"path", "label", "distance"}
    assert set(first["maps"][0]) == {"label", "values", "field"}
    assert first["maps"][0]["field"]["n"] == len(first["maps"][0]["values"]), "where its positions are in the image"
    assert gone == {"path": "gone.jpg", "error": "there is no such file"}
    assert -1 <= saved["kernels"]["structure"] <= 1


def test_a_map_moves_with_its_object(drawn_classifier) -> None:
    """The middle of the map follows the square over the whole image, along both sides."""
    explainer = Explainer(drawn_classifier)
    places = [(left, top) for left in (2, 22, 42) for top in (2, 22, 42)]
    squares, middles = [], []
    for seed, (left, top) in enumerate(places):
        for label in CLASSES:
            (found,) = explainer.explain_each(drawn(label, left, top, 1000 + seed))
            assert found.predictions[0].label == label
            heat = found.maps[0].field.enlarged(found.maps[0].values, SIDE)
            heat = heat / heat.sum()
            middles.append((heat.sum(axis=0) @ np.arange(SIDE), heat.sum(axis=1) @ np.arange(SIDE)))
            squares.append((left + SQUARE / 2, top + SQUARE / 2))
    for axis in (0, 1):
        there, found_there = np.array(squares)[:, axis], np.array(middles)[:, axis]
        assert np.corrcoef(there, found_there)[0, 1] > 0.85
        assert found_there[there == 52].mean() - found_there[there == 12].mean() > 12, "of 40 px"


def test_the_second_class_has_a_map_if_it_is_close(explainer, image_folder) -> None:
    with (
        Image.open(image_folder / "red" / "photo 3.jpg") as red,
        Image.open(image_folder / "blue" / "photo 3.jpg") as blue,
    ):
        images = [Image.blend(red, blue, share) for share in np.linspace(0, 1, 21)]
    n_maps = set()
    for found in explainer.explain_each(images):
        first, second = found.predictions[:2]
        labels = [first.label, second.label] if second.probability >= first.probability / 2 else [first.label]
        assert [each.label for each in found.maps] == labels
        n_maps.add(len(labels))
    assert n_maps == {1, 2}


def test_panels_are_never_overwritten(explainer, image_folder, tmp_path) -> None:
    image = image_folder / "red" / "photo 3.jpg"
    other = tmp_path / "photo 3.png"
    shutil.copy(image, other)
    panels = [Path(each.panel) for each in explainer.explain_each([image, other, image], tmp_path)]
    assert [each.name for each in panels] == ["photo 3-2.png", "photo 3-3.png", "photo 3-4.png"]
    assert other.read_bytes() == image.read_bytes()
    before = {path: path.read_bytes() for path in panels}
    list(explainer.explain_each(image, tmp_path))
    assert {path: path.read_bytes() for path in panels} == before


def test_images_without_a_path_and_with_long_names_are_drawn(explainer, tmp_path) -> None:
    pixels = np.full((50, 70, 3), 90, np.uint8)
    long = tmp_path / f"{'垃' * 70}.png"
    Image.fromarray(pixels).save(long)
    names = [Path(each.panel).name for each in explainer.explain_each([pixels, long], tmp_path / "out")]
    assert names == ["ndarray.png", f"{'垃' * 50}.png"]


def test_one_bad_image_never_stops_the_others(explainer, image_folder, tmp_path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"bad")
    good = image_folder / "green" / "photo 1.jpg"
    results = list(explainer.explain_each([tmp_path / "bad.jpg", good, "gone.jpg"], tmp_path / "out"))
    assert [each.error for each in results] == ["not an image in a known format", None, "there is no such file"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo 1.png"]


def test_a_file_is_no_folder_for_panels(explainer, image_folder, tmp_path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(SettingsError, match=r"taken' is a file; give a folder"):
        list(explainer.explain_each(image_folder / "red" / "photo 1.jpg", tmp_path / "taken"))


def test_a_model_without_its_run_shows_maps_and_says_what_is_missing(run, image_folder, tmp_path) -> None:
    shutil.copytree(run / "model", tmp_path / "model")
    result = alexnet.explain(tmp_path / "model", image_folder / "red" / "photo 3.jpg", tmp_path)
    (found,) = result.images
    assert found.maps
    assert found.channels == found.neighbours == ()
    assert Path(str(found.panel)).exists()
    (note,) = result.notes
    assert note.startswith("neither training images nor channels are shown: ")
    assert note.endswith("is a model without its run")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_exported_model_has_the_maps_of_its_run(run, exported_run, image_folder, tmp_path, engine) -> None:
    artifact = load(run).artifact
    # Exported models resize images with Pillow.
    same_pixels = replace(artifact, preprocessing=replace(artifact.preprocessing, library="pillow"))
    images = [image_folder / label / f"photo {number}.jpg" for label in ("red", "green") for number in range(3)]
    expected = list(Explainer(Classifier(same_pixels)).explain_each(images))
    result = alexnet.explain(exported_run, images, tmp_path, engine=engine)
    for found, other in zip(result.images, expected, strict=True):
        assert [each.label for each in found.maps] == [each.label for each in other.maps]
        for one, two in zip(found.maps, other.maps, strict=True):
            assert two.values.max() > 0
            assert np.abs(one.values - two.values).max() < 1e-5 * max(1, two.values.max())
        assert found.channels == found.neighbours == ()
        assert Path(str(found.panel)).exists()
    assert result.structure == pytest.approx(Explainer.of(load(run)).kernels.structure, abs=1e-5)
    (note,) = result.notes
    assert note.endswith(f"{str(exported_run)!r} is an exported model, and has no run")


def test_a_server_explains_what_it_has_decoded(explainer, image_folder) -> None:
    path = image_folder / "red" / "photo 3.jpg"
    (expected,) = explainer.explain_each(path)
    found = explainer.explain_decoded(decode(path, min_side=explainer.classifier.artifact.preprocessing.store_size))
    assert found.path == ""
    assert found.predictions == expected.predictions
    assert found.to_json()["maps"] == expected.to_json()["maps"]


@pytest.mark.parametrize("damage", ["moved", "splits", "settings"])
def test_a_run_without_its_images_shows_maps(run, image_folder, tmp_path, damage) -> None:
    copy, data = tmp_path / "run", tmp_path / "images"
    shutil.copytree(run, copy)
    shutil.copytree(image_folder, tmp_path / "moved")
    settings = json.loads((copy / "settings.json").read_text())
    (copy / "settings.json").write_text(json.dumps({**settings, "data": str(data)}))
    if damage != "moved":
        (copy / {"splits": "splits.csv", "settings": "settings.json"}[damage]).write_text("damaged")
    image = image_folder / "red" / "photo 3.jpg"
    result = alexnet.explain(copy, image)
    assert len(result.notes) == 1
    assert result.images[0].maps
    if damage == "moved":
        assert "--data DATA" in result.notes[0]
        again = alexnet.explain(copy, image, data=tmp_path / "moved")
        assert again.notes == ()
        assert len(again.images[0].neighbours) == 6


def test_a_network_without_maps_says_why(run, image_folder, tmp_path) -> None:
    artifact = load(run).artifact
    net = resolve(artifact.architecture, activation="gelu")
    changed = replace(artifact, folder=tmp_path / "model", architecture=net)
    save_artifact(changed, AlexNet(net).state_dict(), "")
    result = alexnet.explain(tmp_path / "model", image_folder / "red" / "photo 3.jpg", tmp_path / "out")
    assert result.images[0].maps == ()
    assert result.images[0].panel is not None
    assert any("Grad-CAM is not available for the activation gelu" in note for note in result.notes)


def test_no_model_is_an_error(tmp_path) -> None:
    with pytest.raises(ArtifactError, match="there is no model at"):
        alexnet.explain(tmp_path / "nothing", [])
