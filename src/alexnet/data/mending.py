"""Finding prepared pictures that the disk has damaged, and preparing them again."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

from alexnet.data.cache import stores_folder
from alexnet.data.catalogue import VERSION, Catalogue
from alexnet.data.choices import MAX_PIXELS, Resize
from alexnet.data.pool import Mapped, Pool
from alexnet.data.reading import Track, n_cores, untracked
from alexnet.data.source import Source
from alexnet.data.store import CHUNK, Preparation, rows_by_content


def mend(source: Source, *, max_pixels: int = MAX_PIXELS, track: Track = untracked) -> int:
    """Verify a source's prepared pictures, of every size, and prepare damaged ones again.

    Args:
        source: the pictures; those that ``prepare`` does not know yet have nothing to verify.
        max_pixels: larger pictures are refused.
        track: how progress is shown.

    Returns:
        How many were damaged and are whole now.

    Raises:
        DataError: the disk is full.
    """
    catalogue = Catalogue(source, max_pixels)
    paths = {}
    for picture in source.pictures:
        entry = catalogue.current(picture.path)
        if entry is not None and not entry.reason:
            paths[entry.digest] = picture.path
    return sum(
        _mend(Preparation(source, catalogue, pool, resize, max_pixels, {}), paths, track) for pool, resize in _pools()
    )


def _mend(work: Preparation, paths: dict[str, str], track: Track) -> int:
    mapped = work.pool.open()
    content_of = {row: content for content, row in rows_by_content(mapped.records).items() if content in paths}
    damaged = [content_of[row] for row in _damaged(mapped, sorted(content_of), track)]
    if damaged:
        work.run([paths[content] for content in damaged], track)
    return sum(content in work.stored for content in damaged)


def _damaged(mapped: Mapped, rows: list[int], track: Track) -> Iterable[int]:
    """Yield the damaged ones of some rows."""
    chunks = [rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)]
    with ThreadPoolExecutor(n_cores()) as threads:
        for damaged in track(threads.map(mapped.damaged, chunks), len(chunks), "verifying"):
            yield from damaged
            mapped.forget()


def _pools() -> Iterable[tuple[Pool, Resize]]:
    """Yield the pools that this version reads, going by their names."""
    for resize in get_args(Resize):
        for folder in stores_folder().glob(f"*-{resize}-{VERSION}"):
            side = folder.name.partition("-")[0]
            if side.isdecimal():
                yield Pool(folder, int(side)), resize
