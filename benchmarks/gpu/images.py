"""Made-up images, for speeds where no images are at hand, and for ``--smoke``."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ("red", "green", "blue")


def make_folder(folder: Path, *, n_train: int, sides: tuple[int, int] = (256, 192)) -> Path:
    """Make ``train``, ``val`` and ``test`` with three classes of smooth images, unless they exist already.

    Args:
        folder: where.
        n_train: training images of each class; ``val`` and ``test`` have a quarter of that.
        sides: width and height of the images in pixels.
    """
    if folder.is_dir():
        return folder
    rng = np.random.default_rng(0)
    for split, n in (("train", n_train), ("val", max(2, n_train // 4)), ("test", max(2, n_train // 4))):
        for channel, colour in enumerate(COLOURS):
            (folder / split / colour).mkdir(parents=True)
            for number in range(n):
                pixels = rng.integers(0, 156, (8, 8, 3))
                pixels[..., channel] += 100
                image = Image.fromarray(pixels.astype(np.uint8)).resize(sides, Image.Resampling.BICUBIC)
                image.save(folder / split / colour / f"{number}.jpg", quality=90)
    return folder


def make_archive(archive: Path) -> Path:
    """Make a zip archive with a few such images of 32 px in ``train`` and ``test``."""
    folder = make_folder(archive.with_suffix(""), n_train=16, sides=(32, 32))
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.rglob("*.jpg")):
            if path.parts[-3] != "val":
                target.write(path, path.relative_to(folder.parent))
    return archive
