"""Exports are opened by their endings; what may hold a pickle never is. Model folders are in test_artifact.py."""

import json
import pickle
import re
from pathlib import Path

import pytest

from alexnet.errors import ArtifactError
from alexnet.model.artifact import config_of, load_model, resizing_alike
from alexnet.model.opening import load_artifact
from alexnet.model.push import push

from ..exports import CLASSES, NET, artifact_at, folder_at, onnx_bytes, random_weights, write_onnx

WEIGHTS = random_weights()


@pytest.fixture
def path(tmp_path) -> Path:
    return write_onnx(tmp_path / "small.onnx", WEIGHTS)


def config(path: Path, kind: str = "onnx") -> dict:
    return json.loads(json.dumps(config_of(artifact_at(path, WEIGHTS, kind, "fp32"))))


def test_an_export_knows_all_that_its_model_folder_knows(path) -> None:
    artifact = load_artifact(path)
    assert artifact.folder == path
    assert (artifact.classes, artifact.architecture) == (CLASSES, NET)
    assert artifact.calibration.temperature == 1.3
    assert artifact.provenance == {"data": "photos"}
    assert artifact.export.format == "onnx"
    assert artifact.preprocessing.library == "pillow", "the same pixels with and without torch"


def test_a_model_folder_says_nothing_of_exports(tmp_path) -> None:
    saved = config_of(folder_at(tmp_path))
    assert "export" not in saved
    assert "library" not in saved["preprocessing"], "older versions would refuse it"


@pytest.mark.parametrize("given", ["", "model.xml"])
def test_a_folder_of_openvino_is_opened_by_its_path_and_by_its_file(tmp_path, given) -> None:
    (tmp_path / "model.xml").write_text("<net/>")
    (tmp_path / "alexnet.json").write_text(json.dumps(config(tmp_path, "openvino")))
    artifact = load_artifact(tmp_path / given)
    assert (artifact.folder, artifact.export.format) == (tmp_path, "openvino")


@pytest.mark.parametrize("name", ["net.pt2", "page.HTML"])
def test_an_export_for_other_programs_is_refused_by_name(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(ArtifactError, match=r"is for other programs: .*; give the run, the model folder or an \.onnx"):
        load_artifact(tmp_path / name)


class Attack:
    def __reduce__(self):
        return open, ("pwned", "w")


@pytest.mark.parametrize("ending", [".pth", ".pt", ".pkl", ".bin", ".CKPT"])
def test_a_file_that_may_be_a_pickle_is_refused_and_not_read(tmp_path, monkeypatch, ending) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"model{ending}").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ArtifactError, match=r"may hold a pickle, which can run any program; give a run folder"):
        load_artifact(f"model{ending}")
    assert not Path("pwned").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "photo.jpg", "README", "model.onnx.json"])
def test_another_file_is_refused(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"words")
    with pytest.raises(ArtifactError, match=r"is not a model; give a run folder, a model folder or an export"):
        load_artifact(tmp_path / name)


def test_a_network_of_another_program_is_refused(tmp_path) -> None:
    (tmp_path / "resnet.onnx").write_bytes(onnx_bytes(WEIGHTS, "fp32", {"author": "anna"}))
    with pytest.raises(ArtifactError, match=r"resnet\.onnx' is not an export of alexnet, so its classes"):
        load_artifact(tmp_path / "resnet.onnx")
    (tmp_path / "model.xml").write_text("<net/>")
    with pytest.raises(ArtifactError, match="is not an export of alexnet"):
        load_artifact(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"export": None}, "is not an export of alexnet"),
        ({"format": 1}, "has format 1, this version reads format 2"),
        ({"classes": ["a", "b"]}, "is damaged: 2 class names for 3 classes; export the model again"),
        ({"export": {}}, "is damaged: ranks is None; it must be an object; export the model again"),
        ({"architecture": {}}, "is damaged: "),
    ],
)
def test_wrong_metadata_are_named(path, change, message) -> None:
    path.write_bytes(onnx_bytes(WEIGHTS, "fp32", {"alexnet": json.dumps({**config(path), **change})}))
    with pytest.raises(ArtifactError, match=re.escape(message)) as caught:
        load_artifact(path)
    assert str(path) in str(caught.value)


def test_metadata_that_are_no_json_or_of_another_format_are_refused(path) -> None:
    path.write_bytes(onnx_bytes(WEIGHTS, "fp32", {"alexnet": "{"}))
    with pytest.raises(ArtifactError, match=r"cannot read .*small"):
        load_artifact(path)
    path.write_bytes(onnx_bytes(WEIGHTS, "fp32", {"alexnet": json.dumps(config(path, "torch"))}))
    with pytest.raises(ArtifactError, match="is not an export of alexnet"):
        load_artifact(path)


def test_an_export_is_neither_trained_from_nor_pushed(path) -> None:
    with pytest.raises(ArtifactError, match=r"small\.onnx' is an export.*give the run or the model folder"):
        load_model(load_artifact(path))
    with pytest.raises(ArtifactError, match=r"small\.onnx' is an export; push the run or the model folder"):
        push(path, "anna/small")


def test_models_that_are_used_together_see_the_same_pixels(path, tmp_path) -> None:
    folder, export = folder_at(tmp_path), load_artifact(path)
    assert [each.preprocessing.library for each in resizing_alike([folder, export])] == ["pillow", "pillow"]
    assert [each.preprocessing.library for each in resizing_alike([folder, folder])] == [None, None]
