import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from alexnet import AlexNet, evaluate, load, load_weights
from alexnet.errors import ArtifactError
from alexnet.inference.artifact import load_artifact, load_model


@pytest.fixture
def model_folder(trained_run, tmp_path) -> Path:
    return Path(shutil.copytree(trained_run / "model", tmp_path / "model"))


def test_a_run_and_its_model_folder_are_the_same_model(trained_run) -> None:
    assert load_artifact(trained_run) == load_artifact(trained_run / "model")


def test_what_an_answer_depends_on_is_saved(trained_run, photos) -> None:
    artifact = load_artifact(trained_run)
    assert artifact.classes == ("blue", "green", "red")
    assert artifact.architecture.image_size == artifact.preprocessing.image_size == 67
    assert artifact.preprocessing.store_size == 69
    assert artifact.provenance["data"] == str(photos)
    assert not load_model(artifact).training


def test_the_model_card_tells_how_to_use_it(trained_run) -> None:
    card = (trained_run / "model" / "README.md").read_text()
    assert "- green" in card
    assert "alexnet predict" in card


def test_no_model() -> None:
    with pytest.raises(ArtifactError, match="no model at 'nowhere'"):
        load_artifact("nowhere")


def test_a_folder_that_is_no_model(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"no config\.json"):
        load_artifact(tmp_path)


def test_a_run_that_has_not_ended_says_how_to_end_it(tmp_path) -> None:
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(ArtifactError, match="--resume"):
        load_artifact(tmp_path)


def test_missing_weights(model_folder) -> None:
    (model_folder / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"has no model\.safetensors"):
        load_model(load_artifact(model_folder))


def test_truncated_weights(model_folder) -> None:
    weights = model_folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(ArtifactError, match="damaged"):
        load_model(load_artifact(model_folder))


def test_foreign_weights(model_folder) -> None:
    save_file({"fc.weight": torch.zeros(2)}, model_folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"lacks conv1\.conv\.weight"):
        load_model(load_artifact(model_folder))


def test_weights_of_another_shape(model_folder) -> None:
    weights = load_file(model_folder / "model.safetensors")
    weights["fc8.linear.bias"] = torch.zeros(9)
    save_file(weights, model_folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"fc8\.linear\.bias is \(9,\), it should be \(3,\)"):
        load_model(load_artifact(model_folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "reads format 2"),
        ({"classes": ["a", "b"]}, "2 class names for 3 classes"),
        ({"architecture": {"n_clases": 3}}, "did you mean 'n_classes'"),
        ({"preprocessing": {"resize": "stretch"}}, "preprocessing resize 'stretch'"),
    ],
)
def test_a_config_that_is_not_ours(model_folder, change, message) -> None:
    file = model_folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ArtifactError, match=message):
        load_artifact(model_folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model_type": "bert"}'])
def test_a_config_that_is_no_model(model_folder, text) -> None:
    (model_folder / "config.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"config\.json"):
        load_artifact(model_folder)


def spoil(model_folder: Path, name: str, value: float) -> Path:
    """Put one number into all places of a tensor."""
    weights = load_file(model_folder / "model.safetensors")
    weights[name] = torch.full_like(weights[name], value)
    save_file(weights, model_folder / "model.safetensors")
    return model_folder


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(model_folder, value) -> None:
    """A network of NaN scored 1.0000."""
    spoil(model_folder, "fc7.linear.bias", value)
    with pytest.raises(ArtifactError, match=r"model\.safetensors' is of no use: fc7\.linear\.bias holds NaN"):
        load_model(load_artifact(model_folder))
    with pytest.raises(ArtifactError, match=r"fc7\.linear\.bias holds NaN or infinity"):
        load_weights(AlexNet(n_classes=3), model_folder)


def test_weights_of_others_that_are_no_numbers_change_nothing(tmp_path) -> None:
    model = AlexNet(n_classes=3)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights["conv2.conv.weight"][0, 0, 0, 0] = float("nan")
    torch.save(weights, tmp_path / "spoilt.pth")
    other = AlexNet(n_classes=3)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(ArtifactError, match=r"spoilt\.pth' is of no use: its conv2\.conv\.weight holds NaN"):
        load_weights(other, tmp_path / "spoilt.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_finite_weights_that_overflow_give_no_answer(model_folder, photos) -> None:
    spoil(model_folder, "fc8.linear.weight", 3e38)
    classifier = load(model_folder)
    picture = photos / "red" / "photo 1.jpg"
    with pytest.raises(ArtifactError, match="answers with NaN or infinity") as caught:
        classifier.predict(picture)
    assert str(model_folder) in str(caught.value)
    assert classifier.embed(picture).shape == (1, 4096)
    with pytest.raises(ArtifactError, match="answers with NaN or infinity"):
        evaluate(model_folder, photos)
    spoil(model_folder, "fc7.linear.weight", 3e38)
    with pytest.raises(ArtifactError, match="answers with NaN or infinity"):
        load(model_folder).embed(picture)
