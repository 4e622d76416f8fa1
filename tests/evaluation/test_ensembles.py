"""Several models on the same images: their mean, and their difference."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from alexnet import evaluate, load
from alexnet.data.record import read_splits
from alexnet.errors import DataError, SettingsError
from alexnet.evaluation.scores.metrics import score
from alexnet.images.preprocessing import Preprocessing
from alexnet.model.artifact import Calibration, read_artifact, save_artifact

from ..conftest import make_image_folder


@pytest.fixture
def other(trained_run, tmp_path) -> Path:
    """The same network with worse weights, its classes in another order, another size, store and temperature."""
    (tmp_path / "other").mkdir()
    artifact = read_artifact(trained_run / "model")
    weights = load_file(trained_run / "model" / "model.safetensors")
    order = [2, 0, 1]
    for name in ("weight", "bias"):
        weights[f"fc8.linear.{name}"] = weights[f"fc8.linear.{name}"][order]
    weights["conv3.conv.weight"] *= 0.3
    how = artifact.preprocessing
    changed = replace(
        artifact,
        folder=tmp_path / "other" / "model",
        classes=tuple(artifact.classes[i] for i in order),
        architecture=replace(artifact.architecture, image_size=99),
        preprocessing=Preprocessing(store_size=140, mean=how.mean, std=how.std),
        calibration=Calibration(temperature=1.7, ten_views=0.8),
    )
    save_artifact(changed, weights, "")
    return changed.folder


@pytest.fixture
def mine(tmp_path) -> Path:
    """Images that no network has seen."""
    return make_image_folder(tmp_path / "mine", n_each=4, first=1000)


def by_label(model, images) -> np.ndarray:
    """Return the probabilities of images, with the classes in the order of their names."""
    results = load(model).predict(images, top=3)
    return np.array([[each.probability for each in sorted(one.predictions, key=lambda p: p.label)] for one in results])


def test_an_ensemble_is_the_mean_of_probabilities(trained_run, other, mine) -> None:
    images = sorted(mine.rglob("*.jpg"))
    expected = (by_label(trained_run, images) + by_label(other, images)) / 2
    together = load(trained_run, ensemble=[other])
    for one, row in zip(together.predict(images, top=3), expected, strict=True):
        assert [each.probability for each in sorted(one.predictions, key=lambda p: p.label)] == pytest.approx(row)
    result = evaluate(trained_run, mine, ensemble=[other])
    assert result.n_models == 2
    assert result.outputs.probabilities[:, np.argsort(result.outputs.classes)] == pytest.approx(expected, abs=1e-5)
    assert result.scores == score(result.outputs.log_probabilities, result.outputs.labels, result.outputs.classes)
    assert evaluate(other, mine, ensemble=[trained_run]).scores.loss == pytest.approx(result.scores.loss)


@pytest.mark.parametrize("views", [1, 10])
def test_two_models_are_compared_on_the_same_images(trained_run, other, mine, views) -> None:
    found = evaluate(trained_run, mine, compare=other, views=views)
    assert found.scores == evaluate(trained_run, mine, views=views).scores
    assert found.other.scores.loss == pytest.approx(evaluate(other, mine, views=views).scores.loss)
    assert found.comparison.top1 == pytest.approx(found.scores.top1 - found.other.scores.top1)
    assert found.comparison.loss == pytest.approx(found.scores.loss - found.other.scores.loss)
    saved = json.loads(json.dumps(found.to_json()))["compare"]
    assert saved["other"]["n_images"] == saved["n_images"] == 12


def test_each_number_of_views_has_its_temperature(other, mine) -> None:
    one, ten = evaluate(other, mine), evaluate(other, mine, views=10)
    assert (one.outputs.temperature, ten.outputs.temperature) == (1.7, 0.8)
    assert one.uncalibrated_ece != one.scores.ece


def test_what_one_model_has_seen_none_is_evaluated_on(trained_run, other, mine, image_folder, tmp_path) -> None:
    """Another model, trained on some of the images."""
    shutil.copytree(image_folder, tmp_path / "photos")
    config = json.loads((other / "config.json").read_text())
    config["fingerprints"] = {"train": "", "val": "", "is_all": True}
    ignorant = tmp_path / "ignorant"
    shutil.copytree(other, ignorant)
    (ignorant / "config.json").write_text(json.dumps(config))
    alone = evaluate(ignorant, tmp_path / "photos")
    assert alone.scores.n_images == 120
    both = evaluate(ignorant, tmp_path / "photos", ensemble=[trained_run])
    assert both.scores.n_images == 12
    assert any("left out 108 of 120 images that the model" in warning for warning in both.warnings)
    for row in read_splits(trained_run / "splits.csv"):
        if row.split != "train":
            (tmp_path / "photos" / row.path).unlink()
    with pytest.raises(DataError, match="learned from all 96 images"):
        evaluate(ignorant, tmp_path / "photos", ensemble=[trained_run])


def test_models_of_other_classes_are_refused_by_name(trained_run, other, mine) -> None:
    config = json.loads((other / "config.json").read_text())
    config["classes"] = ["blue", "green", "violet"]
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(SettingsError, match="knows 'violet', unlike the first model"):
        evaluate(trained_run, mine, compare=other)
    with pytest.raises(SettingsError, match="knows 'violet'"):
        load(trained_run, ensemble=[other])


def test_an_ensemble_has_no_embedding(trained_run, other, mine) -> None:
    with pytest.raises(SettingsError, match="an ensemble has several networks"):
        load(trained_run, ensemble=[other]).embed(sorted(mine.rglob("*.jpg"))[:1])
