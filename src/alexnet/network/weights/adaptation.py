"""Weights adapted to a network with other image channels, pixels or map sizes."""

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.errors import ArtifactError
from alexnet.images.pixels import CAFFE_MEAN, LUMINANCE, MEAN, STD, PixelKind
from alexnet.images.tensors import fitted
from alexnet.network.value.architecture import Architecture
from alexnet.network.weights.recognition import MEAN_IMAGE, SavedModule


def adapted(
    modules: Mapping[str, SavedModule], net: Architecture, pixels: PixelKind, where: str
) -> dict[str, SavedModule]:
    """Return the modules of ``recognise`` with conv1 and the first fully-connected layer adapted to the network.

    That fully-connected layer is left out if it reads another number of maps than the network has.

    Raises:
        ArtifactError: the pixels have three channels, but conv1 in the file does not. ``where`` names the file.
    """
    results = {name: _completed(name, module) for name, module in modules.items()}
    conv1 = results.get("conv1.conv", SavedModule())
    if pixels != "rgb" and conv1.n_dims == 4:
        if (n := conv1.shapes["weight"][1]) != 3:
            raise ArtifactError(f"conv1 in {where!r} has {n} input channels, so its pixels cannot be {pixels!r}")
        conv1 = _for_our_pixels(conv1, pixels)
    if conv1.n_dims == 4 and net.layers[0].groups == 1:
        results["conv1.conv"] = _for_channels(conv1, net.in_channels)
    n_convs, channels = len(net.layers), net.layers[-1].channels
    before, first = (results.get(name, SavedModule()) for name in (f"conv{n_convs}.conv", f"fc{n_convs + 1}.linear"))
    if before.shapes.get("weight", (channels,))[0] != channels:
        # 256 maps of 6x6 have as many numbers as 1024 of 3x3, but another meaning.
        results.pop(f"fc{n_convs + 1}.linear", None)
    elif first.n_dims == 2:
        results[f"fc{n_convs + 1}.linear"] = _for_grid(first, channels, net.grid)
    return results


def rescaled(modules: Mapping[str, SavedModule], trained: Architecture, net: Architecture) -> dict[str, SavedModule]:
    """Return the modules with fully-connected layers that compute in a network what they did in their own.

    What a layer reads may be multiplied in prediction, for dropout: see ``Architecture.dropout_scaling``.
    """
    results, ours = dict(modules), _input_scales(net)
    for name, theirs in _input_scales(trained).items():
        module, own = results.get(f"{name}.linear"), ours.get(name, theirs)
        if module is not None and module.n_dims == 2 and own != theirs:
            weight = _exact(module.tensors["weight"]) * (theirs / own)
            change = f"inputs are multiplied by {own:g} instead of {theirs:g}"
            results[f"{name}.linear"] = _changed(module, weight=(weight, change))
    return results


def _input_scales(net: Architecture) -> dict[str, float]:
    """Return what the inputs of each fully-connected layer are multiplied by in prediction."""
    names = [name for name, _, _ in net.linear_layers()]
    scaled = names[:-1] if net.dropout_place == "inputs" else names[1:]
    return {name: net.scale_in_prediction if name in scaled else 1.0 for name in names}


def adapted_mean_image(
    mean: SavedModule | None, net: Architecture, pixels: PixelKind, where: str
) -> SavedModule | None:
    """Return the mean image of ``find_mean_image`` for the channels and the image size of the network.

    Grey has the luminance of the mean colours.

    Raises:
        ArtifactError: only one of the file and the network has a mean image, so they read other pixels; or the file's
            is no image. ``where`` names the file.
    """
    if mean is None:
        if net.mean_image:
            raise ArtifactError(
                f"{where!r} has no mean_image, but the network subtracts one, from pixels of 0 to 255; use weights "
                "that were trained so, or a recipe without a mean image (--recipe paper)"
            )
        return None
    if not net.mean_image:
        raise ArtifactError(
            f"{where!r} holds a mean_image: it was trained on pixels of 0 to 255, and the network reads normalised "
            "pixels; use --recipe original, which has a mean image"
        )
    if pixels == "caffe":
        raise ArtifactError(f"{where!r} holds a mean_image, so its pixels cannot be 'caffe'; use bgr, or leave it out")
    image = _exact(mean.tensors[MEAN_IMAGE])
    if image.ndim != 3 or image.shape[0] not in (1, 3) or not image.numel():
        shape = "x".join(map(str, image.shape))
        raise ArtifactError(
            f"mean_image in {where!r} is {shape}; it must be (channels, height, width) of 1 or 3 channels"
        )
    if pixels == "bgr":
        mean = _changed(mean, mean_image=(image := image.flip(0), "BGR to RGB"))
    n, size = len(image), net.image_size
    if n != net.in_channels:
        weights = image.new_tensor(LUMINANCE)[:, None, None]
        grey = (image * weights).sum(dim=0, keepdim=True) if n == 3 else image
        image = grey.expand(net.in_channels, -1, -1)
        mean = _changed(mean, mean_image=(image, f"{n} to {net.in_channels} channels"))
    if image.shape[-2:] != (size, size):
        change = f"{image.shape[-2]}x{image.shape[-1]} to {size}x{size}, resized"
        mean = _changed(mean, mean_image=(fitted(image, size, size)[0], change))
    return mean


