"""An AlexNet's architecture as a frozen value. No torch here."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from alexnet.errors import SettingsError, shown
from alexnet.html.blocks import card, note, table
from alexnet.html.elements import Html
from alexnet.network.value.checks import (
    alternatives,
    check_choice,
    check_count,
    check_object,
    check_sizes,
    divisors,
    from_fields,
)
from alexnet.network.value.layers import Activation, BatchNorm, Conv, Pool
from alexnet.network.value.operations import ACTIVATION_NAMES, Op

Initialisation = Literal["torch", "paper", "caffenet", "original"]
DropoutPlace = Literal["inputs", "outputs"]
DropoutScaling = Literal["training", "prediction"]

# conv1 to conv5 and the 5x5 grid that fc6 reads, from the reference document's table.
# Departure: the paper splits conv2, conv4 and conv5 over two GPUs (section 3.5) and normalises responses locally
# (section 3.3); the reference network has one path and batch norm between convolution and ReLU, and no conv1 padding.
REFERENCE_LAYERS = (
    Conv(channels=96, kernel=11, stride=4, norm=BatchNorm(), pool=Pool()),
    Conv(channels=256, kernel=5, padding=2, norm=BatchNorm(), pool=Pool()),
    Conv(channels=384, kernel=3, padding=1, norm=BatchNorm()),
    Conv(channels=384, kernel=3, padding=1, norm=BatchNorm()),
    Conv(channels=256, kernel=3, padding=1, norm=BatchNorm(), pool=Pool()),
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The description of a network: print it, compare it, save it, change it with ``dataclasses.replace``.

    Images of any size from ``smallest_image_size`` up are legal. If the last convolutional map is not
    ``grid`` x ``grid``, it is average-pooled to that size. So the weights never depend on ``image_size``.

    Raises:
        SettingsError: an invalid field, a layer that does not fit the one before, or images too small for the layers.

    Source: the paper, section 3.5 and figure 2; the default is the reference document's table.
    """

    variant: str = "batchnorm"
    """The member of the family that it is, or was made from."""
    layers: tuple[Conv, ...] = REFERENCE_LAYERS
    """The convolutional layers, first to last."""
    hidden: tuple[int, ...] = (4096, 4096)
    """Sizes of the hidden fully-connected layers, fc6 and fc7."""
    grid: int = 5
    """Side of the map that the first fully-connected layer reads."""
    n_classes: int = 1000
    """Number of classes."""
    in_channels: int = 3
    """Channels of an image: 3 for RGB, 1 for grey."""
    image_size: int = 224
    """Side of its images in pixels."""
    activation: Activation = "relu"
    """The non-linearity after each layer except the last."""
    dropout: float = 0.5
    """Share of the numbers at each hidden layer that are dropped in training, in [0, 1). Section 4.2."""
    dropout_place: DropoutPlace = "inputs"
    """Whether the inputs of hidden layers are dropped, or their outputs, as the paper says."""
    dropout_scaling: DropoutScaling = "training"
    """When the sum of the numbers is corrected: in ``training``, what is kept is divided by its share; or in
    ``prediction``, all are multiplied by that share, as the paper says. The expected numbers are in the same ratio."""
    mean_image: bool = False
    """Whether a mean image, kept with the weights, is subtracted from each image."""
    initialisation: Initialisation = "torch"
    """How the random weights are drawn: see ``network.module.initialisation``."""

    def __post_init__(self) -> None:
        for name in ("n_classes", "in_channels", "grid", "image_size"):
            check_count(name, getattr(self, name), least=1)
        if not isinstance(self.variant, str):
            raise SettingsError(f"variant is {shown(self.variant)}; it must be a name")
        if not isinstance(self.layers, tuple | list) or not all(isinstance(layer, Conv) for layer in self.layers):
            raise SettingsError(f"layers are {shown(self.layers)}; they must be a tuple of Conv")
        # Tuples, so that an architecture read from JSON equals the one that was saved.
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "hidden", check_sizes("hidden", self.hidden))
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout is {shown(self.dropout)}; it must be at least 0 and below 1")
        check_choice("activation", self.activation, get_args(Activation))
        check_choice("initialisation", self.initialisation, get_args(Initialisation))
        check_choice("dropout_place", self.dropout_place, get_args(DropoutPlace))
        check_choice("dropout_scaling", self.dropout_scaling, get_args(DropoutScaling))
        if not isinstance(self.mean_image, bool):
            raise SettingsError(f"mean_image is {shown(self.mean_image)}; it must be true or false")
        if not self.layers:
            raise SettingsError("an architecture needs at least one convolutional layer")
        self._check_groups()
        self._check_image_size()

    def _check_groups(self) -> None:
        for name, layer, channels in self.conv_layers():
            if channels % layer.groups or layer.channels % layer.groups:
                raise SettingsError(
                    f"{name} has {layer.groups} groups, for {channels} channels in and {layer.channels} out; "
                    f"use {alternatives(divisors(channels, layer.channels))}"
                )

    def _check_image_size(self) -> None:
        side = self.image_size
        for name, layer, _ in self.conv_layers():
            mapped = layer.conv_side(side)
            pooled = layer.pooled_side(mapped) if mapped >= 1 else 0
            if mapped < 1 or pooled < 1:
                what, has, kernel = ("", side, layer.kernel)
                if mapped >= 1 and layer.pool:
                    what, has, kernel = ("'s pool", mapped, layer.pool.kernel)
                smallest = self.smallest_image_size
                raise SettingsError(
                    f"image_size is {self.image_size}, but the smallest image {shown(self.variant)} can take is "
                    f"{smallest} px: {name}{what} of {kernel}x{kernel} would see {has}x{has}; use {smallest} or more"
                )
            side = pooled

    def conv_layers(self) -> Iterator[tuple[str, Conv, int]]:
        """Yield the name of each convolutional layer (``conv1`` and so on), the layer, and its input channels."""
        channels = self.in_channels
        for number, layer in enumerate(self.layers, start=1):
            yield f"conv{number}", layer, channels
            channels = layer.channels

    def linear_layers(self) -> Iterator[tuple[str, int, int]]:
        """Yield the name of each fully-connected layer (``fc6`` and so on), its inputs and its outputs."""
        n_inputs = self.n_map_features
        for number, n_outputs in enumerate((*self.hidden, self.n_classes), start=len(self.layers) + 1):
            yield f"fc{number}", n_inputs, n_outputs
            n_inputs = n_outputs

    def operations(self) -> Iterator[Op]:
        """Yield every operation for one image of ``image_size``, in order.

        The counts, the drawing and the JSON are made from this, so they cannot disagree.
        """
        side = self.image_size
        for name, layer, in_channels in self.conv_layers():
            yield from layer.operations(name, in_channels, side, self.activation)
            side = layer.pooled_side(layer.conv_side(side))
        if side != self.grid:
            yield Op(layer=name, kind="AdaptiveAvgPool", shape=(layer.channels, self.grid, self.grid))
        yield Op(layer="flatten", kind="Flatten", shape=(self.n_map_features,))
        for position, (name, n_inputs, n_outputs) in enumerate(self.linear_layers()):
            is_hidden = position < len(self.hidden)
            if is_hidden and self.dropout_place == "inputs":
                yield Op(layer=name, kind="Dropout", shape=(n_inputs,))
            n = (n_inputs + 1) * n_outputs
            yield Op(layer=name, kind="Linear", shape=(n_outputs,), n_parameters=n, n_mult_adds=n)
            if is_hidden:
                yield Op(layer=name, kind=ACTIVATION_NAMES[self.activation], shape=(n_outputs,))
            if is_hidden and self.dropout_place == "outputs":
                yield Op(layer=name, kind="Dropout", shape=(n_outputs,))

    @property
    def smallest_image_size(self) -> int:
        """Side in pixels of the smallest square image for which every map has at least one pixel."""
        side = 1
        for layer in reversed(self.layers):
            side = layer.smallest_input(side)
        return side

    def image_size_for(self, map_size: int) -> int:
        """Return the side in pixels of the square image that all windows fit, and whose last map has that side.

        At the sizes between, windows do not fit. Where their number is rounded down, the last rows and columns of maps
        are left out: at 96 px the last pool of the default network uses 3x3 of 4x4 pixels, and at 99 px 5x5 of 5x5.
        """
        side = map_size
        for layer in reversed(self.layers):
            side = layer.fitting_input(side)
        return side

    @property
    def scale_in_prediction(self) -> float:
        """What the numbers at dropout are multiplied by in prediction: 1 unless dropout is scaled there."""
        return 1 - self.dropout if self.dropout_scaling == "prediction" else 1.0

    @property
    def n_parameters(self) -> int:
        """The number of trainable parameters."""
        return sum(op.n_parameters for op in self.operations())

    @property
    def n_map_features(self) -> int:
        """The size of the flattened maps, which the first fully-connected layer reads."""
        return self.layers[-1].channels * self.grid**2

    @property
    def n_features(self) -> int:
        """The size of an embedding: the outputs of the last hidden layer or, without one, of the flattened maps."""
        return self.hidden[-1] if self.hidden else self.n_map_features

    @property
    def n_mult_adds(self) -> int:
        """Multiply-adds for one image of ``image_size``."""
        return sum(op.n_mult_adds for op in self.operations())

    def _repr_html_(self) -> Html:
        """Return what a notebook shows: every operation with its shape and its counts."""
        rows = []
        for op in self.operations():
            counts = (f"{n:,}" if n else "" for n in (op.n_parameters, op.n_mult_adds))
            rows.append((op.layer, op.kind, " x ".join(map(str, op.shape)), *counts))
        image = f"{self.in_channels} x {self.image_size} x {self.image_size}"
        sums = f"{self.n_parameters:,} parameters, {self.n_mult_adds:,} multiply-adds for an image of {image}"
        header = ("layer", "operation", "output", "parameters", "multiply-adds")
        return card(f"AlexNet, {self.variant}", note(sums), table(header, rows, n_left=2))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary that ``from_json`` turns into an equal value."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Architecture":
        """Rebuild an architecture from ``to_json``. Missing fields are as in the default network.

        Raises:
            SettingsError: unknown fields (the nearest known one is named) or values of the wrong type.
        """
        found = dict(check_object(saved, "architecture", '{"n_classes": 3}'))
        if "layers" in found:
            if not isinstance(found["layers"], list | tuple):
                raise SettingsError(f"layers are {shown(found['layers'])}; they must be a list of objects")
            found["layers"] = tuple(
                _named(f"conv{number}", layer) for number, layer in enumerate(found["layers"], start=1)
            )
        return from_fields(cls, found, "architecture")


def _named(name: str, saved: dict[str, Any]) -> Conv:
    try:
        return Conv.from_json(saved)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error
