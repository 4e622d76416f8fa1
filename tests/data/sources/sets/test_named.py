"""Named sets, from small copies in the sets' own formats; downloads come only from this machine."""

import bz2
import functools
import gzip
import hashlib
import http.server
import json
import os
import pickle
import shutil
import socket
import sys
import tarfile
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch
import torchvision
from PIL import Image
from scipy.io import savemat

from alexnet.data.sources.sets import download_process
from alexnet.data.sources.sets.named import NAMES, open_named
from alexnet.errors import DataError, ImageError
from alexnet.images.decoding import decode

# What each copy holds: the labels of each split's images, in order.
Labels = dict[str | None, list[str]]
RANDOM = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(12, 16, 3)).save(path, "PPM" if path.suffix == ".ppm" else "JPEG")


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


class OldType:
    """Stands for the types in pickles of Python 2; NumPy 2.4.0 warned about them (pytorch/vision #9340)."""

    def __reduce__(self) -> tuple[object, ...]:
        return warnings.warn, ("dtype(): align should be passed as Python or NumPy boolean",)


def mnist(root: Path) -> Labels:
    for name in ("MNIST", "FashionMNIST"):
        for prefix, n in (("train", 3), ("t10k", 2)):
            idx(root / name / "raw" / f"{prefix}-images-idx3-ubyte", pixels(n, 28, 28))
            idx(root / name / "raw" / f"{prefix}-labels-idx1-ubyte", np.array([7, 0, 9][:n], np.uint8))
    return {"train": ["7", "0", "9"], "test": ["7", "0"]}


def fashion_mnist(root: Path) -> Labels:
    mnist(root)
    return {"train": ["Sneaker", "T-shirt/top", "Ankle boot"], "test": ["Sneaker", "T-shirt/top"]}


def emnist_letters(root: Path) -> Labels:
    for split in ("train", "test"):
        idx(root / "EMNIST" / "raw" / f"emnist-letters-{split}-images-idx3-ubyte", pixels(2, 28, 28))
        idx(root / "EMNIST" / "raw" / f"emnist-letters-{split}-labels-idx1-ubyte", np.array([1, 26], np.uint8))
    return {"train": ["a", "z"], "test": ["a", "z"]}


def usps(root: Path) -> Labels:
    for name in ("usps.bz2", "usps.t.bz2"):
        rows = [f"{label} " + " ".join(f"{i}:{i / 128 - 1}" for i in range(1, 257)) for label in (1, 10)]
        (root / name).write_bytes(bz2.compress("\n".join(rows).encode()))
    return {"train": ["0", "9"], "test": ["0", "9"]}


def svhn(root: Path) -> Labels:
    for split in ("train", "test"):
        savemat(root / f"{split}_32x32.mat", {"X": pixels(32, 32, 3, 2), "y": np.array([[10], [4]], np.uint8)})
    return {"train": ["0", "4"], "test": ["0", "4"]}


def cifar10(root: Path) -> Labels:
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        batch = {"data": pixels(2, 3072), "labels": [1, 0], "type": OldType()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["airplane", "automobile"]}, protocol=2))
    return {"train": ["automobile", "airplane"] * 5, "test": ["automobile", "airplane"]}


def stl10(root: Path) -> Labels:
    folder = root / "stl10_binary"
    text(folder / "class_names.txt", "airplane", "bird")
    for split in ("train", "test", "unlabeled"):
        (folder / f"{split}_X.bin").write_bytes(pixels(2, 3 * 96 * 96).tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes([2, 1]))
    return {"train": ["bird", "airplane"], "test": ["bird", "airplane"]}


def imagenette(root: Path) -> Labels:
    for split in ("train", "val"):
        for wnid in torchvision.datasets.Imagenette._WNID_TO_CLASS:
            image(root / "imagenette2" / split / wnid / "a.JPEG")
    names = ["tench", "English springer", "cassette player", "chain saw", "church"]
    names += ["French horn", "garbage truck", "gas pump", "golf ball", "parachute"]
    return {"train": names, "val": names}


