"""Images on their way to the engine: read in order, decoded in threads, and collected into batches.

Paths are read ahead: while the engine computes one batch, the next one is decoded. Other images are only taken as they
are needed: they may come from a camera, or from a program that closes one image before it opens the next.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from pathlib import Path

from PIL import Image

from alexnet.data.parallel import n_cores
from alexnet.data.source import MAX_BYTES
from alexnet.errors import ImageError
from alexnet.images.decoding import Pixels
from alexnet.inference.inputs import ImageLike, expand, name_of, read_content

# The name of an image, and its pixels as each network takes them; in place of them, why it cannot be read.
Decoded = tuple[str, tuple[Pixels, ...] | str]
Decode = Callable[[Path | bytes | Image.Image, str], tuple[Pixels, ...]]


def decoded_batches(
    images: Iterable[ImageLike | ImageError], decode: Decode, size: int
) -> Generator[list[Decoded], None, None]:
    """Yield batches of decoded images, in order. In place of an unreadable image is the reason.

    At most two batches of pixels are held at a time, and ``MAX_BYTES`` of files.

    Args:
        images: as ``as_iterable`` returns them.
        decode: returns the pixels of a content and a name; any thread may call it. It raises ``ImageError``.
        size: images in a batch. The last batch may have fewer.
    """
    if _are_paths(images):
        return _read_ahead(_batches(images, decode, size, ahead=True))
    return _batches(images, decode, size, ahead=False)


def _are_paths(images: Iterable[ImageLike | ImageError]) -> bool:
    """Return whether all images are paths that exist in memory already: nobody sees when these are taken."""
    return isinstance(images, Collection) and all(isinstance(each, str | os.PathLike | ImageError) for each in images)


def _read_ahead(batches: Generator[list[Decoded], None, None]) -> Generator[list[Decoded], None, None]:
    """Yield the batches. A thread makes the next one meanwhile, and an exception in it comes in its place."""
    thread = ThreadPoolExecutor(1)
    try:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch
    finally:
        thread.shutdown(cancel_futures=True)
        batches.close()


def _batches(
    images: Iterable[ImageLike | ImageError], decode: Decode, size: int, *, ahead: bool
) -> Generator[list[Decoded], None, None]:
    each = (one for image in images for one in expand(image))
    with ThreadPoolExecutor(n_cores()) as threads:
        # One stream keeps the threads busy from batch to batch, for which it takes images of the next batch.
        stream = _decoded(each, decode, threads, ahead=ahead)
        following = partial(islice, stream, size) if ahead else lambda: _decoded(islice(each, size), decode, threads)
        while batch := list(following()):
            yield batch


def _decoded(
    images: Iterable[ImageLike | ImageError], decode: Decode, threads: ThreadPoolExecutor, *, ahead: bool = False
) -> Iterator[Decoded]:
    """Yield the name and pixels of each image; in place of pixels, the reason why it cannot be read.

    No more is held than keeps the threads busy, and ``MAX_BYTES`` at most. Unless images are read ahead, the content of
    each is read before the next one is requested, since it may be closed or overwritten then.
    """
    pending: deque[tuple[int, Future[Decoded]]] = deque()
    n_held = 0
    for image in images:
        held: ImageLike | ImageError = image if ahead else _content(image)
        n_bytes = _n_bytes(held)
        while pending and (len(pending) > n_cores() or n_held + n_bytes > MAX_BYTES):
            n_freed, future = pending.popleft()
            yield future.result()
            n_held -= n_freed
        future = threads.submit(_read_and_decode, held, name_of(image), decode)
        pending.append((n_bytes, future))
        n_held += n_bytes
        if not ahead and (isinstance(held, Path) or isinstance(image, Image.Image)):  # nothing was read of these yet
            wait([future])
    for _, future in pending:
        yield future.result()


def _content(image: ImageLike | ImageError) -> Path | bytes | Image.Image | ImageError:
    try:
        return read_content(image)
    except ImageError as error:
        return error


def _read_and_decode(image: ImageLike | ImageError, where: str, decode: Decode) -> Decoded:
    try:
        return where, decode(read_content(image), where)  # of content it is the content
    except ImageError as error:
        return where, error.reason


def _n_bytes(held: ImageLike | ImageError) -> int:
    """Return how much memory the content of an image takes: of a file its size, 0 where that is unknown."""
    if isinstance(held, Image.Image):
        return held.width * held.height * len(held.getbands())
    if isinstance(held, str | os.PathLike):
        with contextlib.suppress(OSError, ValueError):  # reading it says what is wrong
            return Path(held).stat().st_size
    return len(held) if isinstance(held, bytes) else 0
