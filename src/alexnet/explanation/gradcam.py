"""Grad-CAM at the last convolutional layer, in closed form: no gradients, no hooks, no torch.

So every engine that returns the maps has it.

A class's map is ``ReLU(sum over k of alpha_k A_k)``. ``A_k`` is channel ``k`` of the maps that the last pool reads;
``alpha_k`` is the slope of the class's logit, averaged over the positions of that channel. Between these maps and the
logit stand pools and fully-connected layers:

- The slope with respect to the flattened maps is a product of the layers' weights. Between two layers, it is multiplied
  by the slope of the activation.
- A pool without padding hands each slope on to one position (max) or shares it among several (average, adaptive
  average). Either way the sum over all positions stays the same. So ``alpha_k`` is the sum over channel ``k`` of the
  flattened maps, divided by the number of positions that the pool reads. It does not matter which ones were largest.

An activation that follows the last pool comes before it here, where that is the same network: see ``Conv.commuted``.

Source: Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
section 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from alexnet.inference.probability import Floats
from alexnet.network.value.architecture import Architecture, DropoutPlace
from alexnet.network.value.layers import BatchNorm, Part, Pool
from alexnet.network.value.operations import ACTIVATION_NAMES, NORM_NAMES, POOL_NAMES

Integers = npt.NDArray[np.integer[Any]]

# The activations whose slope follows from their output, with that slope; and how the forward pass computes them.
SLOPES: dict[str, Callable[[Floats], Floats]] = {"relu": lambda y: np.sign(y), "tanh": lambda y: 1 - y * y}
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}
# As in torch's nn.BatchNorm2d.
BATCH_NORM_EPS = 1e-5
PLACES: tuple[DropoutPlace, ...] = get_args(DropoutPlace)


def covers(net: Architecture) -> str | None:
    """Return None if the maps of a network are exact, else why there are none."""
    if net.hidden and net.activation not in SLOPES:
        return f"Grad-CAM is not available for the activation {net.activation}, only for {' and '.join(SLOPES)}"
    layer, after = net.layers[-1], _after_last_pool(net)
    others = [norm for part, norm in layer.norms.items() if part in after and not isinstance(norm, BatchNorm)]
    if others:
        return f"Grad-CAM is not available with a {NORM_NAMES[others[0].kind]} after the last pool"
    if "activation" in after and "norm" in after:
        return "Grad-CAM is not available with a BatchNorm between the last pool and its activation"
    if "activation" in after:
        assert layer.pool is not None
        pool, activation = POOL_NAMES[layer.pool.kind], ACTIVATION_NAMES[net.activation]
        return f"Grad-CAM is not available with the activation {activation} after the last {pool}"
    return None


def _after_last_pool(net: Architecture) -> tuple[Part, ...]:
    parts = net.layers[-1].commuted(net.activation)
    return parts[parts.index("pool") + 1 :] if "pool" in parts else ()


@dataclass(frozen=True, eq=False)
class Linear:
    """A fully-connected layer, or one of the two factors that ``alexnet export --shrink`` makes of it.

    Attributes:
        weight: ``(n_outputs, n_inputs)``.
        bias: ``(n_outputs,)``.
    """

    weight: Floats
    bias: Floats


@dataclass(frozen=True, eq=False)
class Head:
    """What a network computes from the maps that its last pool reads, as arrays.

    Attributes:
        layers: the fully-connected layers, first to last. Each is one ``Linear``, or the two factors of a shrunk layer,
            without an activation between them.
        activation: the name of the activation of hidden layers.
        pool: the last pool; None without one.
        scale: what a batch norm after the last pool multiplies each channel by, ``(C,)``; ones without it.
        shift: what it then adds, ``(C,)``; zeros without it.
        grid: side of the maps that the first fully-connected layer reads.
        input_scale: what the inputs of hidden layers are multiplied by, for dropout; 1 for none.
        output_scale: what their outputs are multiplied by.
    """

    layers: tuple[tuple[Linear, ...], ...]
    activation: str
    pool: Pool | None
    scale: Floats
    shift: Floats
    grid: int
    input_scale: float
    output_scale: float

    @classmethod
    def of(cls, net: Architecture, weights: Mapping[str, Floats]) -> "Head":
        """Return the head of a network that ``covers`` covers.

        Args:
            net: the network.
            weights: its weights by name, as in its state dict. A layer ``fc6`` that was shrunk has ``fc6.linear.0`` and
                ``fc6.linear.1`` in place of ``fc6.linear``.
        """
        layers = tuple(_factors(f"{name}.linear", weights) for name, _, _ in net.linear_layers())
        last = net.layers[-1]
        scale, shift = np.ones(last.channels, np.float32), np.zeros(last.channels, np.float32)
        if "norm" in _after_last_pool(net):
            mean, variance, weight, bias = (
                weights[f"conv{len(net.layers)}.norm.{each}"]
                for each in ("running_mean", "running_var", "weight", "bias")
            )
            scale = weight / np.sqrt(variance + BATCH_NORM_EPS)
            shift = bias - mean * scale
        of_inputs, of_outputs = (net.scale_in_prediction if net.dropout_place == place else 1.0 for place in PLACES)
        return cls(layers, net.activation, last.pool, scale, shift, net.grid, of_inputs, of_outputs)

    def flat(self, maps: Floats) -> Floats:
        """Return the flattened maps that the first layer reads, ``(N, n)``.

        Args:
            maps: what the last pool reads, ``(N, C, h, w)``.
        """
        pooled = maps if self.pool is None else _pooled(maps, self.pool)
        pooled = pooled * self.scale[:, None, None] + self.shift[:, None, None]
        if pooled.shape[2:] != (self.grid, self.grid):
            rows, columns = (_means(side, self.grid).astype(maps.dtype) for side in pooled.shape[2:])
            pooled = rows @ pooled @ columns.T
        return pooled.reshape(len(maps), -1)

    def slopes(self, flat: Floats, classes: Integers) -> Floats:
        """Return the slope of a logit of each image with respect to its flattened maps, ``(N, n)``.

        Args:
            flat: the flattened maps, ``(N, n)``.
            classes: the number of a class for each image, ``(N,)``.
        """
        *hidden, last = self.layers
        activated, outputs = [], flat
        for factors in hidden:
            outputs = outputs * self.input_scale
            for each in factors:
                outputs = outputs @ each.weight.T + each.bias
            activated.append(ACTIVATIONS[self.activation](outputs))
            outputs = activated[-1] * self.output_scale
        # Of a logit with respect to the logits: 1 for itself.
        slopes = np.eye(len(last[-1].bias), dtype=flat.dtype)[classes]
        for each in reversed(last):
            slopes = slopes @ each.weight
        for factors, activations in zip(reversed(hidden), reversed(activated), strict=True):
            slopes = slopes * self.output_scale * SLOPES[self.activation](activations)
            for each in reversed(factors):
                slopes = slopes @ each.weight
            slopes = slopes * self.input_scale
        return slopes


def class_maps(head: Head, maps: Floats, classes: Integers) -> Floats:
    """Return a map for each image: where it raises the logit of a class, and how much, ``(N, h, w)``, at least 0.

    Args:
        head: the fully-connected layers, and what stands between them and the maps.
        maps: what the last pool reads, ``(N, C, h, w)``.
        classes: the number of a class for each image, ``(N,)``.
    """
    n, n_channels, height, width = maps.shape
    slopes = head.slopes(head.flat(maps), classes).reshape(n, n_channels, -1)
    alphas = slopes.sum(axis=2) * head.scale / (height * width)
    return np.asarray(np.maximum(np.einsum("nc,nchw->nhw", alphas, maps), 0))


def _factors(name: str, weights: Mapping[str, Floats]) -> tuple[Linear, ...]:
    names = [name] if f"{name}.weight" in weights else [f"{name}.0", f"{name}.1"]
    return tuple(Linear(weights[f"{each}.weight"], weights[f"{each}.bias"]) for each in names)


def _pooled(maps: Floats, pool: Pool) -> Floats:
    """Return maps ``(N, C, h, w)`` pooled as torch does: windows that would reach over the edge are left out.

    Where their number is rounded up, they are not; what lies outside counts for nothing.
    """
    if pool.rounding == "up":
        over = [(0, (pool.kernel - side) % pool.stride) for side in maps.shape[2:]]
        maps = np.pad(maps, [(0, 0), (0, 0), *over], constant_values=np.nan)
    windows = sliding_window_view(maps, (pool.kernel, pool.kernel), axis=(2, 3))[:, :, :: pool.stride, :: pool.stride]
    return np.asarray(np.nanmax(windows, axis=(4, 5)) if pool.kind == "max" else np.nanmean(windows, axis=(4, 5)))


def _means(n: int, grid: int) -> Floats:
    """Return the matrix ``(grid, n)`` that pools ``n`` pixels to ``grid`` cells, as torch's adaptive average pooling.

    A cell is the mean of all pixels that it touches, so cells overlap where ``n`` is no multiple of ``grid``.
    """
    cells, pixels = np.arange(grid)[:, None], np.arange(n)
    is_inside = (pixels >= cells * n // grid) & (pixels < -(-(cells + 1) * n // grid))
    return np.asarray(is_inside / is_inside.sum(axis=1, keepdims=True))
