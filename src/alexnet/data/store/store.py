"""The prepared store: every image decoded once to a fixed size, memory-mapped, cached outside the user's folder.

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
from alexnet.data.store.pool import LAYOUT, Mapped, Pool, Prepared, Writer, hashes, words
from alexnet.data.store.verified import Verified
from alexnet.errors import DataError, ImageError
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.images.decoding import measure, read
from alexnet.images.preprocessing import fit

DEFAULT_SIZE = 256
CHUNK = 64
# Of pools, in the names of their folders. What is in them keeps its fingerprint where only the layout is new.
POOL_VERSION = f"{VERSION}.{LAYOUT}"
SECONDS_BETWEEN_SAVES = 30.0


@dataclass(frozen=True)
class Store:
    """Prepared images of a source, among those of others.

    Attributes:
        folder: where they lie.
        rows: the row of each readable image, by path.
        skipped: why each of the others could not be read, by path.
        resize: how images were made square.
        n_before: how many images lay there before the call that opened it.
        argument: how a command line names the source.
        warnings: what a user should know about where they lie, a line each.
    """

    folder: Path
    rows: dict[str, int]
    skipped: dict[str, str]
    resize: Resize
    n_before: int
    argument: str
    warnings: tuple[str, ...]
    _mapped: Mapped = field(repr=False)

    @cached_property
    def pixels(self) -> Verified:
        """All of them, ``(N, size, size, 3)`` uint8, mapped from disk, not read into memory."""
        return Verified(self._mapped, self._fault)

    @property
    def size(self) -> int:
        """Side of a stored image in pixels."""
        return int(self.pixels.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """A word that follows from the images' contents and how they are stored, wherever they came from."""
        digests = sorted(self.content(path) for path in self.rows)
        text = "\n".join((f"{FINGERPRINT_VERSION} {self.size} {self.resize}", *digests))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def content(self, path: str) -> str:
        """Return the digest of an image's content, in hexadecimal."""
        return self._contents[self.rows[path]]

    def pixel_digest(self, path: str) -> str:
        """Return the digest of what an image shows: the same for two files that show the very same."""
        return self._looks[self.rows[path]]

    def burst_hash(self, path: str) -> int | None:
        """Return 64 bits for what an image looks like, where it is large enough and shows enough to be compared."""
        return self._hashes[self.rows[path]]

    @cached_property
    def _contents(self) -> list[str]:
        return words(self._mapped.records, "content")

    @cached_property
    def _looks(self) -> list[str]:
        return words(self._mapped.records, "look")

    @cached_property
    def _hashes(self) -> list[int | None]:
        return hashes(self._mapped.records)

    def forget(self) -> None:
        """Let go of the memory in which images have been looked at; the disk still has them."""
        self._mapped.forget()

    def _fault(self, row: int) -> DataError:
        path = next((path for path, its in self.rows.items() if its == row), f"number {row}")
        return DataError(
            f"the prepared image {path!r} in {str(self.folder)!r} is damaged; check all of them and "
            f"prepare damaged ones anew with: alexnet prepare {self.argument}"
        )


