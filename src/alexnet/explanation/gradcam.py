"""Grad-CAM at the last convolutional layer, in closed form: no gradients, no hooks, no torch.

A class's map is ``ReLU(sum over k of alpha_k A_k)``. ``A_k`` is channel ``k`` of the maps that the last pool reads;
``alpha_k`` is the slope of the class's logit, averaged over the positions of that channel. Between these maps and the
logit stand pools and fully-connected layers:

- The slope with respect to the flattened maps is a product of the layers' weights. Between two layers, it is multiplied
  by the slope of the activation.
- A pool without padding hands each slope on to one position (max) or shares it among several (average, adaptive
  average). Either way the sum over all positions stays the same. So ``alpha_k`` is the sum over channel ``k`` of the
  flattened maps, divided by the number of positions that the pool reads. It does not matter which ones were largest.

Source: Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
section 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.inference.probability import Floats
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.operations import NORM_NAMES

Integers = npt.NDArray[np.integer[Any]]

# The activations whose slope follows from their output, with that slope; and how the forward pass computes them.
SLOPES: dict[str, Callable[[Floats], Floats]] = {"relu": lambda y: np.sign(y), "tanh": lambda y: 1 - y * y}
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}
# As in torch's nn.BatchNorm2d.
BATCH_NORM_EPS = 1e-5


def covers(net: Architecture) -> str | None:
    """Return None if the maps of a network are exact, else why there are none."""
    norm = net.layers[-1].norm
    if net.hidden and net.activation not in SLOPES:
        return f"Grad-CAM is not available for the activation {net.activation}, only for {' and '.join(SLOPES)}"
    if norm is not None and norm.place == "pooled" and norm.kind != "batch":
        return f"Grad-CAM is not available with a {NORM_NAMES[norm.kind]} after the last pool"
    return None


@dataclass(frozen=True, eq=False)
class Head:
    """The fully-connected layers of a network, as arrays.

    Attributes:
        weights: those of each layer, first to last, ``(n_outputs, n_inputs)``.
        biases: those of each layer, ``(n_outputs,)``.
        activation: the name of the activation of hidden layers.
        scale: what a batch norm after the last pool multiplies each channel by, ``(C,)``; ones without it.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    activation: str
    scale: Floats

    @classmethod
    def of(cls, net: Architecture, tensors: Mapping[str, Floats]) -> "Head":
        """Return the head of a network that ``covers`` covers.

        Args:
            net: the network.
            tensors: its weights by name, as in its state dict.
        """
        names = [name for name, _, _ in net.linear_layers()]
        weights, biases = (tuple(tensors[f"{name}.linear.{kind}"] for name in names) for kind in ("weight", "bias"))
        norm, name = net.layers[-1].norm, f"conv{len(net.layers)}.norm"
        scale = np.ones(net.layers[-1].channels, weights[0].dtype)
        if norm is not None and norm.place == "pooled":
            scale = tensors[f"{name}.weight"] / np.sqrt(tensors[f"{name}.running_var"] + BATCH_NORM_EPS)
        return cls(weights, biases, net.activation, scale)

    def slopes(self, flat: Floats, classes: Integers) -> Floats:
        """Return the slope of a logit of each image with respect to its flattened maps, ``(N, n)``.

        Args:
            flat: the flattened maps, ``(N, n)``.
            classes: the number of a class for each image, ``(N,)``.
        """
        hidden = [flat]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden.append(ACTIVATIONS[self.activation](hidden[-1] @ weight.T + bias))
        slopes = self.weights[-1][classes]
        for weight, outputs in zip(self.weights[-2::-1], hidden[:0:-1], strict=True):
            slopes = (slopes * SLOPES[self.activation](outputs)) @ weight
        return slopes


def class_maps(head: Head, maps: Floats, flat: Floats, classes: Integers) -> Floats:
    """Return a map for each image: where it raises the logit of a class, and how much, ``(N, h, w)``, at least 0.

    Args:
        head: the fully-connected layers.
        maps: what the last pool reads, ``(N, C, h, w)``.
        flat: the flattened maps that the head reads, ``(N, n)``.
        classes: the number of a class for each image, ``(N,)``.
    """
    n, n_channels, height, width = maps.shape
    slopes = head.slopes(flat, classes).reshape(n, n_channels, -1)
    alphas = slopes.sum(axis=2) * head.scale / (height * width)
    return np.asarray(np.maximum(np.einsum("nc,nchw->nhw", alphas, maps), 0))
