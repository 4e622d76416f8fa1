"""The network as a ``torch.nn.Module``, built from an ``Architecture``."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Self, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.errors import SettingsError, nearest
from alexnet.network.module.dropout import Dropout
from alexnet.network.module.initialisation import initialise
from alexnet.network.module.norms import LocalResponseNorm
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv, GroupNorm, LocalNorm
from alexnet.network.value.variants import Changes, Variant, resolve

# Never in place: hooks (saliency, embeddings) must see the output of the convolution.
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}


class Layers(nn.Module):
    """The named layers of an AlexNet, first to last: the base of ``AlexNet`` and ``Features``.

    Attributes:
        architecture: the value that the network was built from.
        layer_names: the names of the layers with weights: ``conv1`` ... ``fc8``.
    """

    architecture: Architecture
    layer_names: tuple[str, ...]
    flatten: nn.Flatten

    def _run_layers(self, names: Iterable[str], outputs: Tensor) -> Tensor:
        """Apply the layers to images or maps. Maps are flattened before the first fully-connected layer."""
        for name in names:
            layer = self.get_submodule(name)
            if outputs.ndim == 4 and name.startswith("fc"):
                if self._folds(layer, outputs):
                    outputs = _folded(layer, outputs, self.architecture.grid)
                    continue
                outputs = self._flatten(outputs)
            outputs = layer(outputs)
        return outputs

    def _folds(self, layer: nn.Module, maps: Tensor) -> bool:
        """Return whether pooling maps up to the grid and the layer's weights are applied as one matrix.

        Only in training, where it is faster: elsewhere hooks must see the layer's input. Not with dropout, which acts
        between the two.
        """
        grid, is_square = self.architecture.grid, maps.shape[-2] == maps.shape[-1]
        dropout = getattr(layer, "dropout", None)
        return self.training and is_square and maps.shape[-1] < grid and (dropout is None or not dropout.p)

    def _flatten(self, maps: Tensor) -> Tensor:
        """Flatten maps ``(N, C, h, w)`` to ``(N, n)``. Maps of another size than the grid are pooled to it first."""
        grid = self.architecture.grid
        # Skipped at the native size: adaptive pooling's backward pass is not deterministic on a GPU.
        if maps.shape[-2:] != (grid, grid):
            maps = F.adaptive_avg_pool2d(maps, grid)
        flat: Tensor = self.flatten(maps)
        return flat

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

        for name, layer, in_channels in net.conv_layers():
            self.add_module(name, _conv_layer(net, layer, in_channels))
        self.flatten = nn.Flatten()
        *hidden, (last, n_inputs, n_classes) = net.linear_layers()
        for name, n_in, n_out in hidden:
            self.add_module(name, _hidden_layer(net, n_in, n_out))
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
        self._check_size(images)
        return self._run_layers(self._conv_names, images)

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
        self.flatten = nn.Flatten()
        self.n_channels = next(each.shape[0] for each in self.get_submodule(layer).parameters())
        self.training = model.training

    def forward(self, images: Tensor) -> Tensor:
        """Return the layer's output for normalised images ``(N, C, H, W)``.

        Raises:
            SettingsError: the images are too small for the whole network.
        """
        self._check_size(images)
        return self._run_layers(self.layer_names, images)


def _conv_layer(net: Architecture, layer: Conv, in_channels: int) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv"] = nn.Conv2d(
        in_channels, layer.channels, layer.kernel, layer.stride, layer.padding, groups=layer.groups
    )
    for part in layer.parts:
        parts[part] = ACTIVATIONS[net.activation]() if part == "activation" else _norm_or_pool(layer, part)
    return nn.Sequential(parts)


def _norm_or_pool(layer: Conv, part: str) -> nn.Module:
    if part == "pool":
        assert layer.pool is not None
        pooling = nn.MaxPool2d if layer.pool.kind == "max" else nn.AvgPool2d
        return pooling(layer.pool.kernel, layer.pool.stride)
    norm = layer.norm
    if isinstance(norm, LocalNorm):
        return LocalResponseNorm(norm.size, norm.alpha, norm.beta, norm.k)
    if isinstance(norm, GroupNorm):
        return nn.GroupNorm(norm.n_groups, layer.channels)
    return nn.BatchNorm2d(layer.channels)


def _hidden_layer(net: Architecture, n_inputs: int, n_outputs: int) -> nn.Sequential:
    # Dropout comes before the weights, as in Krizhevsky's later code and the reference table. The paper (section 4.2)
    # drops the same activations, but describes them as the outputs of the layer before.
    return nn.Sequential(
        OrderedDict(
            dropout=Dropout(net.dropout),
            linear=nn.Linear(n_inputs, n_outputs),
            activation=ACTIVATIONS[net.activation](),
        )
    )


def _folded(layer: nn.Module, maps: Tensor, grid: int) -> Tensor:
    """Return the output of the first fully-connected layer for maps smaller than its grid.

    Pooling is linear, so its matrix is multiplied with the weights first: the product is exact, and smaller. A step of
    the default network on 64 images of 67 px takes a quarter less time.

    Args:
        layer: the layer.
        maps: ``(N, C, n, n)``, with ``n`` below ``grid``.
        grid: side of the maps that the layer reads.
    """
    linear: nn.Linear = layer.get_submodule("linear")  # type: ignore[assignment]
    n_channels, n = maps.shape[1], maps.shape[-1]
    # The pooling matrix, (n * n, grid * grid): what pooling makes of each pixel.
    pixels = torch.eye(n * n, dtype=linear.weight.dtype, device=maps.device).view(n * n, 1, n, n)
    pooling = F.adaptive_avg_pool2d(pixels, grid).flatten(1)
    weight = linear.weight.view(-1, grid * grid) @ pooling.t()
    outputs = F.linear(maps.flatten(1), weight.view(-1, n_channels * n * n), linear.bias)
    activation = getattr(layer, "activation", None)
    return outputs if activation is None else activation(outputs)


def without_weights(architecture: Architecture) -> AlexNet:
    """Build the network on torch's meta device: shapes only, to draw it or to load weights into it."""
    with torch.device("meta"):
        return AlexNet(architecture)
