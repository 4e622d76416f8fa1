"""The network as it is exported: uint8 images in; probabilities, logits, embeddings and maps out."""

import copy
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.images.decoding import Pixels
from alexnet.inference.engines.outputs import Numbers
from alexnet.model.artifact import Artifact
from alexnet.network.module.model import AlexNet
from alexnet.network.value.layers import Conv, Pool


class Graph(nn.Module):
    """A network for square images of one size, made of operations that every format has.

    It computes what ``AlexNet`` computes, and normalisation and temperature as well. Its tensors have the names that
    they have in an ``AlexNet``, ``conv1.conv.weight`` to ``fc8.linear.bias``. What can be computed beforehand is: a
    batch norm before the activation becomes part of its convolution, and pooling to the grid becomes a matrix, as does
    average pooling whose windows hang over. Where only the size tells whether windows hang over, it is told.

    Args:
        model: the network, in evaluation mode. Its weights are shared, not copied.
        artifact: the saved model that it was loaded from.

    Attributes:
        image_size: side of its images in pixels.
        hidden: the names of its hidden layers.
    """

    mean: Tensor
    scale: Tensor
    pooling: Tensor | None
    mean_image: Tensor | None

    def __init__(self, model: AlexNet, artifact: Artifact) -> None:
        super().__init__()
        net, how = model.architecture, artifact.preprocessing
        self.image_size, self.n_channels = net.image_size, net.in_channels
        self._temperature = artifact.calibration.temperature
        # As in images.tensors.normalise, to the bit.
        self.register_buffer("mean", torch.tensor(how.mean).mul(255))
        self.register_buffer("scale", torch.tensor(how.std).mul(255).reciprocal())
        self.register_buffer("mean_image", model.mean_image)
        side = net.image_size
        for name, layer, _ in net.conv_layers():
            side = layer.conv_side(side)
            parts = ("conv", *layer.commuted(net.activation))
            self.add_module(name, _convolutional(layer, parts, model.get_submodule(name), side))
            side = layer.pooled_side(side)
        self.register_buffer("pooling", None if side == net.grid else pooling_matrix(side, net.grid))
        for name, _, _ in net.linear_layers():
            modules = OrderedDict(model.get_submodule(name).named_children())
            if net.scale_in_prediction == 1:  # dropout does nothing here
                modules.pop("dropout", None)
            self.add_module(name, nn.Sequential(modules))
        self._conv_names = tuple(name for name, _, _ in net.conv_layers())
        *hidden, (self.last, _, _) = net.linear_layers()
        self.hidden = tuple(name for name, _, _ in hidden)
        self._has_last_pool = net.layers[-1].pool is not None
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return probabilities, logits, embeddings and maps for images ``(N, image_size, image_size, C)`` uint8.

        The probabilities ``(N, n_classes)`` are those of the logits divided by the temperature; the logits
        ``(N, n_classes)`` are not divided; the embeddings ``(N, n_features)`` are the outputs of the last hidden layer;
        the maps ``(N, C, h, w)`` are what the last pool reads or, without one, the outputs of the last convolutional
        layer. They are rectified, also where the activation comes after the pool: see ``Conv.commuted``.
        """
        flat, maps = self.flatten(images)
        embeddings = self.embed(flat)
        logits = self.get_submodule(self.last)(embeddings)
        return torch.softmax(logits / self._temperature, dim=1), logits, embeddings, maps

    def flatten(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the flattened maps that the first fully-connected layer reads, ``(N, n)``, and the last maps."""
        outputs = ((images.float() - self.mean) * self.scale).permute(0, 3, 1, 2)
        if self.mean_image is not None:
            outputs = outputs - self.mean_image
        maps = outputs
        for name in self._conv_names:
            for part, module in self.get_submodule(name).named_children():
                maps = outputs if part == "pool" else maps
                outputs = module(outputs)
        maps = maps if self._has_last_pool else outputs
        if self.pooling is not None:
            outputs = self.pooling @ outputs @ self.pooling.t()
        return outputs.flatten(1), maps

    def embed(self, flat: Tensor) -> Tensor:
        """Return the output of the last hidden layer ``(N, n_features)`` for flattened maps ``(N, n)``."""
        for name in self.hidden:
            flat = self.get_submodule(name)(flat)
        return flat

    @torch.no_grad()
    def probabilities(self, images: Pixels) -> Numbers:
        """Return probabilities ``(N, n_classes)`` for images ``(N, image_size, image_size, C)`` uint8, as arrays."""
        return np.asarray(self(torch.from_numpy(images))[0].numpy())

    def example(self) -> Tensor:
        """Return images to trace it with. Two of them: exporters take a batch of one for a constant."""
        return torch.zeros(2, self.image_size, self.image_size, self.n_channels, dtype=torch.uint8)


def pooling_matrix(side: int, grid: int) -> Tensor:
    """Return a matrix ``P``, ``(grid, side)``, for which ``P @ map @ P.T`` is adaptive average pooling to the grid.

    ONNX has no adaptive pooling. A mean over a window is a mean over its rows of the means over their columns.
    """
    return F.adaptive_avg_pool1d(torch.eye(side)[None], grid)[0].t().contiguous()


class HangingMean(nn.Module):
    """Average pooling of maps of one size, whose last windows hang over the right and lower edge.

    ONNX Runtime's ``AveragePool`` divides by all of such a window, torch's by the part inside.
    """

    matrix: Tensor

    def __init__(self, pool: Pool, side: int) -> None:
        super().__init__()
        rows = F.avg_pool1d(torch.eye(side)[None], pool.kernel, pool.stride, ceil_mode=True)[0]
        self.register_buffer("matrix", rows.t().contiguous())

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps ``(N, C, h, h)`` for maps ``(N, C, side, side)``."""
        return self.matrix @ maps @ self.matrix.t()


def _pool(pool: Pool, side: int) -> nn.Module:
    """Return a pool of maps of one size."""
    hangs = pool.rounding == "up" and (side - pool.kernel) % pool.stride > 0
    if pool.kind == "max":
        return nn.MaxPool2d(pool.kernel, pool.stride, ceil_mode=hangs)
    return HangingMean(pool, side) if hangs else nn.AvgPool2d(pool.kernel, pool.stride)


def _convolutional(layer: Conv, parts: Sequence[str], module: nn.Module, side: int) -> nn.Sequential:
    """Return a convolutional layer, a batch norm right after the convolution folded into it.

    Args:
        layer: the layer.
        parts: the names of its parts in order.
        module: its parts as modules.
        side: side of the convolution's output.
    """
    given = dict(module.named_children())
    modules = OrderedDict((part, given[part]) for part in parts)
    conv, norm = modules["conv"], modules.get("norm")
    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and parts[1] == "norm":
        modules["conv"] = _folded(conv, norm)
        del modules["norm"]
    if layer.pool:
        modules["pool"] = _pool(layer.pool, side)
    return nn.Sequential(modules)


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return a convolution that does what the two do. Computed in float64, so that only its result is rounded."""
    assert conv.bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    folded = copy.deepcopy(conv)
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = (conv.bias.double() - norm.running_mean.double()) * scale + norm.bias.double()
    folded.weight = nn.Parameter((conv.weight.double() * scale.view(-1, 1, 1, 1)).float())
    folded.bias = nn.Parameter(bias.float())
    return folded
