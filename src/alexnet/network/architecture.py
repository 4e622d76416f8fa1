"""What an AlexNet is, as a value: frozen layers and the arithmetic of their shapes. No torch here.

``trace`` walks the network once and is the only place that knows how a shape follows from the one before.
The model, the drawing and the counts are all built from it, so they cannot disagree.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from typing import Any, Literal, get_args

from alexnet.errors import SettingsError, nearest

Variant = Literal["batchnorm"]
Norm = Literal["batch", "none"]
Activation = Literal["relu", "gelu", "silu"]

Shape = tuple[int, ...]


def _check_count(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise SettingsError(f"{name} is {value}; it must be a whole number, at least {least}")


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Max pooling; with ``kernel > stride`` the windows overlap.

    Source: the paper, section 3.4 (kernel 3, stride 2).
    """

    kernel: int = 3
    stride: int = 2

    def __post_init__(self) -> None:
        _check_count("a pool's kernel", self.kernel, least=1)
        _check_count("a pool's stride", self.stride, least=1)


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolutional layer: convolution, normalisation, activation, and pooling if there is any."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pool: Pool | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "stride"):
            _check_count(f"a layer's {name}", getattr(self, name), least=1)
        _check_count("a layer's padding", self.padding, least=0)


@dataclass(frozen=True, kw_only=True)
class Op:
    """One operation of a traced network.

    Attributes:
        layer: the layer it belongs to, ``conv1`` ... ``fc8``.
        kind: ``Conv``, ``BatchNorm``, ``ReLU``, ``MaxPool``, ``AdaptiveAvgPool``, ``Flatten``, ``Dropout``, ``Linear``.
        shape: its output without the batch, ``(C, H, W)`` or ``(n,)``.
        n_parameters: trainable numbers it holds.
        n_mult_adds: multiply-adds for one picture, counted as torchinfo counts them (a bias counts as one).
    """

    layer: str
    kind: str
    shape: Shape
    n_parameters: int = 0
    n_mult_adds: int = 0


ACTIVATION_NAMES: dict[str, str] = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}