def flowers102(root: Path) -> Labels:
    folder = root / "flowers-102"
    for number in (1, 2, 3):
        image(folder / "jpg" / f"image_{number:05d}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": [[77, 1, 2]]})
    # Two of each: a list of one is squeezed to a number, which never happens with the real set.
    savemat(folder / "setid.mat", {"trnid": [[3, 1]], "valid": [[2, 1]], "tstid": [[1, 2]]})
    orchid, primrose, passion = "hard-leaved pocket orchid", "pink primrose", "passion flower"
    return {"train": [orchid, passion], "val": [primrose, passion], "test": [passion, primrose]}


def pets(root: Path) -> Labels:
    folder = root / "oxford-iiit-pet"
    for name in ("Abyssinian_1", "american_bulldog_7"):
        image(folder / "images" / f"{name}.jpg")
    text(folder / "annotations" / "trainval.txt", "american_bulldog_7 2 2 1", "Abyssinian_1 1 1 1")
    text(folder / "annotations" / "test.txt", "Abyssinian_1 1 1 1")
    return {"train": ["American Bulldog", "Abyssinian"], "test": ["Abyssinian"]}


def food101(root: Path) -> Labels:
    for number in (1, 2):
        image(root / "food-101" / "images" / "waffles" / f"{number}.jpg")
    image(root / "food-101" / "images" / "baklava" / "3.jpg")
    text(root / "food-101" / "meta" / "train.json", json.dumps({"waffles": ["waffles/1"], "baklava": ["baklava/3"]}))
    text(root / "food-101" / "meta" / "test.json", json.dumps({"waffles": ["waffles/2"]}))
    return {"train": ["waffles", "baklava"], "test": ["waffles"]}


def dtd(root: Path) -> Labels:
    for name in ("banded/b_1.jpg", "zigzagged/z_1.jpg"):
        image(root / "dtd" / "dtd" / "images" / name)
    for split in ("train", "val", "test"):
        text(root / "dtd" / "dtd" / "labels" / f"{split}1.txt", "zigzagged/z_1.jpg", "banded/b_1.jpg")
    return {split: ["zigzagged", "banded"] for split in ("train", "val", "test")}


def fgvc_aircraft(root: Path) -> Labels:
    folder = root / "fgvc-aircraft-2013b" / "data"
    image(folder / "images" / "1.jpg")
    text(folder / "variants.txt", "707-320", "A300B4")
    for split in ("train", "val", "test"):
        text(folder / f"images_variant_{split}.txt", "1 A300B4", "1 707-320")
    return {split: ["A300B4", "707-320"] for split in ("train", "val", "test")}


def eurosat(root: Path) -> Labels:
    for name in ("River/River_1.jpg", "Forest/Forest_1.jpg"):
        image(root / "eurosat" / "2750" / name)
    return {None: ["Forest", "River"]}


def gtsrb(root: Path) -> Labels:
    folder = root / "gtsrb"
    for number in range(3):
        image(folder / "GTSRB" / "Training" / f"{number:05d}" / "a.ppm")
    image(folder / "GTSRB" / "Final_Test" / "Images" / "0.ppm")
    text(folder / "GT-final_test.csv", "Filename;ClassId", "0.ppm;12")
    return {"train": ["0", "1", "2"], "test": ["12"]}


def imagenet(root: Path) -> Labels:
    classes = {"n01": ("tench", "Tinca tinca"), "n02": ("crane",), "n03": ("crane",)}
    torch.save((classes, ["n01", "n02", "n03"]), root / "meta.bin")
    for split in ("train", "val"):
        for wnid in classes:
            image(root / split / wnid / "a.JPEG")
    names = ["tench", "crane (n02)", "crane (n03)"]
    return {"train": names, "val": names}


