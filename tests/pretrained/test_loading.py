"""Weights from files, memory, models and the hub."""

import copy
import json
import os
import pickle
import re
import shutil
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file

from alexnet import AlexNet, Architecture
from alexnet.data.fingerprint import SeenImages
from alexnet.errors import ArtifactError, SettingsError
from alexnet.model.opening import load_artifact
from alexnet.network.value.architecture import Conv
from alexnet.network.value.variants import VARIANTS
from alexnet.pretrained.loading import absolute, load_weights, seen_before

NET = Architecture(hidden=(16, 8), n_classes=3, image_size=67)
NARROW = replace(VARIANTS["torchvision"], hidden=(16, 8))
CLASSES = ("blue", "green", "red")


def network(seed: int = 0, net: Architecture = NET, **changes) -> AlexNet:
    torch.manual_seed(seed)
    return AlexNet(replace(net, **changes))


def layers_of(names: tuple[str, ...]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_weights_of_a_run_are_loaded(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture)
    loaded = load_weights(model, trained_run, classes=CLASSES)
    saved = load_file(trained_run / "model" / "model.safetensors")
    assert set(loaded.kept) == set(saved) == set(model.state_dict())
    assert loaded.new == loaded.left == ()
    assert str(loaded).endswith("fc8; new: nothing")
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_with_other_classes_the_last_layer_is_not_loaded(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture, n_classes=5)
    before = copy.deepcopy(model.fc8.state_dict())
    loaded = load_weights(model, trained_run / "model" / "model.safetensors")
    saved = load_file(trained_run / "model" / "model.safetensors")
    assert loaded.new == ("fc8.linear.weight", "fc8.linear.bias")
    assert layers_of(loaded.kept) == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"}
    assert all(torch.equal(model.state_dict()[name], saved[name]) for name in loaded.kept)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.fc8.state_dict().items())


def test_a_model_of_another_network_names_its_architecture_file(trained_run) -> None:
    config = trained_run / "model" / "config.json"
    with pytest.raises(ArtifactError, match=re.escape(f"add --architecture {config}")):
        load_weights(AlexNet(NARROW), trained_run)


@pytest.mark.parametrize(
    ("classes", "is_taken"), [(("a", "b", "c"), False), (["blue", "green", "red"], True), (None, True)]
)
def test_classes_are_compared_by_name(trained_run, classes, is_taken) -> None:
    """The last layer is not loaded for as many other classes."""
    model = AlexNet(load_artifact(trained_run).architecture)
    loaded = load_weights(model, trained_run, classes=classes)
    assert ("fc8" in layers_of(loaded.taken)) == is_taken


def test_a_class_is_the_same_however_its_accents_are_written(trained_run, tmp_path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "réd") for form in ("NFC", "NFD"))
    copied = shutil.copytree(trained_run / "model", tmp_path / "model")
    config = copied / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"red"', json.dumps(nfd)), encoding="utf-8")
    loaded = load_weights(AlexNet(load_artifact(copied).architecture), copied, classes=("blue", "green", nfc))
    assert "fc8" in layers_of(loaded.taken)


def test_colour_becomes_grey_in_the_same_call(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture, in_channels=1, n_classes=2, image_size=128)
    loaded = load_weights(model, str(trained_run), classes=("a", "b"))
    assert "adapted: conv1 (3 to 1 channels, summed); new: fc8" in str(loaded)


def test_pixels_are_refused_for_models_of_this_package(trained_run) -> None:
    model = AlexNet(load_artifact(trained_run).architecture)
    with pytest.raises(SettingsError, match=r"pixels are 'caffe', but the model .* was trained on rgb; leave them out"):
        load_weights(model, trained_run, pixels="caffe")


def test_pixels_and_partial_are_passed_on(tmp_path) -> None:
    theirs, model = network(1), network(2, VARIANTS["paper"], hidden=(16, 8), n_classes=3)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    with pytest.raises(ArtifactError, match=r"theirs\.pth' has the reference layout.*the grouped layout"):
        load_weights(model, tmp_path / "theirs.pth", pixels="bgr")
    loaded = load_weights(model, tmp_path / "theirs.pth", pixels="bgr", partial=True)
    assert ("conv1.conv.weight", "BGR to RGB") in loaded.adapted
    assert torch.equal(model.conv1.conv.weight, theirs.conv1.conv.weight.flip(1))


