"""The prepared store: every picture decoded once to a fixed size, memory-mapped, cached outside the user's folder.

Departure: the paper (section 2) stores 256x256 centre crops; ``preprocessing.fit`` says why ours are squashed instead.

CACHE/catalogues/   what is known of each source's pictures: a picture that has not changed is never read again
      stores/       pools of prepared pictures, by size and by how they were made square
"""

import hashlib
import math
import mmap
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.data import tensors
from alexnet.data.catalogue import Catalogue, Entry, cache_folder, catalogues_folder, digest, or_reason
from alexnet.data.choices import MAX_PIXELS, Resize
from alexnet.data.image import Pixels, measure, read
from alexnet.data.pool import Pool, words
from alexnet.data.preprocessing import fit
from alexnet.data.reading import Track, in_threads, untracked
from alexnet.data.source import Content, Source
from alexnet.errors import DataError, PictureError

DEFAULT_SIZE = 256
# Raise it when the same pictures would give other pixels.
FORMAT = 2
CHUNK = 64
SECONDS_BETWEEN_SAVES = 30.0


@dataclass(frozen=True)
class Store:
    """Prepared pictures of a source, among those of others.

    Attributes:
        folder: where they lie.
        pixels: ``(N, size, size, 3)`` uint8, mapped from disk, not read into memory.
        rows: the row of each readable picture, by path.
        skipped: why each of the others could not be read, by path.
        resize: how pictures were made square.
    """

    folder: Path
    pixels: Pixels
    rows: dict[str, int]
    skipped: dict[str, str]
    resize: Resize
    _records: npt.NDArray[np.void] = field(repr=False)
    _mapped: mmap.mmap = field(repr=False)

    @property
    def size(self) -> int:
        """Side of a stored picture in pixels."""
        return int(self.pixels.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """A word that follows from the pictures' contents and how they are stored, wherever they came from."""
        digests = sorted(self.content(path) for path in self.rows)
        text = "\n".join((f"{FORMAT} {self.size} {self.resize}", *digests))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def content(self, path: str) -> str:
        """Return the digest of a picture's content, in hexadecimal."""
        return self._contents[self.rows[path]]

    def look(self, path: str) -> str:
        """Return the digest of a picture's stored pixels: the same for two files that show the very same."""
        return self._looks[self.rows[path]]

    @cached_property
    def _contents(self) -> list[str]:
        return words(self._records, "content")

    @cached_property
    def _looks(self) -> list[str]:
        return words(self._records, "look")

    def forget(self) -> None:
        """Let go of the memory in which pictures have been looked at; the disk still has them."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, which takes such memory back by itself
            self._mapped.madvise(mmap.MADV_DONTNEED)


def store_size(image_size: int | None) -> int:
    """Return the size in pixels at which to store pictures that a network takes at ``image_size``.

    A store of 256 px serves 224 px and all below; above, it keeps that room for crops (the paper, section 4.1).
    """
    return max(DEFAULT_SIZE, math.ceil((image_size or 0) * 8 / 7))


def stores_folder() -> Path:
    """Return where prepared pictures are kept."""
    return cache_folder() / "stores"


def clear() -> int:
    """Delete everything that has been prepared; return how many bytes that frees. Nothing of the user's is there."""
    freed = cache_size()
    for folder in (stores_folder(), catalogues_folder()):
        shutil.rmtree(folder, ignore_errors=True)
    return freed


def cache_size() -> int:
    """Return the bytes of everything that has been prepared."""
    files = (path for folder in (stores_folder(), catalogues_folder()) for path in folder.rglob("*"))
    return sum(path.stat().st_size for path in files if path.is_file())


def prepare(
    source: Source,
    size: int = DEFAULT_SIZE,
    *,
    resize: Resize = "squash",
    exact: bool = False,
    max_pixels: int = MAX_PIXELS,
    track: Track = untracked,
) -> Store:
    """Open the store of a source's pictures, after preparing those that are new or have changed.

    What has been prepared stays, also when this is stopped or killed half-way.

    Args:
        source: the pictures.
        size: side of the stored pictures, in pixels. Where all pictures are smaller, the longest of their sides.
        resize: how a picture is made square.
        exact: store at ``size`` even so, as a trained network asks for.
        max_pixels: larger pictures are refused.
        track: how progress is shown.

    Raises:
        DataError: no picture can be read, or the disk is full.
    """
    catalogue = Catalogue(source, max_pixels)
    known = {path: entry for picture in source.pictures if (entry := catalogue.current(path := picture.path))}
    if not exact:
        size = min(size, _longest_side(source, known, size))
    pool = Pool(stores_folder() / f"{size}-{resize}-{FORMAT}", size)
    rows_by_content = _rows_by_content(pool)
    missing = [
        picture.path
        for picture in source.pictures
        if (entry := known.get(picture.path)) is None or (not entry.reason and entry.digest not in rows_by_content)
    ]
    faults: dict[str, str] = {}
    if missing:
        pool.check_room(len(missing))
        faults = _Preparation(source, catalogue, pool, resize, max_pixels, rows_by_content).run(missing, track)
        rows_by_content = _rows_by_content(pool)

    rows: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for picture in source.pictures:
        path = picture.path
        entry = known.get(path) or catalogue.entries.get(path)
        if path in faults or entry is None or entry.reason:
            skipped[path] = faults.get(path) or (entry and entry.reason) or "not read"
        else:
            rows[path] = rows_by_content[entry.digest]
    if not rows:
        first, reason = next(iter(skipped.items()))
        raise DataError(f"none of the {len(skipped)} pictures can be read; the first, {first!r}: {reason}")
    pixels, mapped = pool.open()
    return Store(pool.folder, pixels, rows, skipped, resize, pool.records(), mapped)


@dataclass
class _Preparation:
    """The work of reading, decoding, shrinking and storing pictures, in all cores."""

    source: Source
    catalogue: Catalogue
    pool: Pool
    resize: Resize
    max_pixels: int
    stored: dict[str, int]

    def run(self, paths: list[str], track: Track) -> dict[str, str]:
        """Prepare pictures; return why some could not be had at all, by path. Those are tried again next time."""
        faults: dict[str, str] = {}
        pictures: list[Pixels] = []
        digests: list[str] = []
        saved = time.monotonic()
        prepared = in_threads(self.source.reader, paths, self._prepare)
        try:
            for path, (entry, pixels) in track(prepared, len(paths), "preparing"):
                if not entry.digest:
                    faults[path] = entry.reason or "not read"
                    continue
                if pixels is not None and entry.digest not in self.stored:
                    pictures.append(pixels)
                    digests.append(entry.digest)
                    self.stored[entry.digest] = -1  # the same picture again needs no second row
                self.catalogue.entries[path] = entry
                if len(pictures) == CHUNK:
                    self._append(pictures, digests)
                if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                    self.catalogue.save()
                    saved = time.monotonic()
        except DataError:
            raise  # a full disk: what was appended has been removed, so nothing is known of it either
        except BaseException:
            self._append(pictures, digests)
            self.catalogue.save()
            raise
        self._append(pictures, digests)
        self.catalogue.save()
        return faults

    def _append(self, pictures: list[Pixels], digests: list[str]) -> None:
        if pictures:
            self.pool.append(pictures, digests)
        pictures.clear()
        digests.clear()

    def _prepare(self, path: str, fetch: Callable[[], Content]) -> tuple[Entry, Pixels | None]:
        """Return what is known of a picture and, where it is not stored yet, how it is to be."""
        stamp = self.source.reader.stamp(path)
        try:
            content = fetch()
        except PictureError as error:  # not the picture's fault: no digest, so that it is tried again
            return Entry(stamp, "", 0, error.reason), None
        name = digest(content)
        try:
            if name in self.stored:
                return Entry(stamp, name, max(measure(content))), None
            decoded = read(content, min_side=self.pool.side, max_pixels=self.max_pixels, where=path)
        except PictureError as error:
            return Entry(stamp, name, 0, error.reason), None
        return Entry(stamp, name, max(decoded.sides)), fit(decoded.pixels, self.pool.side, self.resize, tensors.resized)


def _rows_by_content(pool: Pool) -> dict[str, int]:
    return {content: row for row, content in enumerate(words(pool.records(), "content"))}


def _longest(fetch: Callable[[], Content]) -> int:
    return max(measure(fetch()))


def _longest_side(source: Source, known: dict[str, Entry], enough: int) -> int:
    """Return the longest side of any picture; as soon as one has ``enough``, no other is looked at."""
    longest = max((entry.longest_side for entry in known.values()), default=0)
    if longest < enough:
        new = [picture.path for picture in source.pictures if picture.path not in known]
        for _, fetch in source.reader.each(new):
            side = or_reason(partial(_longest, fetch))
            longest = max(longest, side if isinstance(side, int) else 0)
            if longest >= enough:
                break
    return longest or enough  # where none can be read, preparing says so
