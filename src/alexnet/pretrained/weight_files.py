"""Files of weights, read by their content whatever their names. Nothing is unpickled or executed."""

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
    """Read a ``.safetensors``, ``.pth`` or ``.npz`` file: tensors or arrays, in dictionaries and lists.

    Raises:
        ArtifactError: it cannot be read, has another format, or would run code when loaded.
    """
    head = b""
    try:
        with path.open("rb") as file:
            head = file.read(N_HEAD)
        return _read(path, head)
    except MemoryError:
        raise
    except Exception as error:  # pickle raises many types, and advises to execute the file, which is never done here
        if words := foreign(path, head):
            raise ArtifactError(f"{str(path)!r} {words}") from error
        if isinstance(error, SafetensorError | OSError | RuntimeError | EOFError):
            raise ArtifactError(f"cannot read the weights in {str(path)!r}: {_reason(error)}") from error
        raise ArtifactError(
            f"{str(path)!r} holds more than tensors, or is damaged; save model.state_dict() instead"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return fault(error)
    if isinstance(error, RuntimeError) and "allocate memory" in str(error):
        return "there is not enough memory"
    # The libraries' own messages are about their code.
    return "it is cut off or damaged; copy or download it again"


def _read(path: Path, head: bytes) -> object:
    # A safetensors file begins with the length of its JSON.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return load_file(path)
    if head.startswith(ZIP) and zip_kind(path) == "numpy":
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    # Opened here, since torch looks at the ending of a path.
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the errors say the same
        return torch.load(file, map_location="cpu", weights_only=True)
