"""Weights made for other images and other maps, adapted to those of a network."""

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.errors import ArtifactError
from alexnet.images.pixels import CAFFE_MEAN, MEAN, STD, PixelKind
from alexnet.network.value.architecture import Architecture
from alexnet.network.weights.recognition import Module


def adapted(modules: Mapping[str, Module], net: Architecture, pixels: PixelKind, where: str) -> dict[str, Module]:
    """Return the modules of ``recognise`` with conv1 and the first fully-connected layer as the network needs them.

    That layer is left out where it reads other than the network's number of maps.

    Raises:
        ArtifactError: the pixels have three channels and conv1 of the file, which ``where`` names, has not.
    """
    results = {name: _completed(name, module) for name, module in modules.items()}
    conv1 = results.get("conv1.conv", Module())
    if pixels != "rgb" and conv1.n_dims == 4:
        if (n := conv1.shapes["weight"][1]) != 3:
            raise ArtifactError(f"conv1 in {where!r} takes {n} channels and not 3, so its pixels are not {pixels!r}")
        conv1 = _for_our_pixels(conv1, pixels)
    if conv1.n_dims == 4 and net.layers[0].groups == 1:
        results["conv1.conv"] = _for_channels(conv1, net.in_channels)
    n_convs, channels = len(net.layers), net.layers[-1].channels
    before, first = (results.get(name, Module()) for name in (f"conv{n_convs}.conv", f"fc{n_convs + 1}.linear"))
    if before.shapes.get("weight", (channels,))[0] != channels:
        # 256 maps of 6x6 are as many numbers as 1024 of 3x3, and mean something else.
        results.pop(f"fc{n_convs + 1}.linear", None)
    elif first.n_dims == 2:
        results[f"fc{n_convs + 1}.linear"] = _for_grid(first, channels, net.grid)
    return results


def with_channels(weight: Tensor, n: int) -> Tensor:
    """Return the weights ``(O, C, k, k)`` of a convolution for images of ``n`` channels.

    For one, they are summed: what sees grey as three equal channels answers the same. For more, they are repeated in
    turn and scaled by ``C / n``: what has seen one channel answers the same to grey.
    """
    n_before = weight.shape[1]
    if n == n_before:
        return weight
    if n == 1:
        return weight.sum(dim=1, keepdim=True)
    return weight[:, torch.arange(n) % n_before] * (n_before / n)


def with_grid(weight: Tensor, grid: int, n_channels: int) -> Tensor:
    """Return the weights ``(O, C * g * g)`` of a linear layer that reads maps of ``g`` x ``g``, for those of ``grid``.

    The layer answers as it would to the map pooled to its old grid, as the network that it comes from would have done.
    So the answer to a map that is the same everywhere does not change.
    """
    old = isqrt(weight.shape[1] // n_channels)
    if old == grid:
        return weight
    # How each place of the new grid is pooled to the old one: (grid * grid, g * g).
    places = torch.eye(grid**2, dtype=weight.dtype).reshape(grid**2, 1, grid, grid)
    pooled = F.adaptive_avg_pool2d(places, old).flatten(1)
    return (weight.reshape(len(weight), n_channels, old**2) @ pooled.T).flatten(1)


def with_our_pixels(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights and bias of a convolution over Caffe's pixels, for our normalised ones.

    Caffe's are BGR from 0 to 255 less their mean, ours RGB ``x = (p - mean) / std`` for ``p`` in [0, 1]. So Caffe sees
    ``255 * std * x + 255 * mean - caffe_mean``. Exact but for padding, whose zeros are of another colour then.
    """
    turned = weight.flip(1).double()
    mean, std, caffe_mean = (torch.tensor(each, dtype=torch.double) for each in (MEAN, STD, CAFFE_MEAN))
    shift = turned.sum(dim=(2, 3)) @ (255 * mean - caffe_mean)
    return (turned * (255 * std)[:, None, None]).to(weight.dtype), (bias.double() + shift).to(bias.dtype)


def _completed(name: str, module: Module) -> Module:
    """Return the module with what files leave out."""
    weight = module.tensors.get("weight")
    if name.endswith(".norm") and "running_mean" in module.tensors:  # before torch 0.4.1, batches were not counted
        return replace(module, tensors={"num_batches_tracked": torch.tensor(0), **module.tensors})
    if not name.endswith(".norm") and weight is not None and "bias" not in module.tensors:
        bias = torch.zeros(len(weight), dtype=weight.dtype)
        return replace(module, tensors={**module.tensors, "bias": bias}, how={"bias": "no bias there, so zeros"})
    return module


def _for_our_pixels(conv1: Module, pixels: PixelKind) -> Module:
    weight, bias = _exact(conv1.tensors["weight"]), _exact(conv1.tensors["bias"])
    if pixels == "bgr":
        return _changed(conv1, weight=(weight.flip(1), "BGR turned to RGB"))
    weight, bias = with_our_pixels(weight, bias)
    how = "Caffe's pixels turned to ours"
    return _changed(conv1, weight=(weight, how), bias=(bias, how))


def _for_channels(conv1: Module, n: int) -> Module:
    weight = conv1.tensors["weight"]
    if weight.shape[1] == n:
        return conv1
    how = f"{weight.shape[1]} to {n} channels, {'summed' if n == 1 else 'repeated'}"
    return _changed(conv1, weight=(with_channels(_exact(weight), n), how))


def _for_grid(first: Module, n_channels: int, grid: int) -> Module:
    weight = first.tensors["weight"]
    old = isqrt(weight.shape[1] // n_channels)
    if old in (0, grid) or old * old * n_channels != weight.shape[1]:
        return first
    how = f"{old}x{old} to {grid}x{grid}, resampled"
    return _changed(first, weight=(with_grid(_exact(weight), grid, n_channels), how))


def _changed(module: Module, **changes: tuple[Tensor, str]) -> Module:
    """Return the module with other tensors by role, each with how it came about, beside what was done before."""
    tensors, how = dict(module.tensors), dict(module.how)
    for role, (tensor, words) in changes.items():
        tensors[role] = tensor
        how[role] = f"{how[role]}, {words}" if role in how else words
    return replace(module, tensors=tensors, how=how)


def _exact(tensor: Tensor) -> Tensor:
    """Return numbers of other kinds as floats: sums of short ones would lose what the network sees, or do not exist."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
