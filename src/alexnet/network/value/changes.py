"""The common changes to a network, by name; and a network from a file."""

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
from alexnet.network.value.variants import VARIANTS, Variant

NormName = Literal["batch", "local", "group", "none"]
PoolName = Literal["overlapping", "separate", "average"]

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
            conv5, as in the paper, and the local norms that stay within groups.

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
        layers = tuple(_with_norm_groups(layer, groups) for layer in _with_fields(layers, GROUPED, groups=groups))
    if (pool := changes.get("pool")) is not None:
        check_choice("pool", pool, POOLS)
        if not any(layer.pool for layer in layers):
            raise SettingsError(f"pool is {pool!r}, but no layer has a pool to replace; leave it out")
        layers = tuple(_with_pool(layer, POOLS[pool]) for layer in layers)
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
    """Return the layers with norms of that name at that place. None leaves them as they are."""
    given = layers
    if norm is not None:
        check_choice("norm", norm, get_args(NormName))
        layers = tuple(replace(layer, norm=None, second_norm=None) for layer in layers)
    if norm == "batch":
        layers = tuple(replace(layer, norm=BatchNorm()) for layer in layers)
    elif norm == "group":
        layers = tuple(replace(layer, norm=_fitting(GroupNorm(), layer.channels)) for layer in layers)
    elif norm == "local":
        layers = _with_fields(layers, NORMALISED, norm=LocalNorm(groups=_groups_of_norms(given)))
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
    fitting: Place = "after" if place == "pooled" and not layer.pool else place
    return replace(layer, **{part: replace(norm, place=fitting) for part, norm in layer.norms.items()})  # type: ignore[arg-type]


def _with_norm_groups(layer: Conv, groups: int) -> Conv:
    within = {part: norm for part, norm in layer.norms.items() if isinstance(norm, LocalNorm) and norm.groups > 1}
    return replace(layer, **{part: replace(norm, groups=groups) for part, norm in within.items()})  # type: ignore[arg-type]


def _groups_of_norms(layers: tuple[Conv, ...]) -> int:
    """Return the number of groups that the local norms of a network keep to."""
    return max([norm.groups for layer in layers for norm in layer.norms.values() if isinstance(norm, LocalNorm)] or [1])


def _with_pool(layer: Conv, pool: Pool) -> Conv:
    return replace(layer, pool=replace(pool, rounding=layer.pool.rounding)) if layer.pool else layer


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
