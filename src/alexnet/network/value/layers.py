"""Convolutional layers, norms and pools as frozen values. No torch here.

Each value checks its own fields. ``Architecture`` checks how a layer fits the one before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from alexnet.errors import SettingsError, shown
from alexnet.network.value.checks import (
    alternatives,
    check_choice,
    check_count,
    check_number,
    check_object,
    divisors,
    from_fields,
)
from alexnet.network.value.operations import ACTIVATION_NAMES, NORM_NAMES, POOL_NAMES, Op

Activation = Literal["relu", "tanh", "gelu", "silu"]
Place = Literal["before", "after", "pooled"]
PoolKind = Literal["max", "average"]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Pooling. With ``kernel > stride`` the windows overlap.

    Source: the paper, section 3.4 (max, kernel 3, stride 2).
    """

    kind: PoolKind = "max"
    kernel: int = 3
    stride: int = 2

    def __post_init__(self) -> None:
        check_choice("pool", self.kind, get_args(PoolKind))
        check_count("a pool's kernel", self.kernel, least=1)
        check_count("a pool's stride", self.stride, least=1)


@dataclass(frozen=True, kw_only=True)
class BatchNorm:
    """Batch normalisation: each channel by its mean and variance over the batch. Ioffe and Szegedy, 2015."""

    kind: Literal["batch"] = "batch"
    place: Place = "before"

    def __post_init__(self) -> None:
        check_choice("kind of a batch norm", self.kind, ("batch",))
        check_choice("place of a norm", self.place, get_args(Place))


@dataclass(frozen=True, kw_only=True)
class GroupNorm:
    """Group normalisation: each image by the mean and variance of groups of its channels. Wu and He, 2018."""

    kind: Literal["group"] = "group"
    place: Place = "before"
    n_groups: int = 32

    def __post_init__(self) -> None:
        check_choice("kind of a group norm", self.kind, ("group",))
        check_choice("place of a norm", self.place, get_args(Place))
        check_count("a group norm's n_groups", self.n_groups, least=1)


@dataclass(frozen=True, kw_only=True)
class LocalNorm:
    """Local response normalisation: each number by those at its position in the ``size`` channels around its own.

    The number is multiplied by ``(k + alpha / size * sum of squares) ** -beta``.

    Departure: the formula in the paper's section 3.3 does not divide alpha by the size. Krizhevsky's own code does, as
    do Caffe and torch, so this package does too, with the paper's alpha of 1e-4.

    Source: the paper, section 3.3 (size 5, alpha 1e-4, beta 0.75, k 2, after the ReLU).
    """

    kind: Literal["local"] = "local"
    place: Place = "after"
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def __post_init__(self) -> None:
        check_choice("kind of a local norm", self.kind, ("local",))
        check_choice("place of a norm", self.place, get_args(Place))
        check_count("a local norm's size", self.size, least=1)
        for name in ("alpha", "beta"):
            check_number(f"a local norm's {name}", getattr(self, name))
        # With 0, zeros would be multiplied by infinity.
        check_number("a local norm's k", self.k, above=True)


Norm = BatchNorm | GroupNorm | LocalNorm
NORMS: dict[str, type[Norm]] = {"batch": BatchNorm, "group": GroupNorm, "local": LocalNorm}


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolutional layer: convolution, activation, and optionally a norm and a pool.

    The ``place`` of the norm is before the activation, after it, or after the pool. With ``groups``, each group of
    channels reads only its own group of input channels, as on the paper's two GPUs (section 3.5).
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    norm: Norm | None = None
    pool: Pool | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "stride", "groups"):
            check_count(f"a layer's {name}", getattr(self, name), least=1)
        check_count("a layer's padding", self.padding, least=0)
        if not isinstance(self.norm, Norm | None):
            raise SettingsError(f"a layer's norm is {shown(self.norm)}; it must be a BatchNorm, GroupNorm or LocalNorm")
        if not isinstance(self.pool, Pool | None):
            raise SettingsError(f"a layer's pool is {shown(self.pool)}; it must be a Pool")
        # At least two channels a group: torch refuses to normalise the single number of one channel of 1x1.
        if isinstance(self.norm, GroupNorm) and self.norm.n_groups not in divisors(self.channels)[:-1]:
            fitting = alternatives(divisors(self.channels)[:-1]) or "no group norm"
            raise SettingsError(
                f"a layer of {self.channels} channels cannot be normalised in {self.norm.n_groups} groups of two or "
                f"more; use {fitting}"
            )
        if self.norm is not None and self.norm.place == "pooled" and self.pool is None:
            raise SettingsError("the place of a norm is pooled, but its layer has no pool; use before or after")

    @property
    def parts(self) -> tuple[str, ...]:
        """The steps after the convolution, in order: ``activation``, and ``norm`` and ``pool`` if there are any."""
        order = ["activation", "pool"] if self.pool else ["activation"]
        if self.norm is not None:
            order.insert(get_args(Place).index(self.norm.place), "norm")
        return tuple(order)

    def conv_side(self, side: int) -> int:
        """Return the side of the convolution's output for a map of ``side``."""
        return (side + 2 * self.padding - self.kernel) // self.stride + 1

    def pooled_side(self, side: int) -> int:
        """Return the side of the layer's output for a convolution's output of ``side``."""
        return (side - self.pool.kernel) // self.pool.stride + 1 if self.pool else side

    def operations(self, name: str, in_channels: int, side: int, activation: Activation) -> Iterator[Op]:
        """Yield the operations of this layer for an input of ``in_channels`` and ``side``; ``name`` is its name."""
        channels = self.channels
        side = self.conv_side(side)
        pooled = self.pooled_side(side)
        n = channels * (in_channels // self.groups * self.kernel**2 + 1)
        yield Op(layer=name, kind="Conv", shape=(channels, side, side), n_parameters=n, n_mult_adds=n * side**2)
        for part in self.parts:
            if part == "pool":
                assert self.pool is not None
                side = pooled
                yield Op(layer=name, kind=POOL_NAMES[self.pool.kind], shape=(channels, side, side))
            elif part == "activation":
                yield Op(layer=name, kind=ACTIVATION_NAMES[activation], shape=(channels, side, side))
            else:
                assert self.norm is not None
                kind, n = NORM_NAMES[self.norm.kind], 0 if self.norm.kind == "local" else 2 * channels
                yield Op(layer=name, kind=kind, shape=(channels, side, side), n_parameters=n, n_mult_adds=n)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Conv":
        """Rebuild a layer from JSON.

        Raises:
            SettingsError: unknown fields (the nearest known one is named) or values of the wrong type.
        """
        layer = dict(check_object(saved, "layer", '{"channels": 64, "kernel": 3}'))
        if (pool := layer.get("pool")) is not None:
            saved_pool = check_object(pool, "pool", '{"kind": "max", "kernel": 3, "stride": 2}')
            layer["pool"] = from_fields(Pool, saved_pool, "pool")
        if (norm := layer.get("norm")) is not None:
            kind = str(check_object(norm, "norm", '{"kind": "batch"}').get("kind"))
            check_choice("norm", kind, NORMS)
            layer["norm"] = from_fields(NORMS[kind], norm, f"{kind} norm")
        return from_fields(cls, layer, "layer")
