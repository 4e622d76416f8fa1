"""Weights of two columns, as the program of 2012 names and shapes them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import alexnet
from alexnet import AlexNet
from alexnet.errors import ArtifactError
from alexnet.network.value.changes import resolve


def small(*, mean_image: bool = True) -> AlexNet:
    net = resolve("original", n_classes=3, width=0.17, hidden=(12, 10))
    model = AlexNet(replace(net, mean_image=mean_image))
    if mean_image:
        model.mean_image.uniform_(0, 255)
    return model


def as_program(model: AlexNet, *, names: bool) -> dict[str, np.ndarray]:
    """The weights of a network in the program's shapes, under its names or under fc6a, fc7a and so on."""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    found = {"mean_image": state["mean_image"]}
    for layer in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        halves = zip(np.split(state[f"{layer}.conv.weight"], 2), np.split(state[f"{layer}.conv.bias"], 2), strict=True)
        for column, (weight, bias) in zip("ab", halves, strict=True):
            found[f"{layer}{column}.biases"] = bias[:, None]
            parts = np.split(weight, 2, axis=1) if layer == "conv3" else [weight]
            for number, part in enumerate(parts):
                key = f"{layer}{column}.weights" + (f".{number}" if len(parts) > 1 else "")
                found[key] = part.reshape(len(part), -1).T.copy()
    for layer, program in (("fc6", "fc2048"), ("fc7", "fc2048b"), ("fc8", "fc1000")):
        weight, bias = state[f"{layer}.linear.weight"], state[f"{layer}.linear.bias"]
        columns = "ab" if layer != "fc8" else [""]
        for column, w, b in zip(columns, np.split(weight, len(columns)), np.split(bias, len(columns)), strict=True):
            name = f"{program if names else layer}{column}"
            parts = np.split(w, 2, axis=1)
            # The second column of fc7 reads its own column first in the program.
            parts = parts[::-1] if name == "fc2048bb" else parts
            found |= {f"{name}.weights.{number}": part.T.copy() for number, part in enumerate(parts)}
            found[f"{name}.biases"] = b[None]
    return found


@pytest.mark.parametrize("names", [True, False])
def test_two_columns_become_one_network(names) -> None:
    torch.manual_seed(1)
    theirs, ours = small().eval(), small().eval()
    tensors = as_program(theirs, names=names)
    loaded = alexnet.load_weights(ours, dict(sorted(tensors.items(), reverse=True)))
    assert loaded.new == loaded.left == loaded.adapted == ()
    images = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def test_they_load_from_a_file_of_arrays_by_name(tmp_path) -> None:
    theirs, ours = small(), small()
    file = tmp_path / "145.npz"
    np.savez(file, **as_program(theirs, names=True))
    alexnet.load_weights(ours, file)
    assert all(torch.equal(each, theirs.state_dict()[name]) for name, each in ours.state_dict().items())


def test_torch_shapes_under_names_of_columns_load_too() -> None:
    theirs, ours = small(), small()
    tensors = {
        name.replace(".weights", ".weight").replace(".biases", ".bias"): torch.from_numpy(array)
        for name, array in as_program(theirs, names=False).items()
        if name == "mean_image" or "biases" in name
    }
    for layer in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"):
        part = "conv" if layer.startswith("conv") else "linear"
        for column, half in zip("ab", theirs.get_parameter(f"{layer}.{part}.weight").chunk(2), strict=True):
            tensors[f"{layer}{column}.weight"] = half.detach()
    tensors["fc8.weight"] = theirs.fc8.linear.weight.detach()
    alexnet.load_weights(ours, tensors)
    assert all(torch.equal(each, theirs.state_dict()[name]) for name, each in ours.state_dict().items())


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("conv4b", "has conv4a for conv4, where two columns need both"),
        ("conv2a.biases", "no conv2a.biases"),
        ("conv2a.weights", "no conv2a.weights"),
        ("fc1000", "nothing for fc8"),
    ],
)
def test_what_is_missing_is_named(gone, message) -> None:
    tensors = {name: array for name, array in as_program(small(), names=True).items() if not name.startswith(gone)}
    with pytest.raises(ArtifactError, match=message):
        alexnet.load_weights(small(), tensors)


def test_columns_of_different_shapes_are_refused() -> None:
    tensors = as_program(small(), names=True)
    tensors["conv1a.weights"] = tensors["conv1a.weights"][:-3]
    with pytest.raises(ArtifactError, match="no square windows"):
        alexnet.load_weights(small(), tensors)
    tensors["conv1a.weights"] = np.zeros((300, 8), np.float32)
    with pytest.raises(ArtifactError, match="columns of different shapes, 8x3x10x10 and 8x3x11x11, in conv1"):
        alexnet.load_weights(small(), tensors)


def test_the_program_s_weights_need_its_pixels() -> None:
    with pytest.raises(ArtifactError, match="for pixels of 0 to 255 less a mean image; build the network"):
        alexnet.load_weights(small(mean_image=False), as_program(small(), names=True))
