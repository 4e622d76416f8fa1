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
from alexnet.network.value.windows import Rounding, fitting_side, n_windows, smallest_side

Activation = Literal["relu", "tanh", "gelu", "silu"]
Place = Literal["before", "after", "pooled"]
PoolKind = Literal["max", "average"]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Pooling. With ``kernel > stride`` the windows overlap.

    The number of windows is rounded ``down``, so that all lie inside the map; or ``up``, so that they cover it and the
    last may hang over its right and lower edge. What lies outside then counts for nothing.

    Source: the paper, section 3.4 (max, kernel 3, stride 2).
    """

    kind: PoolKind = "max"
    kernel: int = 3
    stride: int = 2
    rounding: Rounding = "down"

    def __post_init__(self) -> None:
        check_choice("pool", self.kind, get_args(PoolKind))
        check_count("a pool's kernel", self.kernel, least=1)
        check_count("a pool's stride", self.stride, least=1)
        _check_rounding("a pool", self.rounding, self.kernel, self.stride)


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

    The number is multiplied by ``(k + alpha / size * sum of squares) ** -beta``. With ``groups``, the channels around
    it are those of its own group: on the paper's two GPUs, those of its own column.

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
    groups: int = 1

    def __post_init__(self) -> None:
        check_choice("kind of a local norm", self.kind, ("local",))
        _check_response_norm("a local norm", self)
        check_count("a local norm's groups", self.groups, least=1)


@dataclass(frozen=True, kw_only=True)
class MapNorm:
    """Local response normalisation within each map: each number by those at the positions around its own.

    The number is multiplied by ``(k + alpha / size**2 * sum of squares) ** -beta``; the sum is over ``size`` x ``size``
    positions, of which those outside the map count as zero.

    Source: the program of 2012, whose second layer has one after its norm across maps. The paper does not mention it.
    """

    kind: Literal["map"] = "map"
    place: Place = "after"
    size: int = 5
    alpha: float = 1e-3
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        check_choice("kind of a map norm", self.kind, ("map",))
        _check_response_norm("a map norm", self)


Norm = BatchNorm | GroupNorm | LocalNorm | MapNorm
ResponseNorm = LocalNorm | MapNorm
"""The norms without weights."""
NORMS: dict[str, type[Norm]] = {"batch": BatchNorm, "group": GroupNorm, "local": LocalNorm, "map": MapNorm}
Part = Literal["norm", "second_norm", "activation", "pool"]


def _check_response_norm(name: str, norm: ResponseNorm) -> None:
    check_choice("place of a norm", norm.place, get_args(Place))
    check_count(f"{name}'s size", norm.size, least=1)
    for each in ("alpha", "beta"):
        check_number(f"{name}'s {each}", getattr(norm, each))
    # With 0, zeros would be multiplied by infinity.
    check_number(f"{name}'s k", norm.k, above=True)


def _check_rounding(name: str, rounding: object, kernel: int, stride: int) -> None:
    check_choice(f"rounding of {name}", rounding, get_args(Rounding))
    if rounding == "up" and stride > kernel:
        raise SettingsError(
            f"{name}'s rounding is 'up' with stride {stride} and kernel {kernel}: the last window could lie wholly "
            "outside; use 'down', or a stride of at most the kernel"
        )


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolutional layer: convolution, activation, and optionally a norm and a pool.

    The activation comes after the convolution or, with ``activation_after="pool"``, after the pool. The ``place`` of a
    norm is ``before``, right after the convolution; ``after``, right after the activation; or ``pooled``, right after
    the pool. The second norm has no weights; at the same place it follows the first.

    With ``groups``, each group of channels reads only its own group of input channels, as on the paper's two GPUs
    (section 3.5). ``rounding`` is that of the number of windows: see ``Pool``. Zeros are what lies outside.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    rounding: Rounding = "down"
    groups: int = 1
    norm: Norm | None = None
    second_norm: ResponseNorm | None = None
    pool: Pool | None = None
    activation_after: Literal["conv", "pool"] = "conv"

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "stride", "groups"):
            check_count(f"a layer's {name}", getattr(self, name), least=1)
        check_count("a layer's padding", self.padding, least=0)
        _check_rounding("a layer", self.rounding, self.kernel, self.stride)
        check_choice("activation_after", self.activation_after, ("conv", "pool"))
        self._check_norms()
        if not isinstance(self.pool, Pool | None):
            raise SettingsError(f"a layer's pool is {shown(self.pool)}; it must be a Pool")
        if self.pool is None and self.activation_after == "pool":
            raise SettingsError("activation_after is 'pool', but the layer has no pool; use 'conv'")

    def _check_norms(self) -> None:
        kinds = "a BatchNorm, GroupNorm, LocalNorm or MapNorm"
        if not isinstance(self.norm, Norm | None):
            raise SettingsError(f"a layer's norm is {shown(self.norm)}; it must be {kinds}")
        if not isinstance(self.second_norm, ResponseNorm | None):
            raise SettingsError(f"a layer's second_norm is {shown(self.second_norm)}; use a LocalNorm or a MapNorm")
        if self.second_norm is not None and self.norm is None:
            raise SettingsError("a layer has a second_norm, but no norm; give it as its norm")
        # At least two channels a group: torch refuses to normalise the single number of one channel of 1x1.
        if isinstance(self.norm, GroupNorm) and self.norm.n_groups not in divisors(self.channels)[:-1]:
            fitting = alternatives(divisors(self.channels)[:-1]) or "no group norm"
            raise SettingsError(
                f"a layer of {self.channels} channels cannot be normalised in {self.norm.n_groups} groups of two or "
                f"more; use {fitting}"
            )
        for norm in self.norms.values():
            if isinstance(norm, LocalNorm) and self.channels % norm.groups:
                raise SettingsError(
                    f"a layer of {self.channels} channels cannot be normalised in {norm.groups} groups; "
                    f"use {alternatives(divisors(self.channels))}"
                )
            if norm.place == "pooled" and self.pool is None:
                raise SettingsError("the place of a norm is pooled, but its layer has no pool; use before or after")

    @property
    def norms(self) -> dict[Part, Norm]:
        """Its norms by the name of their part, in order."""
        both: tuple[tuple[Part, Norm | None], ...] = (("norm", self.norm), ("second_norm", self.second_norm))
        return {part: norm for part, norm in both if norm is not None}

    @property
    def parts(self) -> tuple[Part, ...]:
        """The steps after the convolution, in order: ``activation``, and those of the norms and the pool there are."""
        steps: list[tuple[Part | None, Place]] = [(None, "before"), ("activation", "after")]
        if self.pool:
            steps.insert(2 if self.activation_after == "conv" else 1, ("pool", "pooled"))
        order: list[Part] = []
        for step, place in steps:
            order += [step] if step else []
            order += [part for part, norm in self.norms.items() if norm.place == place]
        return tuple(order)

    def commuted(self, activation: Activation) -> tuple[Part, ...]:
        """Return ``parts`` with the activation right before a max pool that it follows, where this changes nothing.

        The largest number of a window stays the largest under a function that never falls. So the network is the same,
        and each position of the activation is one of the convolution. A GELU and a SiLU fall.
        """
        parts = list(self.parts)
        at = parts.index("activation")
        rises = activation in ("relu", "tanh")
        if rises and self.pool and self.pool.kind == "max" and at > 0 and parts[at - 1] == "pool":
            parts[at - 1 : at + 1] = ["activation", "pool"]
        return tuple(parts)

    def conv_side(self, side: int) -> int:
        """Return the side of the convolution's output for a map of ``side``; below 1 if no window fits."""
        return n_windows(side + 2 * self.padding, self.kernel, self.stride, self.rounding)

    def pooled_side(self, side: int) -> int:
        """Return the side of the layer's output for a convolution's output of ``side``; below 1 if no window fits."""
        return n_windows(side, self.pool.kernel, self.pool.stride, self.pool.rounding) if self.pool else side

    def smallest_input(self, side: int) -> int:
        """Return the side of the smallest map for which the layer's output has ``side``, or more."""
        if self.pool:
            side = smallest_side(side, self.pool.kernel, self.pool.stride, self.pool.rounding)
        return max(1, smallest_side(side, self.kernel, self.stride, self.rounding) - 2 * self.padding)

    def fitting_input(self, side: int) -> int:
        """Return the side of the map whose windows all fit, and for which the layer's output has ``side``."""
        if self.pool:
            side = fitting_side(side, self.pool.kernel, self.pool.stride)
        return max(1, fitting_side(side, self.kernel, self.stride) - 2 * self.padding)

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
                norm = self.norms[part]
                kind, n = NORM_NAMES[norm.kind], 0 if isinstance(norm, ResponseNorm) else 2 * channels
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
        for part in ("norm", "second_norm"):
            if (norm := layer.get(part)) is not None:
                kind = str(check_object(norm, part, '{"kind": "batch"}').get("kind"))
                check_choice(part, kind, NORMS)
                layer[part] = from_fields(NORMS[kind], norm, f"{kind} norm")
        return from_fields(cls, layer, "layer")
