"""Files of other formats are named in the error. Each is made here by the rules of its format."""

import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from alexnet import AlexNet
from alexnet.errors import ArtifactError
from alexnet.pretrained.weight_files import read_weights


def field(number: int, content: bytes) -> bytes:
    """Return a field of a protocol buffer that holds fewer than 128 bytes."""
    tag = number << 3 | 2
    return (bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])) + bytes([len(content)]) + content


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, each in files.items():
            file.writestr(name.replace("__", "."), each)
    return content.getvalue()


def written(save: Callable[[io.BytesIO], object]) -> bytes:
    content = io.BytesIO()
    save(content)
    return content.getvalue()


OBJECTS = np.array({"conv1": [np.zeros(3)]}, dtype=object)
FILES = {
    "empty.pth": (b"", "is empty"),
    "empty.safetensors": (b"", "is empty"),
    "lfs.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 244408911\n", "git lfs pull"),
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git lfs pull"),
    "page.pth": (b"<html>404: not found</html>", "is a web page that was downloaded instead"),
    "page.safetensors": (b"\xef\xbb\xbf\n<!DOCTYPE html><html lang=en>" + b"x" * 900, "is a web page"),
    "drive.pth": (b"<!-- Google Drive --> <!doctype html>", "is a web page"),
    "answer.pth": (b"Entry not found", "is text, not weights; it begins with 'Entry not found'"),
    "index.json": (b'{"weight_map": "' + "ä".encode() * 400, "is text, not weights"),
    "keras.h5": (b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0", "is an HDF5 file"),
    "net.keras": (zipped(config__json=b"{}", model__weights__h5=b"\x89HDF"), "is a Keras model"),
    "bvlc_alexnet.npy": (written(lambda file: np.save(file, OBJECTS)), "is a pickle in NumPy's format, which is never"),
    "one.npy": (written(lambda file: np.save(file, np.zeros(3))), r"is a single NumPy array; give an \.npz file"),
    "objects.npz": (written(lambda file: np.savez(file, a=OBJECTS)), "holds a pickle, which is never executed"),
    "alexnet.caffemodel": (field(1, b"AlexNet") + field(2, b"data"), r"is a Caffe model; .* conv1\.0 for weights"),
    "new.pth": (field(1, b"CaffeNet") + field(100, b"\x0a\x04data"), "is a Caffe model"),
    "net.onnx": (b"\x08\x08" + field(2, b"pytorch") + field(7, b"graph"), "is an ONNX model"),
    "net.pth": (b"\x08\x07" + field(2, b"pytorch"), "is an ONNX model"),
    "frozen.pb": (field(1, field(1, b"conv1")), "is a TensorFlow file"),
    "net.tflite": (struct.pack("<I", 28) + b"TFL3" + b"\0" * 20, "is a TensorFlow file"),
    "net.ckpt.data-00000-of-00001": (bytes(range(128, 250)), "is a TensorFlow file"),
    "imagenet-caffe-alex.mat": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + b"\0" * 200, "is a MATLAB file"),
    "net.pth.gz": (gzip.compress(b"x"), "is an archive; unpack it"),
    "net.zip": (zipped(net__pth=b"x"), "is an archive; unpack it"),
    "noise.pth": (bytes(range(250, 100, -1)), "holds more than tensors, or is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_each_format_is_named(tmp_path: Path, name: str) -> None:
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
        ArtifactError, match=rf"{name}' .*{words}" if words.startswith("git") else f"{name}' {words}"
    ) as caught:
        read_weights(tmp_path / name)
    message = str(caught.value)
    assert ";" in message, "nothing is said of what to do"
    assert len(message.replace(str(tmp_path), "")) < 250
    assert "\n" not in message


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_programs_and_whole_networks_are_named(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3))
    torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3, 4, 4)), tmp_path / "script.pt")
    torch.save(AlexNet(hidden=(4,)), tmp_path / "whole.pth")
    torch.save({"net": net, "epoch": 3}, tmp_path / "layers.pth")
    torch.save({"weights": net.state_dict(), "args": Path("x")}, tmp_path / "args.pth")
    for name, words in (
        ("script.pt", r"is a TorchScript program, which is never executed; save its state_dict\(\)"),
        ("whole.pth", "holds a whole network; loading it would run its code"),
        ("layers.pth", "holds a whole network; loading it would run its code"),
        ("args.pth", r"holds more than tensors \(pathlib\.\w+\); loading it would run its code"),
    ):
        with pytest.raises(ArtifactError, match=f"{name}' {words}"):
            read_weights(tmp_path / name)


def test_an_old_pickle_is_not_reported_as_text(tmp_path: Path) -> None:
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"a": 1}, protocol=2))
    with pytest.raises(ArtifactError, match=r"cannot read the weights|more than tensors"):
        read_weights(tmp_path / "old.pth")