def with_channels(weight: Tensor, n: int) -> Tensor:
    """Return the weights ``(O, C, k, k)`` of a convolution for images of ``n`` channels.

    For one channel they are summed: grey gives the same output as it did in equal channels. For more channels they are
    repeated in turn and scaled by ``C / n``: with ``C`` of 1, grey gives the same output too.
    """
    n_before = weight.shape[1]
    if n == n_before:
        return weight
    if n == 1:
        return weight.sum(dim=1, keepdim=True)
    return weight[:, torch.arange(n) % n_before] * (n_before / n)


def with_grid(weight: Tensor, grid: int, n_channels: int) -> Tensor:
    """Return the weights ``(O, C * g * g)`` of a linear layer on maps of ``g`` x ``g`` for maps of ``grid`` x ``grid``.

    The output is the same as for the map pooled to the old grid, which is what the original network would compute. So
    the output for a constant map does not change.
    """
    old = isqrt(weight.shape[1] // n_channels)
    if old == grid:
        return weight
    # The matrix that pools the new grid to the old one: (grid * grid, g * g).
    positions = torch.eye(grid**2, dtype=weight.dtype).reshape(grid**2, 1, grid, grid)
    pooled = F.adaptive_avg_pool2d(positions, old).flatten(1)
    return (weight.reshape(len(weight), n_channels, old**2) @ pooled.T).flatten(1)


def with_our_pixels(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights and bias of a convolution on Caffe's pixels for the normalised pixels of this package.

    Caffe's pixels are BGR from 0 to 255 less their mean, ours RGB ``x = (p - mean) / std`` for ``p`` in [0, 1]. So a
    pixel of Caffe is ``255 * std * x + 255 * mean - caffe_mean``. This is exact except for padding, since zeros are
    another colour then.
    """
    turned = weight.flip(1).double()
    mean, std, caffe_mean = (torch.tensor(each, dtype=torch.double) for each in (MEAN, STD, CAFFE_MEAN))
    shift = turned.sum(dim=(2, 3)) @ (255 * mean - caffe_mean)
    return (turned * (255 * std)[:, None, None]).to(weight.dtype), (bias.double() + shift).to(bias.dtype)


def _completed(name: str, module: SavedModule) -> SavedModule:
    """Return the module with the tensors that files may leave out."""
    weight = module.tensors.get("weight")
    if name.endswith(".norm") and "running_mean" in module.tensors:  # torch before 0.4.1 did not count batches
        return replace(module, tensors={"num_batches_tracked": torch.tensor(0), **module.tensors})
    if not name.endswith(".norm") and weight is not None and "bias" not in module.tensors:
        bias = torch.zeros(len(weight), dtype=weight.dtype)
        return replace(module, tensors={**module.tensors, "bias": bias}, changes={"bias": "no bias there, so zeros"})
    return module


def _for_our_pixels(conv1: SavedModule, pixels: PixelKind) -> SavedModule:
    weight, bias = _exact(conv1.tensors["weight"]), _exact(conv1.tensors["bias"])
    if pixels == "bgr":
        return _changed(conv1, weight=(weight.flip(1), "BGR to RGB"))
    weight, bias = with_our_pixels(weight, bias)
    change = "Caffe's pixels to normalised RGB"
    return _changed(conv1, weight=(weight, change), bias=(bias, change))


def _for_channels(conv1: SavedModule, n: int) -> SavedModule:
    weight = conv1.tensors["weight"]
    if weight.shape[1] == n:
        return conv1
    change = f"{weight.shape[1]} to {n} channels, {'summed' if n == 1 else 'repeated'}"
    return _changed(conv1, weight=(with_channels(_exact(weight), n), change))


def _for_grid(first: SavedModule, n_channels: int, grid: int) -> SavedModule:
    weight = first.tensors["weight"]
    old = isqrt(weight.shape[1] // n_channels)
    if old in (0, grid) or old * old * n_channels != weight.shape[1]:
        return first
    change = f"{old}x{old} to {grid}x{grid}, resampled"
    return _changed(first, weight=(with_grid(_exact(weight), grid, n_channels), change))


def _changed(module: SavedModule, **replaced: tuple[Tensor, str]) -> SavedModule:
    """Return the module with tensors replaced by role. Each comes with the words for its change."""
    tensors, changes = dict(module.tensors), dict(module.changes)
    for role, (tensor, words) in replaced.items():
        tensors[role] = tensor
        changes[role] = f"{changes[role]}, {words}" if role in changes else words
    return replace(module, tensors=tensors, changes=changes)


def _exact(tensor: Tensor) -> Tensor:
    """Return a tensor in float32 or float64. Sums in shorter types lose precision or are not supported."""
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