@pytest.mark.parametrize("old", [False, True])
def test_a_pth_file_of_tensors_is_loaded(tmp_path, old) -> None:
    theirs = network(1).state_dict()
    torch.save(theirs, tmp_path / "theirs.pth", _use_new_zipfile_serialization=not old)
    model = network(2)
    loaded = load_weights(model, str(tmp_path / "theirs.pth"))
    assert set(loaded.kept) == set(theirs)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


def test_half_precision_weights_are_loaded(tmp_path) -> None:
    theirs = {name: tensor.half() for name, tensor in network(1).state_dict().items()}
    save_file(theirs, tmp_path / "half.safetensors")
    model = network(2)
    load_weights(model, tmp_path / "half.safetensors")
    assert model.conv1.conv.weight.dtype == torch.float32
    assert torch.equal(model.conv1.conv.weight, theirs["conv1.conv.weight"].float())


class Harmful:
    """An object whose pickle runs code."""

    def __init__(self, mark: os.PathLike[str]) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def save_harmful(path, mark) -> None:
    torch.save({"state_dict": network().state_dict(), "x": Harmful(mark)}, path)


def save_harmful_plainly(path, mark) -> None:
    path.write_bytes(pickle.dumps(Harmful(mark), protocol=2))


def save_whole_model(path, mark) -> None:
    torch.save(network(), path)


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (save_harmful, r"more than tensors \(posix\.mkdir\)"),
        (save_harmful_plainly, "more than tensors, or is damaged"),
        (save_whole_model, "a whole network"),
    ],
)
def test_a_pickle_with_code_is_refused_and_never_executed(tmp_path, save, words) -> None:
    save(tmp_path / "theirs.pth", tmp_path / "executed")
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ArtifactError, match=rf"theirs\.pth' holds {words}.*save model\.state_dict\(\)") as caught:
        load_weights(model, tmp_path / "theirs.pth")
    assert not (tmp_path / "executed").exists()
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value), "no advice to execute it"
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_pickle_above_runs_code(tmp_path) -> None:
    """Unpickling the file above runs its code; otherwise the test above would prove nothing."""
    save_harmful_plainly(tmp_path / "theirs.pth", tmp_path / "executed")
    pickle.loads((tmp_path / "theirs.pth").read_bytes())
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors", "cut.npz"])
def test_damaged_files_are_named_with_what_to_do(tmp_path, monkeypatch, name) -> None:
    tensors = network().state_dict()
    if name.endswith("npz"):
        np.savez(tmp_path / name, **{key: each.numpy() for key, each in tensors.items()})
    else:
        (save_file if name.endswith("safetensors") else torch.save)(tensors, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    monkeypatch.chdir(tmp_path)
    words = "it is cut off or damaged; copy or download it again"
    with pytest.raises(ArtifactError, match=f"^cannot read the weights in '{name}': {words}$"):
        load_weights(network(), name)


@pytest.mark.parametrize("name", ["theirs.safetensors", "theirs.pth", "theirs.bin", "theirs"])
@pytest.mark.parametrize("kind", ["safetensors", "torch", "numpy"])
def test_files_are_read_by_their_content(tmp_path, name, kind) -> None:
    theirs, model = network(1), network(2)
    with (tmp_path / name).open("wb") as file:
        if kind == "numpy":  # with the other byte order
            np.savez(file, **{key: each.numpy().astype(">f4") for key, each in theirs.state_dict().items()})
        elif kind == "torch":
            torch.save(theirs.state_dict(), file)
        else:
            file.write(save(theirs.state_dict()))
    assert not load_weights(model, tmp_path / name).new
    assert torch.equal(model.conv2.conv.weight, theirs.conv2.conv.weight)


def test_a_state_dict_in_memory_is_loaded() -> None:
    theirs, model = network(1), network(2)
    assert not load_weights(model, theirs.state_dict()).new
    assert torch.equal(model.conv2.conv.weight, theirs.conv2.conv.weight)
    theirs, model = network(1, NARROW), network(2, NARROW)
    wanting_gradients = {"epoch": 3, "net": dict(theirs.named_parameters())}
    assert not load_weights(model, wanting_gradients).new
    assert torch.equal(model.conv2.conv.weight, theirs.conv2.conv.weight)
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(ArtifactError, match="the dictionary given' holds no tensors by name"):
        load_weights(model, {})


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (network(), r"weights cannot be AlexNet; give its state_dict\(\)"),
        (7, "weights cannot be int; give a path, a name or a state_dict"),
        (None, "NoneType"),
    ],
)
def test_other_types_are_a_type_error(weights, words) -> None:
    with pytest.raises(TypeError, match=words):
        load_weights(network(), weights)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300])
