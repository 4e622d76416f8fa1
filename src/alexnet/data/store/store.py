"""The store of prepared images: decoded once to a fixed size, memory-mapped, and cached outside the user's folder.

Departure: the paper (section 2) stores 256x256 centre crops; ``preprocessing.fit`` says why ours are squashed instead.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.data.duplicates import burst_hash, pixel_digest
from alexnet.data.parallel import Track, in_threads, untracked
from alexnet.data.source import Content, Source
from alexnet.data.sources.open import as_argument
from alexnet.data.store import cache
from alexnet.data.store.catalogue import FINGERPRINT_VERSION, NO_MEMORY, VERSION, Catalogue, Entry, digest, or_reason
from alexnet.data.store.pool import LAYOUT, Mapped, Pool, Prepared, Writer, hashes, hex_digests
from alexnet.data.store.verified import Verified
from alexnet.errors import DataError, ImageError
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.images.decoding import measure, read
from alexnet.images.preprocessing import Library, fit, is_grey, library_for

DEFAULT_SIZE = 256
CHUNK = 64
# Part of the names of pools' folders. If only the layout changes, fingerprints stay the same.
POOL_VERSION = f"{VERSION}.{LAYOUT}"
# The end of those names, by what has resized the images.
ENDINGS: dict[Library, str] = {"torch": "", "pillow": "-pillow"}
SECONDS_BETWEEN_SAVES = 30.0


@dataclass(frozen=True)
class Store:
    """The prepared images of a source, in a pool that also holds those of other sources.

    Attributes:
        folder: the folder of the pool.
        rows: the row of each readable image in the pool, by path.
        skipped: why the other images could not be read, by path.
        resize: how images were made square.
        longest_side: the longest side of any readable image before it was resized, in pixels.
        n_before: how many images the pool had before the call that opened it.
        argument: the source as an argument for a command line.
        warnings: what a user should know about the place of the cache, a line each.
    """

    folder: Path
    rows: dict[str, int]
    skipped: dict[str, str]
    resize: Resize
    longest_side: int
    n_before: int
    argument: str
    warnings: tuple[str, ...]
    _mapped: Mapped = field(repr=False)

    @cached_property
    def pixels(self) -> Verified:
        """All images of the pool, ``(N, size, size, 3)`` uint8, mapped from disk, not read into memory."""
        return Verified(self._mapped, self._fault)

    @property
    def size(self) -> int:
        """Side of a stored image in pixels."""
        return int(self.pixels.shape[1])

    @cached_property
    def is_grey(self) -> bool:
        """Whether all images are grey: the three channels of each pixel are equal."""
        return bool(self._mapped.records["is_grey"][list(self.rows.values())].all())

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the images' contents, their size and ``resize``; their paths do not matter."""
        digests = sorted(self.content(path) for path in self.rows)
        text = "\n".join((f"{FINGERPRINT_VERSION} {self.size} {self.resize}", *digests))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def content(self, path: str) -> str:
        """Return the digest of an image's content, in hexadecimal."""
        return self._contents[self.rows[path]]

    def pixel_digest(self, path: str) -> str:
        """Return the digest of an image's pixels: the same for two files with the same pixels."""
        return self._looks[self.rows[path]]

    def burst_hash(self, path: str) -> int | None:
        """Return the perceptual hash of an image, 64 bits; None if it is too small or shows too little."""
        return self._hashes[self.rows[path]]

    @cached_property
    def _contents(self) -> list[str]:
        return hex_digests(self._mapped.records, "content")

    @cached_property
    def _looks(self) -> list[str]:
        return hex_digests(self._mapped.records, "pixel_digest")

    @cached_property
    def _hashes(self) -> list[int | None]:
        return hashes(self._mapped.records)

    def forget(self) -> None:
        """Free the memory of images that have been read; they stay on the disk."""
        self._mapped.forget()

    def _fault(self, row: int) -> DataError:
        path = next((path for path, number in self.rows.items() if number == row), f"number {row}")
        return DataError(
            f"the prepared image {path!r} in {str(self.folder)!r} is damaged; verify all images and "
            f"prepare damaged ones again with: alexnet prepare {self.argument}"
        )


def store_size(image_size: int | None) -> int:
    """Return the size in pixels at which to store images for a network with input ``image_size``.

    256 px for inputs up to 224 px; for larger ones 8/7 of the input, the same room for crops (the paper, section 4.1).
    """
    return max(DEFAULT_SIZE, with_room(image_size or 0))


def with_room(side: int) -> int:
    """Return ``side`` with room for crops of it, in pixels: 256 for 224 (the paper, section 4.1)."""
    return math.ceil(side * 8 / 7)