COPIES: dict[str, Callable[[Path], Labels]] = {
    "mnist": mnist,
    "fashion-mnist": fashion_mnist,
    "emnist-letters": emnist_letters,
    "usps": usps,
    "svhn": svhn,
    "cifar10": cifar10,
    "stl10": stl10,
    "imagenette": imagenette,
    "flowers102": flowers102,
    "pets": pets,
    "food101": food101,
    "dtd": dtd,
    "fgvc-aircraft": fgvc_aircraft,
    "eurosat": eurosat,
    "gtsrb": gtsrb,
    "imagenet": imagenet,
}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the network."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.fixture
def any_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision accept our small copies."""

    def is_there(path: str, md5: str | None = None) -> bool:
        return Path(path).is_file()

    for module in ("cifar", "stl10", "svhn", "flowers102"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.check_integrity", is_there)


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """A server on this machine: its address, and the folder it serves."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = tmp_path_factory.mktemp("served")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()
        thread.join()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.usefixtures("no_network", "any_checksum")
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_read_in_place(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = COPIES[name](tmp_path)
    before = everything_in(tmp_path)
    source = open_named(name, tmp_path)
    expected = {
        f"{split}/{i:05d}" if split else f"{i:05d}": (label, split)
        for split in sorted(labels, key=str)
        for i, label in enumerate(labels[split])
    }
    assert [image.path for image in source.images] == list(expected)
    assert {each.path: (each.label, each.split) for each in source.images} == expected
    assert set(source.classes) == {label for split in labels.values() for label in split}
    assert source.name == name
    assert not source.warnings
    with ThreadPoolExecutor(4) as pool:
        read = list(source.reader.each(expected))
        contents = list(pool.map(lambda pair: pair[1](), read))
    assert [path for path, _ in read] == list(expected)
    for path, content in zip(expected, contents, strict=True):
        assert decode(content).shape[2] == 3
        assert source.reader.stamp(path) == source.reader.stamp(path)
    assert everything_in(tmp_path) == before
    assert capsys.readouterr().out == ""


def test_images_are_those_of_torchvision(tmp_path: Path) -> None:
    mnist(tmp_path)
    there = torchvision.datasets.MNIST(tmp_path, train=False)
    for path, read in open_named("mnist", tmp_path).reader.each(["test/00001", "test/00000"]):
        assert np.array_equal(decode(read())[..., 0], there.data[int(path[-5:])].numpy())


def test_files_are_not_decoded(tmp_path: Path) -> None:
    """So large ones can later be decoded at a part of their size."""
    pets(tmp_path)
    ((_, read),) = open_named("pets", tmp_path).reader.each(["test/00000"])
    assert read() == (tmp_path / "oxford-iiit-pet" / "images" / "Abyssinian_1.jpg").read_bytes()


def test_letters_stand_upright(tmp_path: Path) -> None:
    emnist_letters(tmp_path)
    there = torchvision.datasets.EMNIST(tmp_path, "letters", train=True)
    ((_, read),) = open_named("emnist-letters", tmp_path).reader.each(["train/00000"])
    assert np.array_equal(decode(read())[..., 0], there.data[0].numpy().T)


@pytest.mark.usefixtures("any_checksum")
@pytest.mark.parametrize("name", ["mnist", "emnist-letters", "svhn", "gtsrb", "fashion-mnist", "pets"])
def test_signs_and_letters_are_not_mirrored(name: str, tmp_path: Path) -> None:
    COPIES[name](tmp_path)
    assert open_named(name, tmp_path).mirror_safe == (name in ("fashion-mnist", "pets"))


def test_digits_need_no_download() -> None:
    source = open_named("digits", None)
    assert len(source.images) == 1797
    assert source.images[0].path == "0000"
    assert [image.label for image in source.images[:3]] == ["0", "1", "2"]
    assert source.classes == tuple("0123456789")
    assert not source.mirror_safe
    ((_, read),) = source.reader.each(["1796"])
    assert decode(read()).shape == (32, 32, 3)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("digits", "imagenet")])
def test_without_a_network_there_is_one_line_and_no_trace(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError) as caught:
        open_named(name, tmp_path / "new" / "folder")
    assert str(caught.value) == (
        f"cannot download {name!r} to {str(tmp_path / 'new' / 'folder')!r}: no network (Name or service not known); "
        "download it elsewhere and give its folder with --data-dir"
    )
    assert not everything_in(tmp_path)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("no_network")
def test_a_damaged_copy_is_reported(tmp_path: Path) -> None:
    imagenette(tmp_path)
    (tmp_path / "imagenette2" / "val" / "n01440764" / "a.JPEG").unlink()
    with pytest.raises(DataError, match="the copy there is damaged: Found no valid file for the classes n01440764"):
        open_named("imagenette", tmp_path)


@pytest.fixture(autouse=True)
def _in_this_process() -> Iterator[None]:
    """Download in this process: tests replace torchvision's servers."""
    socket.setdefaulttimeout(60)
    yield
    socket.setdefaulttimeout(None)


