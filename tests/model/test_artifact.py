import copy
import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from alexnet import AlexNet, evaluate, load, load_weights
from alexnet.errors import ArtifactError
from alexnet.images.preprocessing import Preprocessing
from alexnet.model.artifact import Artifact, load_model, save_artifact
from alexnet.model.opening import load_artifact
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import BatchNorm, Conv, LocalNorm, Pool

from ..anything import ANYTHING, places, replace_at
from ..forked import start


@pytest.fixture
def model_folder(trained_run, tmp_path) -> Path:
    return Path(shutil.copytree(trained_run / "model", tmp_path / "model"))


def test_a_run_and_its_model_folder_are_the_same_model(trained_run) -> None:
    assert load_artifact(trained_run) == load_artifact(trained_run / "model")


def test_what_a_prediction_depends_on_is_saved(trained_run, image_folder) -> None:
    artifact = load_artifact(trained_run)
    assert artifact.classes == ("blue", "green", "red")
    assert artifact.architecture.image_size == 67
    assert artifact.preprocessing.store_size == 69
    assert artifact.provenance["data"] == str(image_folder)
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
    with pytest.raises(ArtifactError, match=r"has no conv1\.conv\.weight"):
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
        (
            {"preprocessing": {"store_size": 69, "image_size": 67, "resize": "stretch"}},
            "unknown resize 'stretch'; known: squash, crop, pad",
        ),
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
    with pytest.raises(ArtifactError, match=r"model\.safetensors' is unusable: fc7\.linear\.bias holds NaN"):
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
    with pytest.raises(ArtifactError, match=r"spoilt\.pth' holds NaN or infinity in conv2\.conv\.weight; use"):
        load_weights(other, tmp_path / "spoilt.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_finite_weights_that_overflow_give_no_prediction(model_folder, image_folder) -> None:
    spoil(model_folder, "fc8.linear.weight", 3e38)
    classifier = load(model_folder)
    image = image_folder / "red" / "photo 1.jpg"
    with pytest.raises(ArtifactError, match="outputs NaN or infinity") as caught:
        classifier.predict(image)
    assert str(model_folder) in str(caught.value)
    assert classifier.embed(image).shape == (1, 64)
    with pytest.raises(ArtifactError, match="outputs NaN or infinity"):
        evaluate(model_folder, image_folder)
    spoil(model_folder, "fc7.linear.weight", 3e38)
    with pytest.raises(ArtifactError, match="outputs NaN or infinity"):
        load(model_folder).embed(image)


@pytest.fixture
def tiny_folder(tmp_path) -> Path:
    """A model that is loaded in a moment."""
    layers = (Conv(channels=4, kernel=3, norm=BatchNorm(), pool=Pool()), Conv(channels=4, kernel=3, norm=LocalNorm()))
    net = Architecture(layers=layers, hidden=(8,), grid=1, n_classes=3, image_size=67)
    how = Preprocessing(store_size=69)
    made = {"data": "photos", "recipe": {"name": "modern"}, "init": None, "epochs": 2, "val_top1": 0.5}
    artifact = Artifact(
        folder=tmp_path / "tiny", architecture=net, classes=("a", "b", "c"), preprocessing=how, provenance=made
    )
    save_artifact(artifact, AlexNet(net).state_dict(), "")
    return artifact.folder


def test_a_model_is_read_back_as_it_was(tiny_folder) -> None:
    artifact = load_artifact(tiny_folder)
    assert artifact.preprocessing == Preprocessing(store_size=69)
    assert artifact.provenance["val_top1"] == 0.5
    assert load_model(artifact).architecture == artifact.architecture


def test_an_older_model_that_has_its_size_twice_is_read(tiny_folder) -> None:
    file = tiny_folder / "config.json"
    config = json.loads(file.read_text())
    config["preprocessing"]["image_size"] = 67
    file.write_text(json.dumps(config))
    assert load_artifact(tiny_folder).architecture.image_size == 67


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("classes",), "abc", "classes is 'abc'; it must be a list"),
        (("classes",), ["a", "b", 3], "a value in classes is 3; it must be text"),
        (("classes",), ["a", "b", "a"], "the class 'a' is listed twice"),
        (("architecture",), [], "the architecture is []"),
        (("architecture", "in_channels"), 1, "mean has 3 values for 1 channels"),
        (("architecture", "hidden"), [10**30, 8], "a size in hidden is 1000"),
        (("preprocessing",), None, "preprocessing is None; it must be an object"),
        (("preprocessing", "image_size"), 68, "image_size is 67 in architecture and 68 in preprocessing"),
        (("preprocessing", "store_size"), 0, "store_size is 0"),
        (("preprocessing", "store_size"), "69", "preprocessing: store_size is '69'; it must be a whole number"),
        (("preprocessing", "max_pixels"), 0, "max_pixels is 0"),
        (("preprocessing", "mean"), [0.5, 0.5], "mean has 2 values for 3 channels"),
        (("preprocessing", "mean"), [0.5, 0.5, float("nan")], "a value in mean is nan; it must be a number"),
        (("preprocessing", "std"), [0.5, 0.5, 0], "std is (0.5, 0.5, 0.0)"),
        (("provenance",), "mine", "provenance is 'mine'; it must be an object"),
        (("provenance", "val_top1"), "all", "val_top1 is 'all'; it must be a number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(tiny_folder, where, value, message) -> None:
    file = tiny_folder / "config.json"
    config = json.loads(file.read_text())
    replace_at(config, where, value)
    file.write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=re.escape(message)) as caught:
        load_artifact(tiny_folder)
    assert len(str(caught.value)) - len(str(file)) < 250


def test_any_value_at_any_place_is_refused_by_name_or_predicts(tiny_folder) -> None:
    """Whatever a config.json holds, there is an answer or a line that says what is wrong."""
    file = tiny_folder / "config.json"
    whole = json.loads(file.read_text())
    refused = []
    for where in places(whole):
        for value in ANYTHING:
            config = copy.deepcopy(whole)
            replace_at(config, where, value)
            file.write_text(json.dumps(config))
            try:
                load_model(load_artifact(tiny_folder))
            except ArtifactError as error:
                refused.append(str(error))
    assert len(refused) > 100
    assert max(map(len, refused)) < 300 + len(str(file))


@pytest.mark.skipif(os.name == "nt", reason="modes of files")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_saved_model_follows_the_umask(tmp_path, umask, mode) -> None:
    """A container reads it as another user."""
    script = tmp_path / "save.py"
    script.write_text(f"""
import os, torch
os.umask({umask})
from pathlib import Path
from alexnet.model.artifact import save_tensors
from alexnet.files.atomic import atomic_folder
os.mkdir("saved")
with atomic_folder(Path("saved", "model")) as folder:
    for _ in range(2):
        save_tensors({{"x": torch.zeros(3)}}, folder / "model.safetensors")
    (folder / "config.json").write_text("x")
""")
    process = start(script, cwd=tmp_path)
    assert process.communicate() == ("", "")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "saved").rglob("*")}
    assert modes == {"model": mode | (mode & 0o444) >> 2, "model.safetensors": mode, "config.json": mode}
