import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import ArtifactError, SettingsError
from alexnet.exporting.comparison import Comparison
from alexnet.exporting.place import comparison_path, comparison_text, metadata, name_ending, original, place_for
from alexnet.model.exported import Export, SelfTest
from alexnet.model.opening import load_artifact

from .networks import NETS, artifact_of

TEST = SelfTest(np.zeros((8, 32, 32, 3), np.uint8), np.full((8, 3), 1 / 3, np.float32), 1e-4)


@pytest.mark.parametrize(
    ("format_", "precision", "shrink", "name"),
    [
        ("onnx", "fp32", False, "photos.onnx"),
        ("onnx", "fp16", False, "photos-fp16.onnx"),
        ("onnx", "int8", False, "photos-int8.onnx"),
        ("onnx", "int8", True, "photos-int8-shrunk.onnx"),
        ("openvino", "fp32", False, "photos-openvino"),
        ("torch", "fp32", False, "photos.pt2"),
        ("web", "fp32", False, "photos.html"),
    ],
)
def test_an_export_lies_beside_its_run_and_says_what_it_is(trained_run, format_, precision, shrink, name) -> None:
    for model in (trained_run, trained_run / "model"):
        ending = name_ending(format_, precision, shrink=shrink)
        assert place_for(model, load_artifact(model), None, ending) == trained_run.parent / name


def test_that_of_a_model_without_its_run_lies_beside_it(trained_run, tmp_path, monkeypatch) -> None:
    shutil.copytree(trained_run / "model", tmp_path / "birds")
    monkeypatch.chdir(tmp_path)
    assert place_for("birds", load_artifact("birds"), None, ".onnx") == Path("birds.onnx")
    monkeypatch.chdir(tmp_path / "birds")
    assert place_for(".", load_artifact("."), None, ".onnx") == tmp_path / "birds.onnx"


def test_that_of_a_model_of_the_hub_lies_here(trained_run) -> None:
    """The model itself lies in the hub's cache."""
    assert place_for("hf:anna/birds@main", load_artifact(trained_run), None, ".onnx") == Path("birds.onnx")


@pytest.mark.parametrize(
    ("out", "ending", "message"),
    [
        ("x.pt2", ".onnx", r"the name of this format ends in \.onnx"),
        ("x", ".html", r"the name of this format ends in \.html"),
        ("nowhere/x.onnx", ".onnx", "there is no folder 'nowhere'"),
    ],
)
def test_a_path_that_cannot_be_is_refused_at_once(trained_run, tmp_path, monkeypatch, out, ending, message) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=message):
        place_for(trained_run, load_artifact(trained_run), out, ending)


@pytest.mark.parametrize("name", ["x.onnx", "x.onnx.json", "x.pt2", "x.html", "x-openvino"])
def test_what_is_no_export_of_ours_is_never_replaced(trained_run, tmp_path, name) -> None:
    out = tmp_path / name.removesuffix(".json")
    if name == "x-openvino":
        (tmp_path / name).mkdir()
        (tmp_path / name / "theirs").write_text("1")
    else:
        (tmp_path / name).write_text('{"theirs": 1}')
    ending = "-openvino" if name == "x-openvino" else out.suffix
    with pytest.raises(SettingsError, match=r"is no export of alexnet, so it is not replaced; choose another --out"):
        place_for(trained_run, load_artifact(trained_run), out, ending)


def test_an_export_is_replaced(exported_run, trained_run, tmp_path) -> None:
    out = shutil.copyfile(exported_run, tmp_path / "x.onnx")
    shutil.copyfile(comparison_path(exported_run), comparison_path(out))
    assert place_for(trained_run, load_artifact(trained_run), out, ".onnx") == out


def test_an_export_is_not_exported_again(exported_run) -> None:
    with pytest.raises(ArtifactError, match="is an export already; give the run or the model folder"):
        original(exported_run)


def test_the_metadata_is_the_config_and_the_export_without_paths() -> None:
    artifact = artifact_of(NETS["small"])
    artifact = replace(artifact, provenance={**artifact.provenance, "init": "/home/anna/weights.pth"})
    saved = json.loads(metadata(artifact, Export("onnx", "int8", {"fc6": 64}, TEST)))
    assert saved["classes"] == list(artifact.classes)
    assert saved["calibration"]["temperature"] == 0.8
    assert saved["provenance"] == {"data": "images", "init": "weights.pth", "recipe": {"name": "modern"}}
    assert (saved["export"]["format"], saved["export"]["ranks"]) == ("onnx", {"fc6": 64})


def test_the_comparison_names_its_export(tmp_path) -> None:
    comparison = Comparison(10, 1.0, 0, 0.0, 0.9, 0.9, 100, 25, {1: 2.0}, {1: 1.0})
    saved = json.loads(comparison_text(comparison, tmp_path / "x.onnx"))
    assert saved["export"] == "x.onnx"
    assert saved["agreement"] == 1.0
    assert saved["milliseconds"] == {"1": 1.0}
