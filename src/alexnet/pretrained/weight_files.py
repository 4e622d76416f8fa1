"""Files of weights, read as what they are whatever they are called. Nothing is ever unpickled or executed."""

import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from alexnet.errors import ArtifactError
from alexnet.images.decoding import fault
from alexnet.pretrained.formats import N_HEAD, ZIP, foreign, zip_kind


def read_weights(path: Path) -> object:
    """Return what a ``.safetensors``, ``.pth`` or ``.npz`` file holds: tensors or arrays, in dictionaries and lists.

    Raises:
        ArtifactError: it cannot be read, is of another format, or holds what only executing it would bring back.
    """
    head = b""
    try:
        with path.open("rb") as file:
            head = file.read(N_HEAD)
        return _read(path, head)
    except MemoryError:
        raise
    except Exception as error:  # pickle's own are of many kinds, and advise to execute the file: we never do
        if words := foreign(path, head):
            raise ArtifactError(f"{str(path)!r} {words}") from error
        if isinstance(error, SafetensorError | OSError | RuntimeError | EOFError):
            raise ArtifactError(f"cannot read the weights in {str(path)!r}: {_reason(error)}") from error
        raise ArtifactError(
            f"{str(path)!r} holds more than tensors, or is damaged, and is not read; save model.state_dict() instead"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return fault(error)
    if isinstance(error, RuntimeError) and "allocate memory" in str(error):
        return "there is not enough memory"
    # Libraries say it in terms of their own code.
    return "it is cut off or damaged; copy or download it again"


def _read(path: Path, head: bytes) -> object:
    # A safetensors file begins with the length of its JSON.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return load_file(path)
    if head.startswith(ZIP) and zip_kind(path) == "numpy":
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    # Opened here, since torch goes by what a file is called.
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the errors say anyway
        return torch.load(file, map_location="cpu", weights_only=True)
