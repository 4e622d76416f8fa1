"""A network as the page reads it: its layers as JSON, its weights as integers of eight bits. No torch here."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.errors import SettingsError
from alexnet.explanation.gradcam import BATCH_NORM_EPS, covers
from alexnet.explanation.windows import fields
from alexnet.images.preprocessing import Preprocessing
from alexnet.inference.probability import Floats
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import BatchNorm, Conv, GroupNorm, LocalNorm, MapNorm, Norm, Pool, ResponseNorm

Integers = npt.NDArray[np.int8]
Tensors = Mapping[str, Floats]

# What `LAYERS` in layers.js computes.
ACTIVATIONS = ("relu", "tanh", "gelu", "silu")
POOLS = ("max", "average")
NORMS = (BatchNorm, GroupNorm, LocalNorm, MapNorm)
# The largest integer that stands for a weight. With its negative, zero stays zero.
LARGEST = 127
# Arrays begin at multiples of so many bytes, as browsers want.
_ALIGNMENT = 4


def quantise(weight: Floats) -> tuple[Integers, Floats]:
    """Return a weight as integers ``(n_out, n)`` and a scale for each output channel, ``(n_out,)``.

    Args:
        weight: ``(n_out, ...)``.
    """
    rows = weight.reshape(len(weight), -1).astype(np.float32)
    largest = np.abs(rows).max(axis=1)
    scales = np.where(largest > 0, largest, 1) / np.float32(LARGEST)
    return np.rint(rows / scales[:, None]).astype(np.int8), scales


def quantise_mean(image: Floats) -> tuple[Integers, Floats, Floats]:
    """Return a mean image as integers ``(C, S * S)``, and a scale and a shift for each channel, ``(C,)``.

    The shift is the channel's mean: what is left is small, and so is the step of its integers.

    Args:
        image: ``(C, S, S)``.
    """
    rows = image.reshape(len(image), -1)
    shifts = np.asarray(rows.mean(axis=1), np.float32)
    return *quantise(rows - shifts[:, None]), shifts


def rounded(tensors: Tensors) -> dict[str, Floats]:
    """Return the tensors of a network with the weights and the mean image that the page has."""
    found = {name: _restored(tensor) if _is_weight(name, tensor) else tensor for name, tensor in tensors.items()}
    if (image := tensors.get("mean_image")) is not None:
        integers, scales, shifts = quantise_mean(image)
        found["mean_image"] = np.asarray(
            (integers * scales[:, None] + shifts[:, None]).reshape(image.shape), np.float32
        )
    return found


def encode(
    net: Architecture, tensors: Tensors, classes: tuple[str, ...], how: Preprocessing, temperature: float
) -> dict[str, Any]:
    """Return a network as JSON for ``network.js``: a ``Saved`` without its self-test.

    Args:
        net: the network.
        tensors: its tensors by name; batch norms before the activation are folded into their convolutions.
        classes: class names, in the order of the logits.
        how: how images are prepared.
        temperature: what logits are divided by.

    Raises:
        SettingsError: the page cannot compute one of the layers.
    """
    if net.activation not in ACTIVATIONS:
        raise _impossible(f"the activation {net.activation}")
    weights = _Weights()
    layers: list[dict[str, Any]] = []
    if net.mean_image:
        integers, scales, shifts = quantise_mean(tensors["mean_image"])
        arrays: dict[str, Floats | Integers] = {"scales": scales, "shifts": shifts, "integers": integers}
        layers.append({"kind": "centre", **{key: weights.add(array) for key, array in arrays.items()}})
    maps_after = len(layers)
    side = net.image_size
    for name, layer, _ in net.conv_layers():
        for part, each in _conv_parts(name, layer, net, tensors, weights):
            maps_after = len(layers) if part == "pool" else maps_after
            layers.append(each)
        side = layer.pooled_side(layer.conv_side(side))
    maps_after = maps_after if net.layers[-1].pool else len(layers)
    if side != net.grid:
        layers.append({"kind": "adaptive", "side": net.grid})
    *hidden, (last, _, _) = net.linear_layers()
    scale = [] if net.scale_in_prediction == 1 else [{"kind": "scale", "factor": net.scale_in_prediction}]
    before, after = (scale, []) if net.dropout_place == "inputs" else ([], scale)
    for name, _, _ in hidden:
        layers += [*before, *_linear_parts(name, tensors, weights), {"kind": net.activation}, *after]
    layers += _linear_parts(last, tensors, weights)
    field = vars(list(fields(net).values())[-1]) if covers(net) is None else None
    return {
        "classes": list(classes),
        "input": {
            "size": net.image_size,
            "channels": net.in_channels,
            "store_size": how.store_size,
            "resize": how.resize,
            "max_pixels": how.max_pixels,
            "mean": list(how.mean),
            "std": list(how.std),
        },
        "layers": layers,
        "temperature": temperature,
        "maps_after": maps_after,
        "field": field,
        "weights": weights.base64(),
    }


class _Weights:
    """The arrays of all layers, one after the other."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, array: Floats | Integers) -> list[int]:
        """Append an array, little-endian. Return where it begins, in bytes, and how many numbers it has."""
        self._bytes += bytes(-len(self._bytes) % _ALIGNMENT)
        start = len(self._bytes)
        self._bytes += array.astype("i1" if array.dtype == np.int8 else "<f4").tobytes()
        return [start, array.size]

    def base64(self) -> str:
        return b64encode(self._bytes).decode()