def test_nan_and_infinity_are_refused_by_name(tmp_path, number) -> None:
    theirs = {name: each.double() for name, each in network(1).state_dict().items()}
    theirs["conv2.conv.bias"][0] = number
    torch.save({f"module.{name}": each for name, each in theirs.items()}, tmp_path / "theirs.pth")
    model = network(2)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ArtifactError, match=r"theirs.pth' holds NaN or infinity in module\.conv2\.conv\.bias; use"):
        load_weights(model, tmp_path / "theirs.pth")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_key_chooses_between_dictionaries(tmp_path, trained_run) -> None:
    torch.save({"model": network(1).state_dict(), "model_ema": network(3).state_dict()}, tmp_path / "theirs.pth")
    model = network(2)
    with pytest.raises(
        ArtifactError, match=r"'model', 'model_ema'; choose one, as with --init-key model \(key='model'\)"
    ):
        load_weights(model, tmp_path / "theirs.pth")
    load_weights(model, tmp_path / "theirs.pth", key="model_ema")
    assert torch.equal(model.conv2.conv.weight, network(3).conv2.conv.weight)
    with pytest.raises(SettingsError, match=r"key is 'model', but the model .* has one dictionary of weights"):
        load_weights(model, trained_run, key="model")


def test_the_same_names_with_other_shapes_do_not_fit(tmp_path) -> None:
    short = (Conv(channels=8, kernel=5, stride=4), Conv(channels=8, kernel=3))
    save_file(AlexNet(Architecture(layers=short, hidden=(), n_classes=2)).state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(
        ArtifactError, match=r"a layout of its own \(conv1 8x3x5x5.*reference layout \(conv1 96x3x11x11"
    ):
        load_weights(network(), tmp_path / "x.safetensors")


def test_missing_weights(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"there are no weights at .*nowhere\.pth"):
        load_weights(network(), tmp_path / "nowhere.pth")
    with pytest.raises(ArtifactError, match=r"there is no model at .*nowhere"):
        load_weights(network(), tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="holds no model"):
        load_weights(network(), tmp_path)


def test_the_home_of_an_unknown_user() -> None:
    with pytest.raises(ArtifactError, match="there is no model at '~nobody-of-this-name/run'"):
        load_weights(network(), "~nobody-of-this-name/run")
    assert absolute("~nobody-of-this-name/run") == "~nobody-of-this-name/run"


@pytest.mark.parametrize("name", ["hf:someone/photos", "hf:someone/photos.pth"])
def test_a_model_on_the_hub_is_found_by_its_name(trained_run, monkeypatch, name) -> None:
    model = AlexNet(load_artifact(trained_run).architecture)
    there = {name: trained_run / "model"}
    monkeypatch.setattr("alexnet.model.opening.find_model", there.__getitem__)
    assert not load_weights(model, name, classes=CLASSES).new


def test_paths_are_made_absolute_and_names_are_not(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    assert absolute("run") == absolute("~/run") == str(tmp_path / "run")
    assert absolute("someone/photos") == "someone/photos"
    assert absolute("hf:someone/photos") == "hf:someone/photos"


def test_nothing_is_known_of_a_file_at_the_root() -> None:
    """As in a container."""
    assert seen_before("/weights.pth") == SeenImages(is_all=False)
