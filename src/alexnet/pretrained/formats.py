"""File formats that cannot be loaded as weights, recognised by their first bytes, with advice on what to do."""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Literal

from torch.serialization import get_unsafe_globals_in_checkpoint

# Enough bytes to distinguish the formats.
N_HEAD = 512
ZIP = b"PK\x03\x04"

_CONVERT = "convert its weights to .safetensors or .npz, by name and in torch's shapes"
_UNPACK = "is an archive; unpack it, and give the file of weights in it"
_NEVER_EXECUTED = "which is never executed; if you trust it, save its arrays by name with numpy.savez"
_BEGINNINGS = {
    b"version https://git-lfs.": "is a Git LFS pointer, not the file itself; run: git lfs pull",
    b"\x89HDF\r\n\x1a\n": f"is an HDF5 file, as Keras writes them; {_CONVERT}",
    b"MATLAB 5.0 MAT-file": f"is a MATLAB file; {_CONVERT}",
    **dict.fromkeys(
        (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd"), _UNPACK
    ),
}
# Protocol buffers have no signature. The first field of an ONNX model is its version (a small number), the second its
# producer, domain or graph. A Caffe net begins with its name, followed by layers or inputs.
_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x28\x3a\x42]")
_CAFFE = re.compile(rb"\x0a[\x01-\x7f][ -~]+(\x12|\x1a|\xa2\x06)")
_WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)?<(!doctype html|html|head)", re.IGNORECASE | re.DOTALL)
_TENSORFLOW = re.compile(r"\.(pb|tflite|index|meta|data-\d+-of-\d+)$")

ZipKind = Literal["torch", "torchscript", "numpy", "keras", "other"]


def zip_kind(path: Path) -> ZipKind:
    """Return the kind of a zip file. A damaged one counts as torch's, since torch's error says best what is wrong."""
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError):
        return "torch"
    last = {name.rpartition("/")[2] for name in names}
    if "data.pkl" in last:
        return "torchscript" if "constants.pkl" in last else "torch"
    if names and all(name.endswith(".npy") for name in names):
        return "numpy"
    return "keras" if any(name.endswith(".weights.h5") for name in names) else "other"


def foreign(path: Path, head: bytes) -> str | None:
    """Describe a file that could not be read, as in ``is an ONNX model; convert ...``; None if it is unknown.

    Args:
        path: the file.
        head: its first ``N_HEAD`` bytes.
    """
    if not head:
        return "is empty; copy or download it again"
    for beginning, words in _BEGINNINGS.items():
        if head.startswith(beginning):
            return words
    if head.startswith(b"\x93NUMPY"):
        if re.search(rb"'descr': *'\|O", head):
            return f"is a pickle in NumPy's format, {_NEVER_EXECUTED}"
        return "is a single NumPy array; give an .npz file with an array for each name, as numpy.savez writes"
    if head.startswith(ZIP):
        return _foreign_zip(path)
    if _WEB_PAGE.match(head):
        return "is a web page that was downloaded instead of the file; download the file itself"
    if _is_text(head):
        return f"is text, not weights; it begins with {head[:40].decode(errors='replace').strip()!r}"
    return _foreign_buffer(path, head)


def _foreign_zip(path: Path) -> str | None:
    kind = zip_kind(path)
    if kind == "torch":
        return _more_than_tensors(path)
    return {
        "torchscript": "is a TorchScript program, which is never executed; save its state_dict() instead",
        "numpy": f"holds a pickle, {_NEVER_EXECUTED}",
        "keras": f"is a Keras model; {_CONVERT}",
        "other": _UNPACK,
    }[kind]


def _more_than_tensors(path: Path) -> str | None:
    """Name a class or function that a file of ``torch.save`` would call when loaded; None if there is none."""
    try:
        calls = sorted(get_unsafe_globals_in_checkpoint(str(path)))
    except (ValueError, RuntimeError, OSError, EOFError, pickle.UnpicklingError):
        return None
    if not calls:
        return None
    is_network = any(name.startswith("torch.nn.modules.") for name in calls)
    what = "a whole network" if is_network else f"more than tensors ({calls[0]})"
    return f"holds {what}; loading it would run its code, so it is refused; save model.state_dict() instead"


def _foreign_buffer(path: Path, head: bytes) -> str | None:
    name = path.name.lower()
    if head[4:8] == b"TFL3" or _TENSORFLOW.search(name):
        return f"is a TensorFlow file; {_CONVERT}"
    if name.endswith(".onnx") or _ONNX.match(head):
        return f"is an ONNX model; {_CONVERT}"
    if name.endswith(".caffemodel") or _CAFFE.match(head):
        return "is a Caffe model; save its blobs with numpy.savez, as conv1.0 for weights, conv1.1 for biases and so on"
    return None


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.end < len(head):  # else the head ends within a character
            return False
        text = head[: error.start].decode()
    return all(each.isprintable() or each in "\r\n\t" for each in text)