def store_size(image_size: int | None) -> int:
    """Return the size in pixels at which to store images that a network takes at ``image_size``.

    A store of 256 px serves 224 px and all below; above, it keeps that room for crops (the paper, section 4.1).
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
    track: Track = untracked,
) -> Store:
    """Open the store of a source's images, after preparing those that are new or have changed.

    What has been prepared stays, also when this is stopped or killed half-way.

    Args:
        source: the images.
        size: side of the stored images, in pixels. Where all images are small, the longest of their sides with
            room for crops, if that is less.
        resize: how an image is made square.
        exact: store at ``size`` even so, as a trained network asks for.
        max_pixels: larger images are refused.
        track: how progress is shown.

    Raises:
        DataError: no image can be read, or the disk is full.
    """
    catalogue = Catalogue(source, max_pixels)
    known = {path: entry for image in source.images if (entry := catalogue.current(path := image.path))}
    if not exact:
        # Room for crops here too: else crops would be blown up and whole images not, and a network that learned
        # from soft crops is some three points worse at sharp images (docs/experiments.md).
        size = min(size, with_room(_longest_side(source, known, size, track)))
    pool = Pool(cache.stores_folder() / f"{size}-{resize}-{POOL_VERSION}", size)
    stored = rows_by_content(pool.records())
    missing = [
        image.path
        for image in source.images
        if (entry := known.get(image.path)) is None or (not entry.reason and entry.digest not in stored)
    ]
    faults: dict[str, str] = {}
    if missing:
        pool.check_room(len(missing))
        faults = Preparation(source, catalogue, pool, resize, max_pixels, stored).run(missing, track)

    mapped = pool.open()
    # Of the very file that is mapped: another process may have cleared the cache meanwhile, and filled it again.
    stored = rows_by_content(mapped.records)
    rows: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for image in source.images:
        path = image.path
        entry = known.get(path) or catalogue.entries.get(path)
        if path in faults or entry is None or entry.reason:
            skipped[path] = faults.get(path) or (entry and entry.reason) or "not read"
        elif entry.digest in stored:
            rows[path] = stored[entry.digest]
        else:
            raise cache.deleted(pool.folder)
    if not rows:
        first, reason = next(iter(skipped.items()))
        raise DataError(f"none of the {len(skipped)} images can be read; the first, {first!r}: {reason}")
    return Store(pool.folder, rows, skipped, resize, pool.n_before, as_argument(source), cache.warnings(), mapped)


def rows_by_content(records: npt.NDArray[np.void]) -> dict[str, int]:
    """Return the row of each content's digest: the last one, as one before it may have been damaged."""
    return {content: row for row, content in enumerate(words(records, "content"))}


@dataclass
class Preparation:
    """The work of reading, decoding, shrinking and storing images, in all cores.

    Attributes:
        source: the images.
        catalogue: what is known of them; what becomes known is added.
        pool: where they go.
        resize: how an image is made square.
        max_pixels: larger images are refused.
        stored: contents that need no preparing, by digest; those that are prepared are added.
    """

    source: Source
    catalogue: Catalogue
    pool: Pool
    resize: Resize
    max_pixels: int
    stored: dict[str, int]

    def run(self, paths: list[str], track: Track) -> dict[str, str]:
        """Prepare images; return why some could not be had at all, by path. Those are tried again next time."""
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
            raise  # the disk is full or the source damaged; what is in the pool is found again by its digest
        except BaseException:
            writer.finish()
            self.catalogue.save()
            raise
        writer.finish()
        self.catalogue.save()
        return faults

    def _prepare(self, path: str, fetch: Callable[[], Content]) -> tuple[Entry, Prepared | None]:
        """Return what is known of an image and, where it is not stored yet, how it is to be."""
        stamp = self.source.reader.stamp(path)
        try:
            content = fetch()
        except ImageError as error:  # not the image's fault: no digest, so that it is tried again
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
        pixels = fit(decoded.pixels, side, self.resize)
        # What cropping cuts off belongs to what an image shows.
        shown = decoded.pixels if self.resize == "crop" else pixels
        # Of all that was decoded, so that it hardly depends on size and resize, and the split neither.
        seen = burst_hash(decoded.pixels, longest)
        return Entry(stamp, name, longest), Prepared(pixels, name, pixel_digest(shown).hex(), seen)


def _longest_side(source: Source, known: dict[str, Entry], enough: int, track: Track) -> int:
    """Return the longest side of any image; as soon as one has ``enough``, no other is looked at."""
    longest = max((entry.longest_side for entry in known.values()), default=0)
    new = [image.path for image in source.images if image.path not in known]
    if longest < enough and new:
        for _, side in track(in_threads(source.reader, new, _side), len(new), "measuring"):
            longest = max(longest, side)
            if longest >= enough:
                break
    return longest or enough  # where none can be read, preparing says so


def _side(path: str, fetch: Callable[[], Content]) -> int:
    sides = or_reason(lambda: measure(fetch(), where=path))
    return 0 if isinstance(sides, str) else max(sides)
