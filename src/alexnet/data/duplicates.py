"""Duplicate images: exact ones by a digest of their pixels, near ones by a perceptual hash."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.data.neighbours import clusters, nearest
from alexnet.data.source import SPLITS, LabelledImage
from alexnet.images.decoding import Pixels

# Two images are near duplicates if the hashes differ in at most this many bits. Measured on each image of one split and
# its nearest image of another, without exact copies; right / found, by the number of differing bits:
#                  0 to 4     6      8
#     trashnet5       9/9   5/6    1/2    by eye; another image of the same object counts as right
#     apple_leaf3     0/0   5/5  10/15    by eye; another image of the same leaf counts as right
#     CIFAR-10      73/74 60/64 52/101    correlation of 0.8 or more; 60 pairs below 8 bits seen by eye, 1 wrong
# Found with 6 bits after a change to every fifth image of trashnet5 (n=478): JPEG of quality 50, half the size, or
# contrast x 1.3: all; brightness x 1.3, which clips: 88%; 2% cut off each side: 82%.
NEAR = 6
# The least spread of the hashed waves, in grey levels. A page of one colour or a plain gradient has none, and rounding
# would decide every bit.
LEAST_DETAIL = 1.0
# Images with a shorter longest side are not grouped by similarity: most are glyphs, and many glyphs are alike. Of the
# 1,797 digits (8x8, shown as 32x32) 160 would be grouped, in 57 groups, and none of these is a burst.
LEAST_SIDE = 64

_SIDE = 32
# Waves 1 to 8 of the discrete cosine transform, along one side. Wave 0 is the mean of each row or column, which is the
# same in all images taken on one table: with waves 0 to 7, 6 bits find 20 pairs in trashnet5 instead of 15, and 15
# instead of 5 in apple_leaf3.
_WAVES = np.sqrt(2 / _SIDE) * np.cos(np.pi / _SIDE * np.outer(np.arange(1, 9), np.arange(_SIDE) + 0.5))


def pixel_digest(pixels: Pixels) -> bytes:
    """Return 16 bytes that are equal for equal pixels ``(H, W, 3)``, whatever the file format.

    ``check`` hashes all pixels of an image, ``split`` those that the store keeps (with ``--resize crop``, all decoded
    ones). So two images that differ only in finer detail are one image to training and two to ``check``. Hashing all
    would take a quarter of a preparation: SHA-256 takes 0.41 ms for 512x384 and 0.13 ms for 256x256, preparing 1.0 ms.
    """
    state = hashlib.sha256(str(pixels.shape).encode())
    state.update(np.ascontiguousarray(pixels).data)
    return state.digest()[:16]


def perceptual_hash(pixels: Pixels) -> int | None:
    """Return a 64-bit hash of how ``(H, W, 3)`` pixels look, or None for an image with too little detail.

    Each bit says whether one of the 8x8 coarsest waves of the luminance is stronger than their median. So another size,
    compression, brightness or contrast changes few bits.

    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010: pHash's DCT hash.
    """
    grey = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    # Rounded: in symmetrical images some waves are zero but for the last digits, which differ between machines.
    waves = (_WAVES @ np.asarray(grey, np.float64) @ _WAVES.T).ravel().round(6)
    if np.linalg.norm(waves) / _SIDE < LEAST_DETAIL:
        return None
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes())


def burst_hash(pixels: Pixels, longest_side: int) -> int | None:
    """Return the perceptual hash that groups similar images, or None for an image that is small or has no detail.

    Args:
        pixels: ``(H, W, 3)``.
        longest_side: of the image file, in pixels; ``pixels`` may be decoded at a smaller size.
    """
    return perceptual_hash(pixels) if longest_side >= LEAST_SIDE else None


def duplicates(images: Iterable[LabelledImage], digest_of: Callable[[str], object]) -> list[tuple[LabelledImage, ...]]:
    """Return the groups of two or more images with the same digest."""
    groups: dict[object, list[LabelledImage]] = defaultdict(list)
    for image in images:
        groups[digest_of(image.path)].append(image)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def near_duplicates(
    images: Iterable[LabelledImage], digest_of: Callable[[str], object], hash_of: Callable[[str], int | None]
) -> Iterator[tuple[LabelledImage, LabelledImage, int]]:
    """Yield pairs of similar images in two splits, with the number of differing bits, at most ``NEAR``.

    Images with an exact duplicate in the other split are left out. Each image is paired with the nearest one only:
    frames of one video in two splits would make millions of pairs.
    """
    by_split: dict[str | None, list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_split[image.split].append(image)
    for earlier, later in combinations([by_split[split] for split in SPLITS if split in by_split], 2):
        known = {digest_of(image.path) for image in earlier}
        among, hashes_among = _hashed(earlier, hash_of)
        new, hashes = _hashed((image for image in later if digest_of(image.path) not in known), hash_of)
        for i, j, distance in nearest(hashes, hashes_among, NEAR):
            yield among[j], new[i], distance


def similar_groups(images: Iterable[LabelledImage], hash_of: Callable[[str], int | None]) -> list[list[LabelledImage]]:
    """Return images in groups of similar ones, such as a burst of images or the frames of a video.

    An image without a hash is a group of its own.
    """
    images = list(images)
    hashed, hashes = _hashed(images, hash_of)
    single = [[image] for image in images if hash_of(image.path) is None]
    return [[hashed[i] for i in cluster] for cluster in clusters(hashes, NEAR)] + single


def _hashed(
    images: Iterable[LabelledImage], hash_of: Callable[[str], int | None]
) -> tuple[list[LabelledImage], npt.NDArray[np.uint64]]:
    """Return the images that have a hash, and their hashes ``(N,)``."""
    known = [(image, value) for image in images if (value := hash_of(image.path)) is not None]
    return [image for image, _ in known], np.array([value for _, value in known], np.uint64)
