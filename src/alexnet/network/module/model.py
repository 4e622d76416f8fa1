"""The network as a ``torch.nn.Module``, built from an ``Architecture``."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Self, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.errors import SettingsError, nearest
from alexnet.images.tensors import fitted
from alexnet.network.module.initialisation import initialise
from alexnet.network.module.layers import conv_layer, folded, hidden_layer
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.changes import Changes, resolve
from alexnet.network.value.variants import Variant


class Layers(nn.Module):
    """The named layers of an AlexNet, first to last: the base of ``AlexNet`` and ``Features``.

    Attributes:
        architecture: the value that the network was built from.
        layer_names: the names of the layers with weights: ``conv1`` ... ``fc8``.
        mean_image: what is subtracted from each image, ``(C, S, S)``, in the units of images; None if nothing is.
    """

    architecture: Architecture
    layer_names: tuple[str, ...]
    flatten: nn.Flatten
    mean_image: Tensor | None

    def _run_layers(self, names: Iterable[str], outputs: Tensor) -> Tensor:
        """Apply the layers to images or maps. Maps are flattened before the first fully-connected layer."""
        for name in names:
            layer = self.get_submodule(name)
            if outputs.ndim == 4 and name.startswith("fc"):
                if self._folds(layer, outputs):
                    outputs = folded(layer, outputs, self.architecture.grid)
                    continue
                outputs = self._flatten(outputs)
            outputs = layer(outputs)
        return outputs

    def _folds(self, layer: nn.Module, maps: Tensor) -> bool:
        """Return whether pooling maps up to the grid and the layer's weights are applied as one matrix.

        Only in training, where it is faster: elsewhere hooks must see the layer's input. Not where its inputs are
        dropped, which happens between the two.
        """
        net, is_square = self.architecture, maps.shape[-2] == maps.shape[-1]
        is_dropped = net.dropout_place == "inputs" and net.dropout > 0 and hasattr(layer, "dropout")
        return self.training and is_square and maps.shape[-1] < net.grid and not is_dropped

    def _flatten(self, maps: Tensor) -> Tensor:
        """Flatten maps ``(N, C, h, w)`` to ``(N, n)``. Maps of another size than the grid are pooled to it first."""
        grid = self.architecture.grid
        # Skipped at the native size: adaptive pooling's backward pass is not deterministic on a GPU.
        if maps.shape[-2:] != (grid, grid):
            maps = F.adaptive_avg_pool2d(maps, grid)
        flat: Tensor = self.flatten(maps)
        return flat

    def centred(self, images: Tensor) -> Tensor:
        """Return images less the mean image, if there is one, resized to theirs.

        Raises:
            SettingsError: the images are too small for the layers.
        """
        self._check_size(images)
        if self.mean_image is None:
            return images
        return images - fitted(self.mean_image, *images.shape[-2:])

    def _check_size(self, images: Tensor) -> None:
        height, width = images.shape[-2:]
        smallest = self.architecture.smallest_image_size
        if min(height, width) < smallest:
            raise SettingsError(
                f"images of {height}x{width} px are too small for {self.architecture.variant!r}; "
                f"its smallest image size is {smallest} px"
            )

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode. Batch norms of frozen layers stay in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            # The base class, to include SyncBatchNorm.
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and not module.weight.requires_grad:
                module.eval()
        return self


class AlexNet(Layers):
    """AlexNet: convolutional layers ``conv1`` ..., then fully-connected layers up to the logits.

    Args:
        architecture: a variant's name, or an ``Architecture``.
        **changes: changes to it, such as ``n_classes`` and ``image_size``: see ``resolve``. Images of other sizes than
            ``image_size`` work too, from the smallest legal size up.

    Raises:
        SettingsError: the variant is unknown, or the changes do not fit.

    Source: the paper, section 3.
    """

    def __init__(self, architecture: Architecture | Variant = "batchnorm", **changes: Unpack[Changes]) -> None:
        super().__init__()
        net = resolve(architecture, **changes)
        self.architecture = net

        mean = torch.zeros(net.in_channels, net.image_size, net.image_size) if net.mean_image else None
        self.register_buffer("mean_image", mean)
        for name, layer, in_channels in net.conv_layers():
            self.add_module(name, conv_layer(net, layer, in_channels))
        self.flatten = nn.Flatten()
        *hidden, (last, n_inputs, n_classes) = net.linear_layers()
        for name, n_in, n_out in hidden:
            self.add_module(name, hidden_layer(net, n_in, n_out))
        self.add_module(last, nn.Sequential(OrderedDict(linear=nn.Linear(n_inputs, n_classes))))
        self._conv_names = tuple(name for name, _, _ in net.conv_layers())
        self._fc_names = tuple(name for name, _, _ in net.linear_layers())
        self.layer_names = self._conv_names + self._fc_names
        if net.initialisation != "torch":
            initialise(self, net.initialisation)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(N, n_classes)`` for normalised images ``(N, C, H, W)``.

        Raises:
            SettingsError: the images are too small for the layers.
        """
        return self.forward_head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the maps of the last convolutional layer, ``(N, C, h, w)``; their size depends on the images'.

        Raises:
            SettingsError: the images are too small for the layers.
        """
        return self._run_layers(self._conv_names, self.centred(images))

    def forward_head(self, maps: Tensor) -> Tensor:
        """Return logits ``(N, n_classes)`` for the maps of ``forward_features``."""
        return self._run_layers(self._fc_names, maps)

    def embed(self, images: Tensor) -> Tensor:
        """Return embeddings: the output of the last hidden layer, for most variants fc7's ``(N, 4096)``.

        Similar images have embeddings close to each other. Without hidden layers, these are the flattened maps.

        Source: the paper, section 6.1.
        """
        outputs = self._run_layers(self._fc_names[:-1], self.forward_features(images))
        return outputs if outputs.ndim == 2 else self._flatten(outputs)

    def features(self, layer: str) -> "Features":
        """Return the network up to and including a layer, as a module that shares its weights.

        It turns images ``(N, C, H, W)`` into the layer's output: maps for ``conv3``, ``(N, n)`` for ``fc6``.

        Raises:
            SettingsError: there is no such layer.
        """
        return Features(self, layer)

    def freeze(self, up_to: str) -> tuple[str, ...]:
        """Freeze the layers from the first up to and including one; return their names.

        Their batch norms keep their statistics, even in training.

        Args:
            up_to: a layer such as ``conv3`` or ``fc6``, or ``conv`` for all convolutional layers.

        Raises:
            SettingsError: there is no such layer, or nothing would be left to train.
        """
        last = self._conv_names[-1] if up_to == "conv" else up_to
        names = self.layer_names
        if last not in names:
            raise SettingsError(f"there is no layer {up_to!r} to freeze{nearest(up_to, ['conv', *names[:-1]])}")
        if last == names[-1]:
            raise SettingsError(f"with {up_to!r} frozen nothing is left to train; freeze up to {names[-2]} at most")
        frozen = names[: names.index(last) + 1]
        for name in frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train(self.training)
        return frozen

    def parameter_groups(self, lr: float, layer_decay: float = 1.0) -> list[dict[str, Any]]:
        """Return parameter groups for an optimiser, one a layer. Earlier layers get smaller learning rates.

        Args:
            lr: the learning rate of the last layer.
            layer_decay: the factor from each layer's learning rate to that of the layer before, in (0, 1].

        Raises:
            SettingsError: ``layer_decay`` is out of range.
        """
        if not 0 < layer_decay <= 1:
            raise SettingsError(f"layer_decay is {layer_decay}; it must be above 0 and at most 1")
        groups = []
        for depth, name in enumerate(reversed(self.layer_names)):
            trainable = [each for each in self.get_submodule(name).parameters() if each.requires_grad]
            if trainable:
                groups.append({"params": trainable, "lr": lr * layer_decay**depth, "name": name})
        return groups[::-1]


class Features(Layers):
    """A backbone: a network up to one of its layers. The layers keep their names and share their weights.

    Attributes:
        n_channels: the number of channels, or of features, in its output.
    """

    def __init__(self, model: AlexNet, layer: str) -> None:
        super().__init__()
        if layer not in model.layer_names:
            raise SettingsError(f"there is no layer {layer!r}{nearest(layer, model.layer_names)}")
        self.architecture = model.architecture
        self.layer_names = model.layer_names[: model.layer_names.index(layer) + 1]
        for name in self.layer_names:
            self.add_module(name, model.get_submodule(name))
        self.register_buffer("mean_image", model.mean_image)
        self.flatten = nn.Flatten()
        self.n_channels = next(each.shape[0] for each in self.get_submodule(layer).parameters())
        self.training = model.training

    def forward(self, images: Tensor) -> Tensor:
        """Return the layer's output for normalised images ``(N, C, H, W)``.

        Raises:
            SettingsError: the images are too small for the whole network.
        """
        return self._run_layers(self.layer_names, self.centred(images))


def without_weights(architecture: Architecture) -> AlexNet:
    """Build the network on torch's meta device: shapes only, to draw it or to load weights into it."""
    with torch.device("meta"):
        return AlexNet(architecture)