# conv1 to conv5 and the 5x5 grid that fc6 reads, from the reference document's table.
# Departure: the paper splits conv2, conv4 and conv5 over two GPUs (section 3.5) and normalises responses locally
# (section 3.3); the reference network has one path and batch norm between convolution and ReLU, and no conv1 padding.
REFERENCE_LAYERS = (
    Conv(channels=96, kernel=11, stride=4, pool=Pool()),
    Conv(channels=256, kernel=5, padding=2, pool=Pool()),
    Conv(channels=384, kernel=3, padding=1),
    Conv(channels=384, kernel=3, padding=1),
    Conv(channels=256, kernel=3, padding=1, pool=Pool()),
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network before it exists: print it, compare it, save it, change it with ``dataclasses.replace``.

    Pictures of any size from ``smallest_image_size`` up are legal. Where the last convolutional map is not
    ``grid`` x ``grid`` it is average-pooled to it, so the weights never depend on ``image_size``.

    Raises:
        SettingsError: a field that no network can have, or a picture too small for the layers.

    Source: the paper, section 3.5 and figure 2; the default is the reference document's table.
    """

    variant: str = "batchnorm"
    """The family member this is, or was made from."""
    layers: tuple[Conv, ...] = REFERENCE_LAYERS
    """The convolutional layers, first to last."""
    hidden: tuple[int, ...] = (4096, 4096)
    """Sizes of the hidden fully-connected layers, fc6 and fc7."""
    grid: int = 5
    """Side of the map that the first fully-connected layer reads."""
    n_classes: int = 1000
    """Classes to tell apart."""
    in_channels: int = 3
    """Channels of a picture: 3 for RGB, 1 for grey."""
    image_size: int = 224
    """Side of the pictures it is used with, in pixels."""
    norm: Norm = "batch"
    """Normalisation between convolution and activation."""
    activation: Activation = "relu"
    """The non-linearity after each layer but the last."""
    dropout: float = 0.5
    """Share of inputs dropped before each hidden layer while training, in [0, 1). Section 4.2."""

    def __post_init__(self) -> None:
        for name in ("n_classes", "in_channels", "grid", "image_size"):
            _check_count(name, getattr(self, name), least=1)
        for size in self.hidden:
            _check_count("a hidden size", size, least=1)
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout is {self.dropout}; it is a share, from 0 to below 1")
        for name, choice, known in (
            ("norm", self.norm, get_args(Norm)),
            ("activation", self.activation, get_args(Activation)),
        ):
            if choice not in known:
                raise SettingsError(f"unknown {name} {choice!r}{nearest(choice, known)}")
        if not self.layers:
            raise SettingsError("an architecture needs at least one convolutional layer")
        if self.image_size < self.smallest_image_size:
            raise SettingsError(
                f"image_size is {self.image_size}, but the smallest picture {self.variant!r} can take is "
                f"{self.smallest_image_size} px; use {self.smallest_image_size} or more"
            )

    @property
    def smallest_image_size(self) -> int:
        """Side in pixels of the smallest square picture for which every map has at least one pixel."""
        size = 1
        for layer in reversed(self.layers):
            if layer.pool:
                size = (size - 1) * layer.pool.stride + layer.pool.kernel
            size = max(1, (size - 1) * layer.stride + layer.kernel - 2 * layer.padding)
        return size

    @property
    def n_parameters(self) -> int:
        """Trainable numbers in the whole network."""
        return sum(op.n_parameters for op in trace(self))

    @property
    def n_mult_adds(self) -> int:
        """Multiply-adds for one picture of ``image_size``."""
        return sum(op.n_mult_adds for op in trace(self))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary that ``from_json`` turns into an equal value."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Architecture":
        """Rebuild a value from ``to_json``.

        Raises:
            SettingsError: unknown fields (the nearest known one is named) or values of the wrong kind.
        """
        _refuse_unknown(saved, cls, "architecture")
        try:
            layers = tuple(_conv_from_json(layer) for layer in saved["layers"])
            return cls(**{**saved, "layers": layers, "hidden": tuple(saved["hidden"])})
        except (TypeError, KeyError, AttributeError) as error:
            raise SettingsError(f"the architecture cannot be read: {error}") from error


VARIANTS: dict[Variant, Architecture] = {"batchnorm": Architecture()}
"""The family by name, each at 1,000 classes."""


def resolve(
    architecture: Architecture | Variant = "batchnorm",
    *,
    n_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | None = None,
) -> Architecture:
    """Return a variant by name, or the architecture given, with the common changes made.

    Raises:
        SettingsError: no variant has that name, or the changes do not fit.
    """
    if isinstance(architecture, str):
        if architecture not in VARIANTS:
            raise SettingsError(f"unknown variant {architecture!r}{nearest(architecture, VARIANTS)}")
        architecture = VARIANTS[architecture]
    return replace(
        architecture,
        n_classes=architecture.n_classes if n_classes is None else n_classes,
        in_channels=architecture.in_channels if in_channels is None else in_channels,
        image_size=architecture.image_size if image_size is None else image_size,
    )


def trace(architecture: Architecture) -> tuple[Op, ...]:
    """Follow one picture of ``architecture.image_size`` through every operation, in order."""
    return tuple(_trace(architecture))


def _trace(net: Architecture) -> Iterator[Op]:
    channels, side = net.in_channels, net.image_size
    activation = ACTIVATION_NAMES[net.activation]
    for number, layer in enumerate(net.layers, start=1):
        name = f"conv{number}"
        n_parameters = layer.channels * (channels * layer.kernel**2 + 1)
        channels = layer.channels
        side = (side + 2 * layer.padding - layer.kernel) // layer.stride + 1
        shape = (channels, side, side)
        yield Op(layer=name, kind="Conv", shape=shape, n_parameters=n_parameters, n_mult_adds=n_parameters * side**2)
        if net.norm == "batch":
            yield Op(layer=name, kind="BatchNorm", shape=shape, n_parameters=2 * channels, n_mult_adds=2 * channels)
        yield Op(layer=name, kind=activation, shape=shape)
        if layer.pool:
            side = (side - layer.pool.kernel) // layer.pool.stride + 1
            yield Op(layer=name, kind="MaxPool", shape=(channels, side, side))

    if side != net.grid:
        yield Op(layer=name, kind="AdaptiveAvgPool", shape=(channels, net.grid, net.grid))
    n_inputs = prod((channels, net.grid, net.grid))
    yield Op(layer="flatten", kind="Flatten", shape=(n_inputs,))

    for number, n_outputs in enumerate((*net.hidden, net.n_classes), start=len(net.layers) + 1):
        name = f"fc{number}"
        is_hidden = number <= len(net.layers) + len(net.hidden)
        if is_hidden:
            yield Op(layer=name, kind="Dropout", shape=(n_inputs,))
        n_parameters = (n_inputs + 1) * n_outputs
        yield Op(layer=name, kind="Linear", shape=(n_outputs,), n_parameters=n_parameters, n_mult_adds=n_parameters)
        if is_hidden:
            yield Op(layer=name, kind=activation, shape=(n_outputs,))
        n_inputs = n_outputs


def _conv_from_json(saved: dict[str, Any]) -> Conv:
    _refuse_unknown(saved, Conv, "layer")
    pool = saved.get("pool")
    if pool is not None:
        _refuse_unknown(pool, Pool, "pool")
        pool = Pool(**pool)
    return Conv(**{**saved, "pool": pool})


def _refuse_unknown(saved: dict[str, Any], kind: type, where: str) -> None:
    known = {field.name for field in fields(kind)}
    for key in saved:
        if key not in known:
            raise SettingsError(f"unknown field {key!r} in the {where}{nearest(key, known)}")
