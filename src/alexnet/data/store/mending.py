"""Finds prepared images that the disk has damaged, and prepares them again."""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import get_args

from alexnet.data.parallel import Track, n_cores, untracked
from alexnet.data.source import Source
from alexnet.data.store.cache import stores_folder
from alexnet.data.store.catalogue import Catalogue
from alexnet.data.store.pool import Mapped, Pool
from alexnet.data.store.store import CHUNK, ENDINGS, POOL_VERSION, Preparation, Store, rows_by_content
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.images.preprocessing import Library, library_for


@dataclass
class Mended:
    """The result of mending damaged images.

    Attributes:
        n_whole: how many were prepared again.
        left: why the others could not be prepared again, by path.
    """

    n_whole: int = 0
    left: dict[str, str] = field(default_factory=dict)


def mend(
    source: Source, *, opened: Store | None = None, max_pixels: int = MAX_PIXELS, track: Track = untracked
) -> Mended:
    """Verify the prepared images of a source, in all sizes, and prepare damaged ones again.

    Args:
        source: the images; those that were never prepared are skipped.
        opened: what ``prepare`` has just returned; images that this call wrote are not verified.
        max_pixels: larger images are refused.
        track: shows the progress.

    Raises:
        DataError: the disk is full.
    """
    catalogue = Catalogue(source, max_pixels)
    paths: dict[str, list[str]] = defaultdict(list)
    for image in source.images:
        entry = catalogue.current(image.path)
        if entry is not None and not entry.reason:
            paths[entry.digest].append(image.path)
    mended = Mended()
    for pool, resize, library in _pools():
        n_old = opened.n_before if opened is not None and opened.folder == pool.folder else pool.n_before
        _mend(Preparation(source, catalogue, pool, resize, library, max_pixels, {}), paths, n_old, mended, track)
    return mended


def _mend(work: Preparation, paths: dict[str, list[str]], n_old: int, mended: Mended, track: Track) -> None:
    mapped = work.pool.open()
    rows = rows_by_content(mapped.records).items()
    content_of = {row: content for content, row in rows if content in paths and row < n_old}
    damaged = [content_of[row] for row in _damaged(mapped, sorted(content_of), track)]
    if not damaged:
        return
    faults = work.run([path for content in damaged for path in paths[content]], track)
    for content in damaged:
        reasons = {path: faults.get(path) or work.catalogue.entries[path].reason for path in paths[content]}
        left = {path: reason for path, reason in reasons.items() if reason}
        if content in work.stored or not left:
            mended.n_whole += 1
        else:
            mended.left |= left


def _damaged(mapped: Mapped, rows: list[int], track: Track) -> Iterable[int]:
    """Yield the rows that are damaged."""
    chunks = [rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)]
    with ThreadPoolExecutor(n_cores()) as threads:
        for damaged in track(threads.map(mapped.damaged, chunks), len(chunks), "verifying"):
            yield from damaged
            mapped.forget()


def _pools() -> Iterable[tuple[Pool, Resize, Library]]:
    """Yield the pools of this version, by their names."""
    for resize, (library, ending) in itertools.product(get_args(Resize), ENDINGS.items()):
        for folder in stores_folder().glob(f"*-{resize}-{POOL_VERSION}{ending}"):
            side = folder.name.partition("-")[0]
            # What torch has resized cannot be made again without it.
            if side.isdecimal() and library_for(library) == library:
                yield Pool(folder, int(side)), resize, library
