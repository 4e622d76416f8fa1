"""Reads a ``.pt2`` file of ``torch.export``: JSON and raw numbers in a zip archive. No torch here.

By hand, since ``torch.export.load`` (torch 2.11 to 2.15) trusts the file. It unpickles whatever weights, constants and
example inputs ask for it. It evaluates expressions for sizes as Python (``sympy.sympify``), calls any function below
``torch`` that a node names, and loads compiled libraries. Here nothing in the file can run.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.errors import ArtifactError
from alexnet.files.typed_json import as_kind, parse_object

Array = npt.NDArray[Any]

_EXTRA = "extra/"
_PROGRAM = "models/model.json"
# Weights and buffers; and the constants, among them buffers that are not saved with weights.
_TENSORS = (("data/weights/", "_weights_config.json"), ("data/constants/", "_constants_config.json"))
# torch._export.serde.schema.ScalarType.
_TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "?"}


class TorchArchive:
    """A ``.pt2`` file.

    Args:
        path: the file.

    Raises:
        ArtifactError: it is missing, damaged, or no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error
        # All files lie in one folder, which has the name that the archive had when it was written.
        self._names = {name.partition("/")[2]: name for name in self._zip.namelist()}

    def extra(self, name: str) -> str | None:
        """Return a text that its writer has added; None if there is none of that name.

        Raises:
            ArtifactError: it is damaged.
        """
        if _EXTRA + name not in self._names:
            return None
        try:
            return self._read(_EXTRA + name).decode()
        except ValueError as error:
            raise self._damaged(error) from error

    def program(self) -> dict[str, Any]:
        """Return the ``GraphModule`` of ``torch._export.serde.schema`` as JSON.

        Raises:
            ArtifactError: there is none, or it is damaged.
        """
        return self._object(self._json(_PROGRAM).get("graph_module"), "graph_module")

    def tensors(self) -> dict[str, Array]:
        """Return all weights, buffers and constants by name.

        Raises:
            ArtifactError: one is damaged, pickled, or of a type that is not read here.
        """
        found = {}
        for folder, ending in _TENSORS:
            for name in self._names:
                if name.startswith(folder) and name.endswith(ending):
                    found |= dict(self._tensors(folder, self._object(self._json(name).get("config"), "config")))
        return found

    def _tensors(self, folder: str, config: dict[str, Any]) -> Iterator[tuple[str, Array]]:
        for name, saved in config.items():
            try:
                if saved["use_pickle"]:
                    raise ValueError("it is a pickle, which is not read")
                meta = saved["tensor_meta"]
                sizes, strides = ([_integer(each) for each in meta[key]] for key in ("sizes", "strides"))
                numbers = np.frombuffer(self._read(folder + saved["path_name"]), _TYPES[meta["dtype"]])
                yield name, _strided(numbers, sizes, strides, _integer(meta["storage_offset"]))
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged(f"{name}: {error}") from error

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._names[name])
        except (KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise self._damaged(f"{name}: {error}") from error

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return parse_object(self._read(name).decode())
        except ValueError as error:
            raise self._damaged(f"{name}: {error}") from error

    def _object(self, saved: Any, name: str) -> dict[str, Any]:
        try:
            return as_kind(dict[str, Any], saved, name)  # type: ignore[no-any-return]
        except ValueError as error:
            raise self._damaged(error) from error

    def _damaged(self, reason: object) -> ArtifactError:
        return ArtifactError(f"{str(self._path)!r} cannot be read as a .pt2 file ({reason}); copy or export it again")


def _integer(saved: Any) -> int:
    """Return a ``SymInt`` of the schema that is a number.

    Raises:
        ValueError: it is none.
    """
    return as_kind(int, as_kind(dict[str, Any], saved, "a size").get("as_int"), "a size")  # type: ignore[no-any-return]


def _strided(numbers: Array, sizes: list[int], strides: list[int], offset: int) -> Array:
    """Return the part of some numbers that a tensor consists of, as a copy.

    Raises:
        ValueError: it would reach beyond them.
    """
    if 0 in sizes:
        return np.empty(sizes, numbers.dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if min(*sizes, *strides, offset, 0) < 0 or max(last + 1, math.prod(sizes)) > len(numbers):
        raise ValueError(f"{len(numbers)} numbers are too few for the shape {sizes}")
    steps = [stride * numbers.itemsize for stride in strides]
    return np.array(np.lib.stride_tricks.as_strided(numbers[offset:], sizes, steps, writeable=False))
