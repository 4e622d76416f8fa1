"""Pack the images that the benchmarks need into few bytes, to bring them to a machine without a network."""

import tempfile
import zipfile
from pathlib import Path

from PIL import Image

from benchmarks.gpu.bench import CIFAR, TRASHNET, note
from benchmarks.small import extract

N_TRAIN, N_TEST = 20_000, 5_000
LONGEST_SIDE, QUALITY = 256, 90
MOST_BYTES = 55 * 2**20


def pack(data: Path, folder: Path) -> None:
    """Write a smaller trashnet5 and a part of CIFAR-10 into a new folder, which is then DATA on the other machine.

    Args:
        data: the folder with ``trashnet5`` and ``cifar10*.zip``.
        folder: the folder to write to.

    Raises:
        FileExistsError: it has these sets already.
        FileNotFoundError: a set is missing in ``data``.
        ValueError: the images take more than ``MOST_BYTES``.
    """
    archive = next(iter(sorted(data.glob(CIFAR))), data / CIFAR)
    if not archive.is_file() or not (data / TRASHNET).is_dir():
        raise FileNotFoundError(f"{str(data)!r} must have a folder {TRASHNET!r} and an archive {CIFAR!r}")
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((data / TRASHNET).rglob("*.jpg")):
        _shrink(path, folder / path.relative_to(data))
    _subset(archive, folder / "cifar10_part.zip")
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    note(f"{str(folder)!r} has {n_bytes / 2**20:.1f} MiB")
    if n_bytes > MOST_BYTES:
        raise ValueError(f"the images take {n_bytes / 2**20:.1f} MiB, more than {MOST_BYTES / 2**20:.0f}")


def _shrink(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as image:
        smaller = image.convert("RGB")
    smaller.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    with target.open("xb") as file:
        smaller.save(file, "JPEG", quality=QUALITY)


def _subset(archive: Path, target: Path) -> None:
    """Write the first images of every class, equally many of each."""
    with tempfile.TemporaryDirectory(prefix="alexnet-benchmark-") as work, zipfile.ZipFile(target, "x") as smaller:
        images = Path(work, "cifar10")
        extract(archive, images, N_TRAIN, N_TEST)
        for path in sorted(images.rglob("*.jpg")):
            smaller.write(path, path.relative_to(work))
