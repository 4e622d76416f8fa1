"""Networks to export: every variant, and custom ones, with weights as if they were trained."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from alexnet import AlexNet
from alexnet.data.batches.examples import Examples
from alexnet.exporting.graph import Graph
from alexnet.exporting.images import ExportImages
from alexnet.exporting.onnx import to_onnx
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import Preprocessing, mean_and_std
from alexnet.model.artifact import Artifact, Calibration
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.changes import resolve
from alexnet.network.value.layers import Conv

from ..network.test_contract import NETS as CONTRACT

# At other sizes than the native ones, maps are pooled to the grid: from fewer pixels, from more, and by odd ratios.
NETS = {
    **CONTRACT,
    "batchnorm at 67 px": resolve(CONTRACT["batchnorm"], image_size=67),
    "batchnorm at 300 px": resolve(CONTRACT["batchnorm"], image_size=300),
    # Its windows hang over in conv1 and in the first two pools.
    "original at 84 px": resolve(CONTRACT["original"], image_size=84),
    "small at 45 px": resolve(CONTRACT["small"], image_size=45),
    "no pool": Architecture(
        layers=(Conv(channels=8, kernel=3), Conv(channels=8, kernel=3)), hidden=(6,), grid=4, n_classes=3, image_size=9
    ),
}


def at_random(net: Architecture, seed: int = 0) -> AlexNet:
    """Return a network whose norms have statistics, and its mean image numbers."""
    torch.manual_seed(seed)
    # Of the paper's own small weights hardly anything of an image would reach the logits of so narrow a network.
    model = AlexNet(replace(net, initialisation="torch")).eval()
    with torch.no_grad():
        for norm in (each for each in model.modules() if isinstance(each, nn.BatchNorm2d)):
            norm.running_mean.normal_(std=0.2)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.normal_(mean=1, std=0.5)
            norm.bias.normal_(std=0.2)
        if model.mean_image is not None:
            model.mean_image.normal_(std=0.2)
    return model


def as_trained(net: Architecture, seed: int = 0) -> AlexNet:
    """Return a network as ``at_random``, but with probabilities that are far from equal."""
    model = at_random(net, seed)
    with torch.no_grad():
        last = model.get_submodule(model.layer_names[-1]).get_submodule("linear")
        last.bias.zero_()
        pixels = torch.from_numpy(pixels_for(net, 16))
        logits = Graph(model, artifact_of(net))(pixels)[1]
        # Far enough apart to say something, and not so far that rounding errors count. No class is always the first.
        last.weight.mul_(0.4 / logits.std(dim=0).mean())
        last.bias.copy_(-0.4 * logits.mean(dim=0) / logits.std(dim=0).mean())
    return model


def artifact_of(net: Architecture, folder: Path = Path("nowhere")) -> Artifact:
    mean, std = mean_and_std(net.in_channels)
    return Artifact(
        folder=folder,
        architecture=net,
        classes=tuple(f"class {number}" for number in range(net.n_classes)),
        preprocessing=Preprocessing(store_size=net.image_size, mean=mean, std=std),
        provenance={"data": "/home/anna/images", "recipe": {"name": "modern"}},
        calibration=Calibration(temperature=0.8),
    )


def graph_of(net: Architecture, seed: int = 0) -> Graph:
    return Graph(as_trained(net, seed), artifact_of(net))


@functools.cache
def onnx_of(name: str) -> onnx.ModelProto:
    """Return one of ``NETS`` as an ONNX model. It takes seconds, and tests must not change it."""
    return to_onnx(graph_of(NETS[name]))


def pixels_for(net: Architecture, n: int, seed: int = 0) -> Pixels:
    """Return images that differ in brightness and in colour, ``(n, image_size, image_size, C)``."""
    random = np.random.default_rng(seed)
    shape = (n, net.image_size, net.image_size, net.in_channels)
    bright = random.integers(0, 200, (n, 1, 1, net.in_channels))
    return (bright + random.integers(0, 56, shape)).astype(np.uint8)


def export_images(net: Architecture, pixels: Pixels, labels: np.ndarray) -> ExportImages:
    """Return images that are the ``train``, the ``val`` and the ``test`` of an export."""
    rgb = pixels if net.in_channels == 3 else pixels.repeat(3, axis=3)
    names = tuple(f"{number}.png" for number in range(len(rgb)))
    data = Examples(rgb, np.arange(len(rgb)), labels.astype(np.int64), net.in_channels, names)
    return ExportImages(data, data, data, "test", net.image_size)
