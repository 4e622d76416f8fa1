"""What the layers of a network output for images, all in one forward pass. Only ``activations`` needs torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from alexnet.network.module.model import AlexNet

Numbers = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Peaks:
    """Where each channel of a layer is largest in each image.

    Attributes:
        values: the largest activation, ``(N, C)``.
        places: its position in the map, counted row by row, ``(N, C)``.
    """

    values: Numbers
    places: Integers


@dataclass(frozen=True, eq=False)
class Activations:
    """What the layers of a network output for images.

    Attributes:
        peaks: of each convolutional layer's activation, by its name.
        maps: what the last pool reads, ``(N, C, h, w)``; without a pool, the output of the last convolutional layer.
            They are rectified, also where the activation comes after the pool: see ``Conv.commuted``.
        embeddings: the output of the last hidden layer, ``(N, n_features)``; without one, the flattened maps.
    """

    peaks: dict[str, Peaks]
    maps: Numbers
    embeddings: Numbers


def activations(model: "AlexNet", images: "Tensor") -> Activations:
    """Return what the layers output for normalised images ``(N, C, H, W)``, in evaluation mode."""
    import torch
    import torch.nn.functional as F

    net = model.architecture
    with torch.inference_mode():
        peaks, maps = {}, images
        outputs = model.centred(images)
        for name, layer, _ in net.conv_layers():
            modules = dict(model.get_submodule(name).named_children())
            for part in ("conv", *layer.commuted(net.activation)):
                maps = outputs if part == "pool" else maps
                outputs = modules[part](outputs)
                if part == "activation":
                    values, places = outputs.flatten(2).max(dim=2)
                    peaks[name] = Peaks(_array(values), np.asarray(places.cpu().numpy()))
        maps = maps if net.layers[-1].pool else outputs
        # At the size of the grid, adaptive pooling changes nothing.
        hidden = F.adaptive_avg_pool2d(outputs, net.grid).flatten(1)
        for name, _, _ in list(net.linear_layers())[:-1]:
            hidden = model.get_submodule(name)(hidden)
        return Activations(peaks, _array(maps), _array(hidden))


def _array(tensor: "Tensor") -> Numbers:
    return np.asarray(tensor.cpu().numpy())
