"""The data sets of torchvision: a table of how each is opened."""

import re
import tarfile
import urllib.error
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from alexnet.images.decoding import fault

Arguments = Mapping[str, object]

_BY_TRAIN: Mapping[str, Arguments] = {"train": {"train": True}, "test": {"train": False}}
_TRAIN_TEST: Mapping[str, Arguments] = {name: {"split": name} for name in ("train", "test")}
_TRAIN_VAL: Mapping[str, Arguments] = {name: {"split": name} for name in ("train", "val")}
_TRAIN_VAL_TEST: Mapping[str, Arguments] = {name: {"split": name} for name in ("train", "val", "test")}
_WHOLE: Mapping[str | None, Arguments] = {None: {}}
DIGITS = tuple("0123456789")
_IMAGENET = (
    "put ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar of image-net.org there, "
    "or give a folder with train and val folders of class folders"
)


@dataclass(frozen=True)
class TorchvisionSet:
    """How one of torchvision's sets is opened.

    Attributes:
        kind: its class in ``torchvision.datasets``.
        splits: the arguments of that class for each of our splits; the key is None for a set without splits.
        labels: the attribute with a number for each image, or a pair of a file and a number.
        files: the attribute with the images' files, or such pairs; empty if the images are arrays.
        classes: the attribute with the class names by number; or the names, if torchvision has none or unusual ones.
        mirror_safe: whether a mirrored image keeps its label.
        unpacked: paths that exist once the set is unpacked; for classes that otherwise unpack or create folders.
        by_hand: what the user must do, for a set that cannot be downloaded.
    """

    kind: str
    splits: Mapping[str, Arguments] | Mapping[str | None, Arguments]
    labels: str
    files: str = ""
    classes: str | tuple[str, ...] = "classes"
    mirror_safe: bool = True
    unpacked: tuple[str, ...] = ()
    by_hand: str = ""


def _upright(image: Image.Image) -> Image.Image:
    # EMNIST is stored by columns. torchvision reads it by rows, so its letters are transposed.
    return image.transpose(Image.Transpose.TRANSPOSE)


def _emnist(part: str) -> TorchvisionSet:
    splits = {name: {"split": part, "transform": _upright, **arguments} for name, arguments in _BY_TRAIN.items()}
    return TorchvisionSet("EMNIST", splits, "targets", mirror_safe=False)


SETS = {
    "mnist": TorchvisionSet("MNIST", _BY_TRAIN, "targets", classes=DIGITS, mirror_safe=False),
    "fashion-mnist": TorchvisionSet("FashionMNIST", _BY_TRAIN, "targets"),
    "kmnist": TorchvisionSet("KMNIST", _BY_TRAIN, "targets", mirror_safe=False),
    "emnist-balanced": _emnist("balanced"),
    "emnist-byclass": _emnist("byclass"),
    "emnist-digits": _emnist("digits"),
    "emnist-letters": _emnist("letters"),
    "usps": TorchvisionSet("USPS", _BY_TRAIN, "targets", classes=DIGITS, mirror_safe=False),
    "svhn": TorchvisionSet("SVHN", _TRAIN_TEST, "labels", classes=DIGITS, mirror_safe=False),
    "cifar10": TorchvisionSet("CIFAR10", _BY_TRAIN, "targets"),
    "cifar100": TorchvisionSet("CIFAR100", _BY_TRAIN, "targets"),
    "stl10": TorchvisionSet("STL10", _TRAIN_TEST, "labels"),
    "imagenette": TorchvisionSet("Imagenette", _TRAIN_VAL, "_samples", "_samples"),
    "flowers102": TorchvisionSet("Flowers102", _TRAIN_VAL_TEST, "_labels", "_image_files"),
    "pets": TorchvisionSet(
        "OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}, "_labels", "_images"
    ),
    "food101": TorchvisionSet("Food101", _TRAIN_TEST, "_labels", "_image_files"),
    "dtd": TorchvisionSet("DTD", _TRAIN_VAL_TEST, "_labels", "_image_files"),
    "fgvc-aircraft": TorchvisionSet("FGVCAircraft", _TRAIN_VAL_TEST, "_labels", "_image_files"),
    "eurosat": TorchvisionSet("EuroSAT", _WHOLE, "targets", "samples"),
    # Its authors gave the traffic signs numbers, not names.
    "gtsrb": TorchvisionSet(
        "GTSRB", _TRAIN_TEST, "_samples", "_samples", tuple(map(str, range(43))), mirror_safe=False
    ),
    "imagenet": TorchvisionSet(
        "ImageNet", _TRAIN_VAL, "targets", "samples", unpacked=("meta.bin", "{split}"), by_hand=_IMAGENET
    ),
}


def construct(row: TorchvisionSet, root: Path, split: str | None, *, unpack: bool) -> Any:
    """Return torchvision's data set of one split in ``root``; with ``unpack`` it downloads and unpacks missing files.

    Raises:
        Exception: nearly anything; see ``reason``.
    """
    import torchvision

    if not unpack and not all((root / path.format(split=split)).exists() for path in row.unpacked):
        raise RuntimeError("not unpacked")
    splits: Mapping[Any, Arguments] = row.splits
    options = {} if row.by_hand else {"download": unpack}
    return getattr(torchvision.datasets, row.kind)(root, **splits[split], **options)


def unpack(row: TorchvisionSet, folder: Path, split: str | None) -> None:
    """Let torchvision unpack one split in a folder, from archives there or from its server.

    Raises:
        Exception: nearly anything; see ``reason``.
    """
    construct(row, folder, split, unpack=True)


def reason(error: BaseException) -> str:
    """Return in a few words why a download failed."""
    text = " ".join(str(error).split())
    if isinstance(error, urllib.error.HTTPError):
        return f"the server responded {error.code} {error.reason}"
    # The MNIST class keeps only the text of its mirrors' errors.
    refused = re.search(r"<urlopen error (?:\[Errno -?\d+\] )?([^>]*)>", text)
    if refused:
        return f"no network ({refused[1]})"
    if isinstance(error, TimeoutError | ConnectionError):
        return f"no network ({text or type(error).__name__})"
    if "corrupted" in text:
        return "the downloaded file has a wrong checksum"
    if isinstance(error, EOFError | tarfile.TarError | zipfile.BadZipFile | zlib.error):
        return f"the archive is damaged ({text})"
    if isinstance(error, OSError) and error.errno is not None:
        return fault(error)
    return text[:200] or type(error).__name__
