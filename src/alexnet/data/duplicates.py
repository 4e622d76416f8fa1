"""The same image twice: exactly, by its decoded pixels, or nearly, by a perceptual hash."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.data.neighbours import families, nearest
from alexnet.data.source import SPLITS, LabelledImage
from alexnet.images.decoding import Pixels

# Two images are nearly the same if at most so many bits differ. Measured on images of one split and the nearest of
# another, exact copies left out; right / found by the number of bits that differ:
#                  0 to 4     6      8
#     trashnet5       9/9   5/6    1/2    looked at; other images of one object count as right
#     apple_leaf3     0/0   5/5  10/15    looked at; so do those of one leaf
#     CIFAR-10      73/74 60/64 52/101    a correlation of 0.8 or more; of 60 looked at below 8 bits, one was wrong
# What 6 bits find, of every fifth image of trashnet5 (n=478) after a change: JPEG of quality 50, half the size, or
# contrast x 1.3: all; brightness x 1.3, which clips: 88%; 2% cut off each side: 82%.
NEAR = 6
# In grey levels: the spread that the hashed waves must have. Without any, as in a page of one colour or a plain
# gradient, every bit would be a matter of rounding.
LEAST_DETAIL = 1.0
# Images whose longest side is shorter are not kept together for looking alike: most are glyphs and the like, of which
# many are truly alike. Of the 1,797 digits (8x8, shown as 32x32) 160 would be, in 57 groups, and none is of a burst.
LEAST_SIDE = 64

_SIDE = 32
# The discrete cosine transform's waves 1 to 8 along one side. Wave 0, the mean of each row or column, is alike in all
# images taken on one table: with waves 0 to 7, 6 bits find 20 pairs in trashnet5 instead of 15, and 15 instead of 5 in
# apple_leaf3.
_WAVES = np.sqrt(2 / _SIDE) * np.cos(np.pi / _SIDE * np.outer(np.arange(1, 9), np.arange(_SIDE) + 0.5))


def look(pixels: Pixels) -> bytes:
    """Return a word for what an image shows: the same for the very same pixels ``(H, W, 3)``, however they are stored.

    16 bytes, so that no two of any number of different images share one.
    """
    state = hashlib.sha256(str(pixels.shape).encode())
    state.update(np.ascontiguousarray(pixels).data)
    return state.digest()[:16]


def perceptual_hash(pixels: Pixels) -> int | None:
    """Return 64 bits for what ``(H, W, 3)`` pixels look like, or None where there is too little to see.

    Each bit says whether one of the 8x8 coarsest waves in the luminance is stronger than their median, so another
    size, compression, brightness or contrast changes few of them.

    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010: pHash's DCT hash.
    """
    grey = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    # Rounded, as what is symmetrical has waves of nothing but the last digits, and those differ between machines.
    waves = (_WAVES @ np.asarray(grey, np.float64) @ _WAVES.T).ravel().round(6)
    if np.linalg.norm(waves) / _SIDE < LEAST_DETAIL:
        return None
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes())


def burst_hash(pixels: Pixels, longest_side: int) -> int | None:
    """Return the hash by which an image is kept together with those that look like it, or None where it has none.

    Args:
        pixels: ``(H, W, 3)``.
        longest_side: in pixels, as its file says; ``pixels`` may have been decoded at a part of that.
    """
    return perceptual_hash(pixels) if longest_side >= LEAST_SIDE else None


def copies(images: Iterable[LabelledImage], look_of: Callable[[str], object]) -> list[tuple[LabelledImage, ...]]:
    """Return the groups of two or more images that show the very same."""
    groups: dict[object, list[LabelledImage]] = defaultdict(list)
    for image in images:
        groups[look_of(image.path)].append(image)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def near_copies(
    images: Iterable[LabelledImage], look_of: Callable[[str], object], hash_of: Callable[[str], int | None]
) -> Iterator[tuple[LabelledImage, LabelledImage, int]]:
    """Yield images of one split, each with the nearest one of another and how many bits differ, ``NEAR`` at most.

    An image that has an exact copy in the other split is left out. Only the nearest is given: frames of one film in
    two splits would make millions of pairs.
    """
    by_split: dict[str | None, list[LabelledImage]] = defaultdict(list)
    for image in images:
        by_split[image.split].append(image)
    for earlier, later in combinations([by_split[split] for split in SPLITS if split in by_split], 2):
        known = {look_of(image.path) for image in earlier}
        among, hashes_among = _hashed(earlier, hash_of)
        new, hashes = _hashed((image for image in later if look_of(image.path) not in known), hash_of)
        for i, j, distance in nearest(hashes, hashes_among, NEAR):
            yield among[j], new[i], distance


def alike(images: Iterable[LabelledImage], hash_of: Callable[[str], int | None]) -> list[list[LabelledImage]]:
    """Return images in groups of those that look alike, such as a burst of images or the frames of a film.

    An image without a hash is a group of its own.
    """
    images = list(images)
    hashed, hashes = _hashed(images, hash_of)
    alone = [[image] for image in images if hash_of(image.path) is None]
    return [[hashed[i] for i in family] for family in families(hashes, NEAR)] + alone


def _hashed(
    images: Iterable[LabelledImage], hash_of: Callable[[str], int | None]
) -> tuple[list[LabelledImage], npt.NDArray[np.uint64]]:
    """Return the images that have a hash, and the hashes."""
    known = [(image, its) for image in images if (its := hash_of(image.path)) is not None]
    return [image for image, _ in known], np.array([its for _, its in known], np.uint64)