def test_a_silent_server_times_out_and_the_process_keeps_no_timeout(monkeypatch, tmp_path: Path) -> None:
    """From Python, a download waited forever."""
    socket.setdefaulttimeout(None)
    monkeypatch.setattr(download_process, "SERVER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for kind in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(kind, f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(DataError, match=r"cannot download 'cifar10' to .*: no network \(.*timed out\)") as caught:
            open_named("cifar10", tmp_path / "data")
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300
    assert socket.getdefaulttimeout() is None
    assert not (tmp_path / "data").exists()


def test_a_download_in_a_subprocess(server, monkeypatch, tmp_path: Path, capfd) -> None:
    serve_mnist(server, monkeypatch, tmp_path / "original")
    mirrors, resources = torchvision.datasets.MNIST.mirrors, torchvision.datasets.MNIST.resources
    text(
        tmp_path / "site" / "sitecustomize.py",
        "import torchvision",
        f"torchvision.datasets.MNIST.mirrors = {mirrors!r}",
        f"torchvision.datasets.MNIST.resources = {resources!r}",
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    # Only the subprocess knows the server.
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    socket.setdefaulttimeout(None)
    source = open_named("mnist", tmp_path / "data")
    assert [image.label for image in source.images] == ["7", "0", "7", "0", "9"]
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == ["MNIST"]
    assert capfd.readouterr().out == ""


def serve_mnist(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    address, served = server
    mnist(folder)
    resources = []
    for file in sorted((folder / "MNIST" / "raw").iterdir()):
        (served / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        resources.append((f"{file.name}.gz", md5(served / f"{file.name}.gz")))
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [address])
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)


def test_a_download(
    server, monkeypatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    serve_mnist(server, monkeypatch, tmp_path / "original")
    source = open_named("mnist", tmp_path / "data")
    assert [image.label for image in source.images] == ["7", "0", "7", "0", "9"]
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == ["MNIST"]
    assert capsys.readouterr().out == ""
    folder = tmp_path / "data"
    assert caplog.messages[0] == f"downloading missing files of mnist (test) to {folder}"
    assert source.warnings == (f"mnist was downloaded to {str(folder)!r}, or unpacked from an archive there",)
    caplog.clear()
    shutil.rmtree(server[1])  # the second time, nothing is downloaded
    again = open_named("mnist", folder)
    assert again.images == source.images
    assert not again.warnings
    assert not caplog.messages


def test_a_wrong_checksum_leaves_nothing(server, monkeypatch, tmp_path: Path) -> None:
    serve_mnist(server, monkeypatch, tmp_path / "original")
    damaged = server[1] / "train-images-idx3-ubyte.gz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-9])
    with pytest.raises(DataError, match=r"cannot download 'mnist' to .*: the downloaded file has a wrong checksum"):
        open_named("mnist", tmp_path / "data")
    assert not (tmp_path / "data").exists()
    damaged.write_bytes(whole)
    assert len(open_named("mnist", tmp_path / "data").images) == 5


def test_a_server_that_refuses(server, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", f"{server[0]}gone.tar.gz")
    with pytest.raises(DataError, match="the server responded 404 File not found"):
        open_named("cifar10", tmp_path / "data")


def test_what_a_killed_process_unpacked_is_not_taken_for_complete(monkeypatch, tmp_path: Path) -> None:
    """torchvision takes any folder named 2750 for the complete EuroSAT."""

    def die_half_way(*_: object, download_root: str, **__: object) -> None:
        eurosat(Path(download_root).parent)
        raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.eurosat.download_and_extract_archive", die_half_way)
    with pytest.raises(KeyboardInterrupt):
        open_named("eurosat", tmp_path / "data")
    assert not everything_in(tmp_path)


def test_an_archive_of_the_users_is_unpacked(monkeypatch, no_network, tmp_path: Path) -> None:
    labels = imagenette(tmp_path / "original")
    archive = tmp_path / "data" / "imagenette2.tgz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "original" / "imagenette2", "imagenette2")
    where = {"full": (torchvision.datasets.Imagenette._ARCHIVES["full"][0], md5(archive))}
    monkeypatch.setattr(torchvision.datasets.Imagenette, "_ARCHIVES", where)
    source = open_named("imagenette", tmp_path / "data")
    assert [image.label for image in source.in_split("val")] == labels["val"]
    assert sorted(path.name for path in archive.parent.iterdir()) == ["imagenette2", "imagenette2.tgz"]


@pytest.mark.usefixtures("no_network", "any_checksum")
def test_only_the_split_that_is_missing_is_downloaded(tmp_path: Path) -> None:
    svhn(tmp_path)
    (tmp_path / "test_32x32.mat").unlink()
    with pytest.raises(DataError, match="no network"):
        open_named("svhn", tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["train_32x32.mat"]


def test_an_image_that_is_deleted_and_restored(tmp_path: Path) -> None:
    pets(tmp_path)
    file = tmp_path / "oxford-iiit-pet" / "images" / "Abyssinian_1.jpg"
    source = open_named("pets", tmp_path)
    before, content, modified = source.reader.stamp("test/00000"), file.read_bytes(), file.stat().st_mtime_ns
    file.unlink()
    ((_, read),) = source.reader.each(["test/00000"])
    with pytest.raises(ImageError, match=r"Abyssinian_1\.jpg: there is no such file"):
        read()
    assert source.reader.stamp("test/00000") == "missing"
    file.write_bytes(content)
    os.utime(file, ns=(modified, modified))
    assert source.reader.stamp("test/00000") == before
    file.write_bytes(content)
    assert source.reader.stamp("test/00000") != before, "it may be another of the same size"


def test_an_archive_of_the_users_is_never_written_to(monkeypatch, tmp_path: Path) -> None:
    """torchvision overwrites an archive with a wrong checksum, so it must get a copy."""
    data = tmp_path / "data"
    data.mkdir()
    archive = data / "cifar-10-python.tar.gz"
    archive.write_bytes(b"the user's own")

    def write_over(self, *_: object) -> None:
        (Path(self.root) / "cifar-10-python.tar.gz").write_bytes(b"half of it")
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(torchvision.datasets.CIFAR10, "download", write_over)
    with pytest.raises(DataError, match="cannot download 'cifar10'"):
        open_named("cifar10", data)
    assert archive.read_bytes() == b"the user's own"
    assert [path.name for path in data.iterdir()] == [archive.name]


def test_imagenet_must_be_put_there_by_hand(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no 'imagenet' in .*; put ILSVRC2012_devkit_t12\.tar\.gz"):
        open_named("imagenet", tmp_path / "data")
    assert not everything_in(tmp_path)


def test_imagenet_may_have_val_only(tmp_path: Path) -> None:
    imagenet(tmp_path)
    shutil.rmtree(tmp_path / "train")
    source = open_named("imagenet", tmp_path)
    assert {image.split for image in source.images} == {"val"}
    assert source.classes == ("crane (n02)", "crane (n03)", "tench")
    assert source.warnings == (f"imagenet has no train images: they are missing in {str(tmp_path)!r}, or damaged",)


def test_imagenet_is_unpacked_from_its_archives(monkeypatch, tmp_path: Path) -> None:
    imagenet(tmp_path)
    shutil.rmtree(tmp_path / "train")
    shutil.rmtree(tmp_path / "val")
    archive = tmp_path / "ILSVRC2012_img_val.tar"
    with tarfile.open(archive, "w") as file:
        for number in range(3):
            image(tmp_path / "one.JPEG")
            file.add(tmp_path / "one.JPEG", f"ILSVRC2012_val_{number:08d}.JPEG")
    monkeypatch.setitem(torchvision.datasets.imagenet.ARCHIVE_META, "val", (archive.name, md5(archive)))
    source = open_named("imagenet", tmp_path)
    assert [image.label for image in source.images] == ["tench", "crane (n02)", "crane (n03)"]
    assert not list(tmp_path.glob(".unfinished*"))


def test_without_torchvision(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match=r"'cifar10' needs torchvision .*; pip install torchvision"):
        open_named("cifar10", tmp_path)


@pytest.mark.parametrize("returns", [True, False])
def test_without_a_home_it_says_how_to_give_a_folder(monkeypatch, returns) -> None:
    """An older platformdirs returns a path with a tilde, a newer one raises."""

    def user_data_path(*_: object, **__: object) -> Path:
        if returns:
            return Path("~/.local/share/alexnet")
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_data_path", user_data_path)
    with pytest.raises(DataError, match=r"no home folder .* --data-dir"):
        open_named("cifar10", None)
