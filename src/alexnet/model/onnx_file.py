"""Reads metadata and weights out of an ``.onnx`` file, without the package onnx and without running anything.

The numbers of fields are those of onnx.proto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import math
import mmap
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.errors import ArtifactError
from alexnet.model.protobuf import fields, message_of, signed_numbers, text_of

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

# ModelProto: graph, metadata_props. StringStringEntryProto: key, value.
_GRAPH, _METADATA, _KEY, _VALUE = 7, 14, 1, 2
# GraphProto: node, initializer. NodeProto: input, op_type, attribute. AttributeProto: name, i.
_NODE, _INITIALIZER, _INPUT, _OP_TYPE, _ATTRIBUTE, _NAME_OF_ATTRIBUTE, _INTEGER = 1, 5, 1, 4, 5, 1, 3
# TensorProto: dims, data_type, name, data_location; and the fields that may hold its numbers.
_DIMS, _DATA_TYPE, _NAME, _LOCATION = 1, 2, 8, 14
_RAW, _FLOATS, _INT32S, _INT64S = 9, 4, 5, 7
# TensorProto.DataType: how a number lies in the file, little-endian.
_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}
# Names of a state dict, perhaps inside another module. A layer of two factors has linear.0 and linear.1. ONNX Runtime
# adds a word to the names of 8-bit tensors, OpenVINO another one to those of 16-bit tensors.
_WEIGHT = re.compile(
    r"(?:.*\.)?((?:conv\d+\.(?:conv|norm)|fc\d+\.linear(?:\.[01])?)\.(?:weight|bias|running_mean|running_var))"
    r"(?:_quantized|_compressed)?",
    re.ASCII,
)
# Where the axis of the scales is not given.
_DEFAULT_AXIS = 1


class OnnxFile:
    """An ``.onnx`` file. It is mapped, and only what is asked for is read.

    Args:
        path: the file.

    Raises:
        ArtifactError: it is missing, cut off, or no ONNX file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            self._model = _by_number(content)
            if _GRAPH not in self._model:
                raise ValueError("it holds no network")
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error

    @cached_property
    def metadata(self) -> dict[str, str]:
        """What programs have added to the network, by key.

        Raises:
            ArtifactError: the file is damaged.
        """
        try:
            entries = (_by_number(message_of(entry)) for entry in self._model.get(_METADATA, []))
            return {text_of(entry[_KEY][-1]): text_of(entry[_VALUE][-1]) for entry in entries if _VALUE in entry}
        except (ValueError, KeyError) as error:
            raise self._damaged(error) from error

    def tensor(self, name: str) -> Array | None:
        """Return a stored tensor, as it is stored; None if there is none of that name.

        Raises:
            ArtifactError: it is damaged, in another file, or of a type that is not read here.
        """
        found = self._tensors.get(name)
        if found is None:
            return None
        try:
            return _array(found)
        except ValueError as error:
            raise self._damaged(f"{name}: {error}") from error

    def weights(self) -> dict[str, Floats]:
        """Return the weights by their names in the state dict, in float32; those in 8 bits are scaled back.

        Raises:
            ArtifactError: a tensor is damaged.
        """
        scaled = {inputs[0]: (inputs, axis) for inputs, axis in self._dequantized}
        found = {}
        for stored in self._tensors:
            if (name := weight_name(stored)) is not None:
                numbers = self._scaled_back(*scaled[stored]) if stored in scaled else self._stored(stored)
                found[name] = numbers.astype(np.float32)
        return found

    def _scaled_back(self, inputs: list[str], axis: int) -> Floats:
        """Return ``(quantized - zero point) * scale``; scales and zero points are those of each part along an axis."""
        quantized, *others = (self._stored(name) for name in inputs)
        shape = [1] * quantized.ndim
        if quantized.ndim and others[0].size > 1:
            shape[axis] = -1
        try:
            scale, *zero_point = (each.astype(np.float32).reshape(shape) for each in others)
            numbers = quantized.astype(np.float32)
            return (numbers - zero_point[0] if zero_point else numbers) * scale
        except (ValueError, IndexError) as error:
            raise self._damaged(f"{inputs[0]}: {error}") from error

    def _stored(self, name: str) -> Array:
        found = self.tensor(name)
        if found is None:
            raise self._damaged(f"it has no {name}")
        return found

    @cached_property
    def _graph(self) -> dict[int, list[int | memoryview]]:
        try:
            return _by_number(message_of(self._model[_GRAPH][-1]))
        except ValueError as error:
            raise self._damaged(error) from error

    @cached_property
    def _tensors(self) -> dict[str, dict[int, list[int | memoryview]]]:
        """The fields of each stored tensor, by its name."""
        try:
            each = [_by_number(message_of(tensor)) for tensor in self._graph.get(_INITIALIZER, [])]
            return {text_of(tensor[_NAME][-1]): tensor for tensor in each if _NAME in tensor}
        except ValueError as error:
            raise self._damaged(error) from error

    @cached_property
    def _dequantized(self) -> list[tuple[list[str], int]]:
        """The inputs of each DequantizeLinear (quantized, scale, zero point), and its axis."""
        found = []
        try:
            for node in (_by_number(message_of(each)) for each in self._graph.get(_NODE, [])):
                if _OP_TYPE in node and text_of(node[_OP_TYPE][-1]) == "DequantizeLinear":
                    attributes = [_by_number(message_of(each)) for each in node.get(_ATTRIBUTE, [])]
                    axes = [each[_INTEGER] for each in attributes if text_of(each[_NAME_OF_ATTRIBUTE][-1]) == "axis"]
                    axis = signed_numbers(axes[0])[-1] if axes else _DEFAULT_AXIS
                    found.append(([text_of(each) for each in node[_INPUT]], axis))
        except (ValueError, KeyError) as error:
            raise self._damaged(error) from error
        return found

    def _damaged(self, reason: object) -> ArtifactError:
        return ArtifactError(f"{str(self._path)!r} cannot be read as an ONNX file ({reason}); copy or export it again")


