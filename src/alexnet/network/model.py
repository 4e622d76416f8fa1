"""The network itself: an ``Architecture`` as a ``torch.nn.Module``."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.errors import SettingsError
from alexnet.network.architecture import Architecture, Conv, Variant, resolve
from alexnet.network.dropout import Dropout

# Never in place: hooks on these layers (saliency, embeddings) must see what the convolution gave.
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


class AlexNet(nn.Module):
    """AlexNet: convolutional layers ``conv1`` ..., then fully-connected layers up to the logits.

    Args:
        architecture: a variant's name, or an ``Architecture``.
        n_classes: classes to tell apart; the architecture's own where not given, as with the two below.
        in_channels: channels of a picture.
        image_size: side of the pictures it is meant for, in pixels. Others from the smallest legal one up work too.

    Raises:
        SettingsError: an unknown variant, or changes that do not fit.

    Source: the paper, section 3.
    """

    def __init__(
        self,
        architecture: Architecture | Variant = "batchnorm",
        *,
        n_classes: int | None = None,
        in_channels: int | None = None,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        net = resolve(architecture, n_classes=n_classes, in_channels=in_channels, image_size=image_size)
        self.architecture = net
        self._smallest = net.smallest_image_size
        self._conv_names = [f"conv{number}" for number in range(1, len(net.layers) + 1)]

        channels = net.in_channels
        for name, layer in zip(self._conv_names, net.layers, strict=True):
            self.add_module(name, _conv_layer(net, layer, channels))
            channels = layer.channels

        self.flatten = nn.Flatten()
        n_inputs = channels * net.grid**2
        self._fc_names = [f"fc{len(net.layers) + number}" for number in range(1, len(net.hidden) + 2)]
        for name, n_outputs in zip(self._fc_names, net.hidden, strict=False):
            self.add_module(name, _hidden_layer(net, n_inputs, n_outputs))
            n_inputs = n_outputs
        self.add_module(self._fc_names[-1], nn.Sequential(OrderedDict(linear=nn.Linear(n_inputs, net.n_classes))))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return logits ``(N, n_classes)`` for normalised pictures ``(N, C, H, W)``.

        Raises:
            SettingsError: pictures smaller than the layers can take.
        """
        if min(pictures.shape[-2:]) < self._smallest:
            height, width = pictures.shape[-2:]
            raise SettingsError(
                f"pictures of {height}x{width} px are too small for {self.architecture.variant!r}; "
                f"the smallest it can take is {self._smallest} px"
            )
        maps = pictures
        for name in self._conv_names:
            maps = self.get_submodule(name)(maps)
        grid = self.architecture.grid
        # Skipped at the native size: adaptive pooling's backward pass is not deterministic on a GPU.
        if maps.shape[-2:] != (grid, grid):
            maps = F.adaptive_avg_pool2d(maps, grid)
        outputs: Tensor = self.flatten(maps)
        for name in self._fc_names:
            outputs = self.get_submodule(name)(outputs)
        return outputs


def _conv_layer(net: Architecture, layer: Conv, in_channels: int) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv"] = nn.Conv2d(in_channels, layer.channels, layer.kernel, layer.stride, layer.padding)
    if net.norm == "batch":
        parts["norm"] = nn.BatchNorm2d(layer.channels)
    parts["activation"] = ACTIVATIONS[net.activation]()
    if layer.pool:
        parts["pool"] = nn.MaxPool2d(layer.pool.kernel, layer.pool.stride)
    return nn.Sequential(parts)


def _hidden_layer(net: Architecture, n_inputs: int, n_outputs: int) -> nn.Sequential:
    # Dropout stands before the weights, as in Krizhevsky's later code and the reference table; the paper
    # (section 4.2) drops the same activations and only names the layer after which it happens.
    return nn.Sequential(
        OrderedDict(
            dropout=Dropout(net.dropout),
            linear=nn.Linear(n_inputs, n_outputs),
            activation=ACTIVATIONS[net.activation](),
        )
    )


def without_weights(architecture: Architecture) -> AlexNet:
    """Build the network on torch's meta device: shapes only, for drawing and for loading weights into."""
    with torch.device("meta"):
        return AlexNet(architecture)
