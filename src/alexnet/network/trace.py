"""The arithmetic of a network: shapes, parameters and multiply-adds of every operation. No torch here.

``trace`` walks the network once and is the only place that knows how a shape follows from the one before. The table of
counts, the drawing and the checks are built from it, so they cannot disagree.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.network.architecture import Architecture
    from alexnet.network.layers import Conv

Shape = tuple[int, ...]

ACTIVATION_NAMES = {"relu": "ReLU", "tanh": "Tanh", "gelu": "GELU", "silu": "SiLU"}
NORM_NAMES = {"batch": "BatchNorm", "group": "GroupNorm", "local": "LocalResponseNorm"}
POOL_NAMES = {"max": "MaxPool", "average": "AvgPool"}


@dataclass(frozen=True, kw_only=True)
class Op:
    """One operation of a traced network.

    Attributes:
        layer: the layer it belongs to, ``conv1`` ... ``fc8``.
        kind: ``Conv``, a norm, an activation, a pool, ``AdaptiveAvgPool``, ``Flatten``, ``Dropout`` or ``Linear``.
        shape: its output without the batch, ``(C, H, W)`` or ``(n,)``.
        n_parameters: trainable numbers it holds.
        n_mult_adds: multiply-adds for one picture, counted as torchinfo counts them (a bias counts as one).
    """

    layer: str
    kind: str
    shape: Shape
    n_parameters: int = 0
    n_mult_adds: int = 0


def trace(architecture: "Architecture") -> tuple[Op, ...]:
    """Follow one picture of ``architecture.image_size`` through every operation, in order."""
    return tuple(_trace(architecture))


def _trace(net: "Architecture") -> Iterator[Op]:
    channels, side = net.in_channels, net.image_size
    activation = ACTIVATION_NAMES[net.activation]
    for number, layer in enumerate(net.layers, start=1):
        yield from _conv_layer(f"conv{number}", layer, channels, side, activation)
        channels, side = layer.channels, layer.pooled_side(layer.conv_side(side))

    if side != net.grid:
        yield Op(layer=f"conv{len(net.layers)}", kind="AdaptiveAvgPool", shape=(channels, net.grid, net.grid))
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


def _conv_layer(name: str, layer: "Conv", in_channels: int, side: int, activation: str) -> Iterator[Op]:
    """Yield the operations of one convolutional layer, for maps of ``in_channels`` and ``side``."""
    channels = layer.channels
    side = layer.conv_side(side)
    pooled = layer.pooled_side(side)
    n_parameters = channels * (in_channels // layer.groups * layer.kernel**2 + 1)
    n_mult_adds = n_parameters * side**2
    yield Op(layer=name, kind="Conv", shape=(channels, side, side), n_parameters=n_parameters, n_mult_adds=n_mult_adds)
    for part in layer.parts:
        if part == "pool":
            assert layer.pool is not None
            side = pooled
            yield Op(layer=name, kind=POOL_NAMES[layer.pool.kind], shape=(channels, side, side))
        elif part == "activation":
            yield Op(layer=name, kind=activation, shape=(channels, side, side))
        else:
            assert layer.norm is not None
            n_learned = 0 if layer.norm.kind == "local" else 2 * channels
            yield Op(
                layer=name,
                kind=NORM_NAMES[layer.norm.kind],
                shape=(channels, side, side),
                n_parameters=n_learned,
                n_mult_adds=n_learned,
            )
