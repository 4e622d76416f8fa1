"""The family: each variant as a value, with its source and its departures from the paper. And the common changes."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypedDict, Unpack, get_args

from alexnet.errors import SettingsError, nearest
from alexnet.files.paths import expanded
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.checks import check_choice, check_count
from alexnet.network.value.layers import Activation, BatchNorm, Conv, GroupNorm, LocalNorm, Norm, Place, Pool

Variant = Literal["batchnorm", "paper", "caffenet", "torchvision", "small"]
NormName = Literal["batch", "local", "group", "none"]
PoolName = Literal["overlapping", "separate", "average"]

BATCHNORM = Architecture()
"""The reference network: a modern AlexNet with batch norm. The default, but for small images in training.

Departure: one path instead of two GPUs (section 3.5); batch norm between convolution and ReLU instead of local response
normalisation (section 3.3); no padding in conv1, so that fc6 reads 5x5 maps; and torch's own random weights.

Source: the reference document's table.
"""

PAPER = Architecture(
    variant="paper",
    layers=(
        Conv(channels=96, kernel=11, stride=4, norm=LocalNorm(), pool=Pool()),
        Conv(channels=256, kernel=5, padding=2, groups=2, norm=LocalNorm(), pool=Pool()),
        Conv(channels=384, kernel=3, padding=1),
        Conv(channels=384, kernel=3, padding=1, groups=2),
        Conv(channels=256, kernel=3, padding=1, groups=2, pool=Pool()),
    ),
    grid=6,
    image_size=227,
    initialisation="paper",
)
"""The network of 2012, as it ran on two GPUs.

Departure: the paper says 224x224 pixels, but an 11x11 window at stride 4 needs 227 to give its 55x55 maps. Krizhevsky's
code uses 227.

Departure: the size of the neighbourhood divides alpha in local response normalisation: see ``LocalNorm``.

Source: the paper, sections 3 and 5.
"""

CAFFENET = replace(
    PAPER,
    variant="caffenet",
    layers=tuple(
        replace(layer, norm=LocalNorm(k=1.0, place="pooled") if layer.norm else None) for layer in PAPER.layers
    ),
    initialisation="caffenet",
)
"""BVLC's reference network, the AlexNet that most people know.

Departure: pooling comes before normalisation, so a quarter of the numbers is normalised; and k is 1, Caffe's default.

Departure: biases begin with 0.1 where the paper has 1, as in BVLC's own AlexNet, whose authors say that ones "gave flat
loss". BVLC's CaffeNet itself has ones. The weights of fc6 and fc7 are drawn from N(0, 0.005).

Source: models/bvlc_reference_caffenet and models/bvlc_alexnet of BVLC/caffe.
"""

TORCHVISION = Architecture(
    variant="torchvision",
    layers=(
        Conv(channels=64, kernel=11, stride=4, padding=2, pool=Pool()),
        Conv(channels=192, kernel=5, padding=2, pool=Pool()),
        Conv(channels=384, kernel=3, padding=1),
        Conv(channels=256, kernel=3, padding=1),
        Conv(channels=256, kernel=3, padding=1, pool=Pool()),
    ),
    grid=6,
)
"""``torchvision.models.alexnet``, to the bit: the network of "One weird trick", without its normalisation.

Departure: one path, fewer channels, no normalisation of any kind, and torch's own random weights.

Source: Krizhevsky, 2014, "One weird trick for parallelizing convolutional neural networks"; torchvision.
"""

SMALL = Architecture(
    variant="small",
    layers=(
        Conv(channels=64, kernel=5, padding=2, norm=BatchNorm(), pool=Pool()),
        Conv(channels=128, kernel=3, padding=1, norm=BatchNorm(), pool=Pool()),
        Conv(channels=256, kernel=3, padding=1, norm=BatchNorm()),
        Conv(channels=256, kernel=3, padding=1, norm=BatchNorm()),
        Conv(channels=256, kernel=3, padding=1, norm=BatchNorm(), pool=Pool()),
    ),
    grid=3,
    hidden=(1024, 1024),
    image_size=32,
)
"""For images of 28 to 64 pixels, as in CIFAR-10 and MNIST. ``alexnet train`` chooses it for images of up to 64 pixels.

