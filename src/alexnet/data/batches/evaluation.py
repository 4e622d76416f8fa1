"""Batches for evaluation: whole images. No torch here."""

from collections.abc import Iterator

import numpy as np

from alexnet.data.batches.examples import Examples
from alexnet.data.batches.threads import prefetch
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import Library, resize, to_channels


def evaluation_batches(
    data: Examples, *, batch_size: int, size: int, library: Library | None = None
) -> Iterator[Pixels]:
    """Yield every image once, in order, whole: ``(N, size, size, C)`` uint8.

    Args:
        data: the images.
        batch_size: how many images a batch has.
        size: their side, in pixels.
        library: what resizes them; None: torch where it is installed.
    """

    def make() -> Iterator[Pixels]:
        for start in range(0, len(data), batch_size):
            stored = (data.pixels[row] for row in data.rows[start : start + batch_size])
            yield to_channels(np.stack([resize(pixels, size, size, library) for pixels in stored]), data.n_channels)
            data.forget()

    return prefetch(make(), n_ahead=2)