def weight_name(name: str) -> str | None:
    """Return the name in the state dict of a tensor of an exported network; None if it is none of these."""
    found = _WEIGHT.fullmatch(name)
    return found[1] if found else None


def _by_number(message: memoryview) -> dict[int, list[int | memoryview]]:
    """Return the values of a message's fields by their numbers."""
    found = defaultdict(list)
    for number, value in fields(message):
        found[number].append(value)
    return dict(found)


def _array(tensor: dict[int, list[int | memoryview]]) -> Array:
    """Return the numbers of a TensorProto.

    Raises:
        ValueError: it is damaged, in another file, or of a type that is not read here.
    """
    if signed_numbers(tensor.get(_LOCATION, [])) == [1]:
        raise ValueError("its numbers are in another file")
    kind = _TYPES.get((signed_numbers(tensor.get(_DATA_TYPE, [])) or [0])[-1])
    if kind is None:
        raise ValueError("its numbers are of another type")
    dims = signed_numbers(tensor.get(_DIMS, []))
    numbers: Array
    if _RAW in tensor:
        numbers = np.frombuffer(message_of(tensor[_RAW][-1]), kind)
    elif _FLOATS in tensor:
        numbers = np.frombuffer(b"".join(map(message_of, tensor[_FLOATS])), np.dtype("<f4"))
    else:  # half floats as the integers of their bits
        integers = np.array(signed_numbers(tensor.get(_INT32S, []) + tensor.get(_INT64S, [])), np.int64)
        numbers = integers.astype(np.uint16).view("<f2") if kind.kind == "f" else integers.astype(kind)
    if numbers.dtype != kind or numbers.size != math.prod(dims) or min(dims, default=0) < 0:
        raise ValueError(f"it holds {numbers.size} numbers for the shape {dims}")
    # A copy in the machine's own order of bytes: the file may be closed.
    return np.asarray(numbers.astype(kind.newbyteorder("=")).reshape(dims))