Departure: conv1 has stride 1, since stride 4 would leave 6x6 maps for an image of 32 px; fewer channels and smaller
hidden layers, for images with less detail; batch norm as in the reference network.

Source: this package, in the spirit of the paper: five convolutions, three overlapping pools, two hidden layers with
dropout.
"""

VARIANTS: dict[Variant, Architecture] = {
    "batchnorm": BATCHNORM,
    "paper": PAPER,
    "caffenet": CAFFENET,
    "torchvision": TORCHVISION,
    "small": SMALL,
}
"""The family by name, each at 1,000 classes."""

POOLS: Mapping[PoolName, Pool] = MappingProxyType(
    {"overlapping": Pool(), "separate": Pool(kernel=2, stride=2), "average": Pool(kind="average")}
)
"""Pools by name: overlapping 3x3 windows, separate 2x2 ones (both compared in section 3.4), and the mean of 3x3."""

# The layers with groups: section 3.5, "the kernels of the second, fourth, and fifth convolutional layers".
GROUPED = (2, 4, 5)
# The layers with a local norm: "response-normalization layers follow the first and second convolutional layers".
NORMALISED = (1, 2)
# Channels are scaled to a multiple of this, which suits vector units and groups.
CHANNEL_STEP = 8
WIDEST = 100


class Changes(TypedDict, total=False):
    """The common changes to an architecture, by name. What is missing or None stays as it is."""

    n_classes: int | None
    in_channels: int | None
    image_size: int | None
    width: float | None
    hidden: tuple[int, ...] | None
    dropout: float | None
    norm: NormName | None
    norm_place: Place | None
    activation: Activation | None
    pool: PoolName | None
    groups: int | None


def resolve(architecture: Architecture | Variant = "batchnorm", **changes: Unpack[Changes]) -> Architecture:
    """Return a variant or a given architecture with changes.

    Args:
        architecture: a variant's name, or an ``Architecture``.
        **changes: ``n_classes``, ``in_channels``, ``image_size``, ``hidden``, ``dropout`` and ``activation`` replace
            the field of that name. ``width`` multiplies the channels of all convolutional layers. ``norm`` replaces
            the norms: ``batch`` or ``group`` in all layers, ``local`` in the first two, ``none`` in none;
            ``norm_place`` is their place. ``pool`` replaces the existing pools. ``groups`` splits conv2, conv4 and
            conv5, as in the paper.

    Raises:
        SettingsError: no variant has that name, or the changes do not fit.
    """
    for name in changes:
        if name not in Changes.__annotations__:
            raise SettingsError(f"unknown change {name!r} to a network{nearest(name, Changes.__annotations__)}")
    if isinstance(architecture, str):
        if architecture not in VARIANTS:
            raise SettingsError(f"unknown variant {architecture!r}{nearest(architecture, VARIANTS)}")
        architecture = VARIANTS[architecture]
    if not isinstance(architecture, Architecture):
        raise SettingsError(f"an architecture is a variant's name or an Architecture, not {architecture!r}")
    layers = architecture.layers
    if (width := changes.get("width")) is not None:
        layers = _widened(layers, width)
    if (groups := changes.get("groups")) is not None:
        check_count("groups", groups, least=1)
        if len(layers) < min(GROUPED):
            raise SettingsError(f"groups is {groups}, but there is no second layer to split; leave it out")
        layers = _with_fields(layers, GROUPED, groups=groups)
    if (pool := changes.get("pool")) is not None:
        check_choice("pool", pool, POOLS)
        if not any(layer.pool for layer in layers):
            raise SettingsError(f"pool is {pool!r}, but no layer has a pool to replace; leave it out")
        layers = tuple(replace(layer, pool=POOLS[pool]) if layer.pool else layer for layer in layers)
    layers = _normalised(layers, changes.get("norm"), changes.get("norm_place"))
    replaced = {each.name for each in fields(Architecture)}
    given: dict[str, Any] = {name: value for name, value in changes.items() if name in replaced and value is not None}
    return replace(architecture, layers=layers, **given)


def load_architecture(path: str | os.PathLike[str]) -> Architecture:
    """Read an architecture from JSON: your own, a model's ``config.json``, or from ``alexnet summary --as json``.

    Missing fields are as in the default network.

    Args:
        path: the file, or the JSON itself.

    Raises:
        SettingsError: the file cannot be read, or does not describe a valid network.
    """
    is_file = not os.fspath(path).lstrip().startswith("{")
    where, name = (os.fspath(path), Path(path).stem) if is_file else ("the JSON given", "custom")
    try:
        saved = json.loads(expanded(path).read_text(encoding="utf-8") if is_file else os.fspath(path))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"cannot read the architecture in {where!r}: {error}") from error
    if isinstance(saved, dict):
        saved = saved.get("architecture", saved)
    if not isinstance(saved, dict):
        raise SettingsError(f"{where!r} is not a JSON object with layers and the other fields of an architecture")
    try:
        return Architecture.from_json({"variant": name, **saved})
    except SettingsError as error:
        raise SettingsError(f"{where!r}: {error}") from error


def _widened(layers: tuple[Conv, ...], width: float) -> tuple[Conv, ...]:
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= WIDEST:
        raise SettingsError(f"width is {width}; it must be a number above 0, such as 0.5, and at most {WIDEST}")
    if width == 1:
        return layers
    scaled = [max(CHANNEL_STEP, round(layer.channels * width / CHANNEL_STEP) * CHANNEL_STEP) for layer in layers]
    return tuple(
        replace(layer, channels=channels, norm=_fitting(layer.norm, channels))
        for layer, channels in zip(layers, scaled, strict=True)
    )


def _normalised(layers: tuple[Conv, ...], norm: NormName | None, place: Place | None) -> tuple[Conv, ...]:
    """Return the layers with a norm of that name at that place. None leaves them as they are."""
    if norm is not None:
        check_choice("norm", norm, get_args(NormName))
        layers = tuple(replace(layer, norm=None) for layer in layers)
    if norm == "batch":
        layers = tuple(replace(layer, norm=BatchNorm()) for layer in layers)
    elif norm == "group":
        layers = tuple(replace(layer, norm=_fitting(GroupNorm(), layer.channels)) for layer in layers)
    elif norm == "local":
        layers = _with_fields(layers, NORMALISED, norm=LocalNorm())
    if place is None:
        return layers
    check_choice("norm_place", place, get_args(Place))
    if not any(layer.norm for layer in layers):
        raise SettingsError(f"norm_place is {place!r}, but no layer has a norm; give a norm too")
    return tuple(_placed(layer, place) for layer in layers)


def _placed(layer: Conv, place: Place) -> Conv:
    if layer.norm is None:
        return layer
    # Without a pool, "pooled" means after the activation.
    return replace(layer, norm=replace(layer.norm, place="after" if place == "pooled" and not layer.pool else place))


def _fitting(norm: Norm | None, channels: int) -> Norm | None:
    """Return the norm; for a group norm, with a number of groups that divides the channels."""
    if not isinstance(norm, GroupNorm):
        return norm
    n_groups = math.gcd(norm.n_groups, channels)
    return replace(norm, n_groups=n_groups if n_groups < channels else max(1, n_groups // 2))


def _with_fields(layers: tuple[Conv, ...], numbers: tuple[int, ...], **fields: int | Norm) -> tuple[Conv, ...]:
    return tuple(
        replace(layer, **fields) if number in numbers else layer  # type: ignore[arg-type]
        for number, layer in enumerate(layers, start=1)
    )