def prepare(
    source: Source,
    size: int = DEFAULT_SIZE,
    *,
    resize: Resize = "squash",
    exact: bool = False,
    max_pixels: int = MAX_PIXELS,
    library: Library | None = None,
    track: Track = untracked,
) -> Store:
    """Prepare the new and changed images of a source, and open its store.

    Prepared images stay, also if this is stopped or killed half-way.

    Args:
        source: the images.
        size: side of the stored images, in pixels. If all images are small, it is the longest side of any image with
            room for crops.
        resize: how an image is made square.
        exact: store at ``size`` even if all images are small, for a trained network.
        max_pixels: larger images are refused.
        library: what resizes images; None: torch where it is installed.
        track: shows the progress.

    Raises:
        DataError: no image can be read, or the disk is full.
    """
    catalogue = Catalogue(source, max_pixels)
    known = {path: entry for image in source.images if (entry := catalogue.current(path := image.path))}
    if not exact:
        # Room for crops here too. Else crops are enlarged and whole images are not, and a network that was trained on
        # soft crops is some three points worse on sharp images (docs/experiments.md).
        size = min(size, with_room(_longest_side(source, known, size, track)))
    library = library_for(library)
    pool = Pool(cache.stores_folder() / f"{size}-{resize}-{POOL_VERSION}{ENDINGS[library]}", size)
    stored = rows_by_content(pool.records())
    missing = [
        image.path
        for image in source.images
        if (entry := known.get(image.path)) is None or (not entry.reason and entry.digest not in stored)
    ]
    faults: dict[str, str] = {}
    if missing:
        pool.check_room(len(missing))
        faults = Preparation(source, catalogue, pool, resize, library, max_pixels, stored).run(missing, track)

    mapped = pool.open()
    # From the file that is mapped: another process may have cleared and filled the cache since.
    stored = rows_by_content(mapped.records)
    rows: dict[str, int] = {}
    skipped: dict[str, str] = {}
    longest_side = 0
    for image in source.images:
        path = image.path
        entry = known.get(path) or catalogue.entries.get(path)
        if path in faults or entry is None or entry.reason:
            skipped[path] = faults.get(path) or (entry and entry.reason) or "not read"
        elif entry.digest in stored:
            rows[path] = stored[entry.digest]
            longest_side = max(longest_side, entry.longest_side)
        else:
            raise cache.deleted_error(pool.folder)
    if not rows:
        first, reason = next(iter(skipped.items()))
        raise DataError(f"none of the {len(skipped)} images can be read; the first, {first!r}: {reason}")
    argument, warnings = as_argument(source), cache.warnings()
    return Store(pool.folder, rows, skipped, resize, longest_side, pool.n_before, argument, warnings, mapped)


def rows_by_content(records: npt.NDArray[np.void]) -> dict[str, int]:
    """Return the row of each digest of content: the last one, because an earlier one may be damaged."""
    return {content: row for row, content in enumerate(hex_digests(records, "content"))}


@dataclass
class Preparation:
    """Reads, decodes, resizes and stores images, on all cores.

    Attributes:
        source: the images.
        catalogue: what is known about them; new entries are added.
        pool: where they are stored.
        resize: how an image is made square.
        library: what resizes it.
        max_pixels: larger images are refused.
        stored: digests of contents that are already in the pool; new ones are added.
    """

    source: Source
    catalogue: Catalogue
    pool: Pool
    resize: Resize
    library: Library
    max_pixels: int
    stored: dict[str, int]

    def run(self, paths: list[str], track: Track) -> dict[str, str]:
        """Prepare images; return why some files could not be read, by path. These are tried again next time."""
        faults: dict[str, str] = {}
        writer = Writer(self.pool, CHUNK)
        saved = time.monotonic()
        prepared = in_threads(self.source.reader, paths, self._prepare)
        try:
            for path, (entry, image) in track(prepared, len(paths), "preparing"):
                if not entry.digest:
                    faults[path] = entry.reason or "not read"
                    continue
                if image is not None and entry.digest not in self.stored:
                    writer.add(image)
                    self.stored[entry.digest] = -1  # the same image again needs no second row
                self.catalogue.entries[path] = entry
                if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                    self.catalogue.save()
                    saved = time.monotonic()
        except DataError:
            raise  # the disk is full or the source is damaged; images in the pool are found again by their digests
        except BaseException:
            writer.finish()
            self.catalogue.save()
            raise
        writer.finish()
        self.catalogue.save()
        return faults

    def _prepare(self, path: str, fetch: Callable[[], Content]) -> tuple[Entry, Prepared | None]:
        """Return the entry of an image and, if it is not stored yet, the prepared image."""
        stamp = self.source.reader.stamp(path)
        try:
            content = fetch()
        except ImageError as error:  # the file could not be read: no digest, so it is tried again
            return Entry(stamp, "", 0, error.reason), None
        name = digest(content)
        sides = or_reason(partial(measure, content, self.max_pixels, where=path))
        longest = 0 if isinstance(sides, str) else max(sides)
        if isinstance(sides, str) or name in self.stored:
            return Entry(stamp, name, longest, sides if isinstance(sides, str) else None), None
        side = self.pool.side
        decoded = or_reason(partial(read, content, min_side=side, max_pixels=self.max_pixels, where=path))
        if isinstance(decoded, str):
            return Entry(stamp, "" if decoded == NO_MEMORY else name, longest, decoded), None
        pixels = fit(decoded.pixels, side, self.resize, self.library)
        # The digest of the pixels includes those that cropping cuts off.
        all_pixels = decoded.pixels if self.resize == "crop" else pixels
        # The hash of the decoded image hardly depends on size and resize, so the split does not either.
        seen = burst_hash(decoded.pixels, longest)
        prepared = Prepared(pixels, name, pixel_digest(all_pixels).hex(), seen, is_grey(decoded.pixels))
        return Entry(stamp, name, longest), prepared


def _longest_side(source: Source, known: dict[str, Entry], enough: int, track: Track) -> int:
    """Return the longest side of any image; stop at the first that has ``enough``."""
    longest = max((entry.longest_side for entry in known.values()), default=0)
    new = [image.path for image in source.images if image.path not in known]
    if longest < enough and new:
        for _, side in track(in_threads(source.reader, new, _side), len(new), "measuring"):
            longest = max(longest, side)
            if longest >= enough:
                break
    return longest or enough  # if no image can be read, prepare reports it


def _side(path: str, fetch: Callable[[], Content]) -> int:
    sides = or_reason(lambda: measure(fetch(), where=path))
    return 0 if isinstance(sides, str) else max(sides)