def _conv_parts(
    name: str, layer: Conv, net: Architecture, tensors: Tensors, weights: _Weights
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of a convolutional layer by name, ``conv`` first."""
    places = {name: getattr(layer, name) for name in ("kernel", "stride", "padding", "rounding", "groups")}
    yield "conv", {"kind": "conv", **places, **_weighted(f"{name}.conv", tensors, weights)}
    for part in layer.commuted(net.activation):
        if part == "activation":
            yield part, {"kind": net.activation}
        elif part == "pool":
            yield part, _pool(layer.pool)
        elif not _is_folded(norm := layer.norms[part]):
            yield part, _norm(norm, f"{name}.{part}", tensors, weights)


def _is_folded(norm: Norm) -> bool:
    return isinstance(norm, BatchNorm) and norm.place == "before"


def _pool(pool: Pool | None) -> dict[str, Any]:
    assert pool is not None
    if pool.kind not in POOLS:
        raise _impossible(f"the pool {pool.kind}")
    return {"kind": pool.kind, "kernel": pool.kernel, "stride": pool.stride, "rounding": pool.rounding}


def _norm(norm: Norm, name: str, tensors: Tensors, weights: _Weights) -> dict[str, Any]:
    if not isinstance(norm, NORMS):
        raise _impossible(f"the norm {norm.kind}")
    if isinstance(norm, ResponseNorm):
        return {name: value for name, value in vars(norm).items() if name != "place"}
    scales, shifts = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    if isinstance(norm, GroupNorm):
        return {
            "kind": norm.kind,
            "n_groups": norm.n_groups,
            "scales": weights.add(scales),
            "shifts": weights.add(shifts),
        }
    scales = np.asarray(scales / np.sqrt(tensors[f"{name}.running_var"] + BATCH_NORM_EPS), np.float32)
    shifts = np.asarray(shifts - tensors[f"{name}.running_mean"] * scales, np.float32)
    return {"kind": norm.kind, "scales": weights.add(scales), "shifts": weights.add(shifts)}


def _linear_parts(name: str, tensors: Tensors, weights: _Weights) -> list[dict[str, Any]]:
    """Return a fully-connected layer, or the two that a shrunk one consists of."""
    whole = f"{name}.linear"
    parts = [whole] if f"{whole}.weight" in tensors else [f"{whole}.0", f"{whole}.1"]
    return [{"kind": "linear", **_weighted(part, tensors, weights)} for part in parts]


def _weighted(name: str, tensors: Tensors, weights: _Weights) -> dict[str, Any]:
    integers, scales = quantise(tensors[f"{name}.weight"])
    n_out, n_in = integers.shape
    arrays: dict[str, Floats | Integers] = {"scales": scales, "biases": tensors[f"{name}.bias"], "integers": integers}
    return {"n_out": n_out, "n_in": n_in, **{key: weights.add(array) for key, array in arrays.items()}}


def _is_weight(name: str, tensor: Floats) -> bool:
    return name.endswith(".weight") and tensor.ndim > 1


def _restored(weight: Floats) -> Floats:
    integers, scales = quantise(weight)
    return np.asarray((integers * scales[:, None]).reshape(weight.shape), np.float32)


def _impossible(what: str) -> SettingsError:
    return SettingsError(f"a web page cannot compute {what}; use --format onnx")
