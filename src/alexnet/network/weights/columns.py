"""The weights of two columns, as the program of 2012 names and shapes them, joined into those of one network."""

import re
from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor

from alexnet.errors import ArtifactError
from alexnet.network.value.architecture import Architecture

# conv1a ... conv5b; then fc6a, fc6b, fc7a, fc7b, fc8, or the names in the program: fc2048a, fc2048ba, fc1000.
_CONV = re.compile(r"(conv\d+)([ab])")
_FC6 = re.compile(r"(?:fc6|fc\d{3,})([ab])")
_FC7 = re.compile(r"(?:fc7|fc\d{3,}b)([ab])")
_FC8 = re.compile(r"fc8|fc\d{3,}")
# The second column of fc7 reads its own column first, and the first column second.
_OWN_FIRST = re.compile(r"fc\d{3,}bb")


def has_columns(names: Mapping[str, object]) -> bool:
    """Return whether tensors are those of two columns."""
    return any(name.startswith("conv1a.") for name in names)


def check_pixels(tensors: Mapping[str, Tensor], net: Architecture, where: str) -> None:
    """Refuse the program's own arrays for a network that reads other pixels than the program.

    Raises:
        ArtifactError: the network does not subtract a mean image.
    """
    if not net.mean_image and any(name.partition(".")[2].startswith("weights") for name in tensors):
        raise ArtifactError(
            f"{where!r} holds weights of the program of 2012, for pixels of 0 to 255 less a mean image; "
            "build the network with mean_image=True, and add the array mean_image"
        )


def joined(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the tensors of two columns as those of one network: ``conv1.weight``, ``conv1.bias``, ..., ``fc8.bias``.

    A layer's weights are ``NAME.weights``, or ``NAME.weights.0`` and ``NAME.weights.1`` for the two columns that it
    reads, in the program's shapes: ``(C * k * k, O)`` and ``(n_inputs, n_outputs)``. Or they are ``NAME.weight`` in
    torch's, over both columns in order. Biases are ``NAME.biases`` or ``NAME.bias``. Other tensors stay as they are.

    Raises:
        ArtifactError: a column, its weights or its biases are missing, or have an impossible shape.
    """
    layers = _layers(tensors, where)
    used: set[str] = set()
    result: dict[str, Tensor] = {}
    channels: int | None = None
    for layer, columns in layers.items():
        weights, biases = [], []
        for name in columns:
            weights.append(_weight(name, tensors, channels, used, where))
            biases.append(_bias(name, tensors, used, where))
        channels = len(weights[0])
        try:
            result[f"{layer}.weight"], result[f"{layer}.bias"] = torch.cat(weights), torch.cat(biases)
        except RuntimeError:
            shapes = " and ".join("x".join(map(str, each.shape)) for each in weights)
            raise ArtifactError(f"{where!r} has columns of different shapes, {shapes}, in {layer}") from None
    return {**result, **{name: tensor for name, tensor in tensors.items() if name not in used}}


def _layers(tensors: Mapping[str, Tensor], where: str) -> dict[str, list[str]]:
    """Return the names of each layer's columns, the layers first to last: conv1a and conv1b for conv1 and so on."""
    names = sorted({name.partition(".")[0] for name in tensors})
    convs = sorted({match[1] for name in names if (match := _CONV.fullmatch(name))}, key=lambda name: int(name[4:]))
    found: dict[str, list[str]] = {layer: [f"{layer}a", f"{layer}b"] for layer in convs}
    for layer, pattern in (("fc6", _FC6), ("fc7", _FC7), ("fc8", _FC8)):
        found[layer] = [name for name in names if pattern.fullmatch(name)]
    for layer, columns in found.items():
        missing = [name for name in columns if name not in names]
        if missing or len(columns) != (1 if layer == "fc8" else 2):
            has = ", ".join(name for name in columns if name in names) or "nothing"
            raise ArtifactError(f"{where!r} has {has} for {layer}, where two columns need both; add what is missing")
    return found


def _weight(name: str, tensors: Mapping[str, Tensor], channels: int | None, used: set[str], where: str) -> Tensor:
    """Return the weights of one column of a layer in torch's shape."""
    if (whole := f"{name}.weight") in tensors:
        used.add(whole)
        return tensors[whole]
    keys = [key for key in (f"{name}.weights", f"{name}.weights.0", f"{name}.weights.1") if key in tensors]
    if not keys:
        raise ArtifactError(f"{where!r} has no {name}.weights; add them")
    used.update(keys)
    parts = [_as_torch(key, tensors[key], channels, where) for key in keys]
    return torch.cat(parts[::-1] if _OWN_FIRST.fullmatch(name) else parts, dim=1)


def _as_torch(key: str, weight: Tensor, channels: int | None, where: str) -> Tensor:
    """Return the program's ``(C * k * k, O)`` as ``(O, C, k, k)``, and ``(n_inputs, n_outputs)`` transposed."""
    if weight.ndim != 2:
        raise ArtifactError(f"{key} in {where!r} has {weight.ndim} dimensions; the program's have 2")
    if key.startswith("fc"):
        return weight.t()
    n = weight.shape[0]
    for n_channels in (3, 1) if channels is None else (channels,):
        side = isqrt(n // n_channels)
        if side * side * n_channels == n:
            return weight.t().reshape(-1, n_channels, side, side)
    raise ArtifactError(f"{key} in {where!r} has {n} rows, which are no square windows of {channels or 3} channels")


def _bias(name: str, tensors: Mapping[str, Tensor], used: set[str], where: str) -> Tensor:
    for key in (f"{name}.biases", f"{name}.bias"):
        if key in tensors:
            used.add(key)
            return tensors[key].reshape(-1)
    raise ArtifactError(f"{where!r} has no {name}.biases; add them")
