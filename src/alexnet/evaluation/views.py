"""Ten views of each image instead of one, as the paper judged its networks."""

from collections.abc import Callable, Iterator

import numpy as np

from alexnet.data.batches.crops import PAPER_SHARE
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import resize
from alexnet.inference.probability import Floats, log_softmax

N_VIEWS = 10


def ten_views(images: Pixels, size: int) -> Iterator[Pixels]:
    """Yield ten views ``(N, size, size, C)`` of images ``(N, S, S, C)``, uint8.

    They are windows of 7/8 of the side in the four corners and in the middle, and the same mirrored.

    Departure: the paper (section 4.1) takes windows of 224 px from images of 256; ours are as large a share of the
    side, resized where the network takes another size.
    """
    side = images.shape[1]
    window = max(1, round(side * PAPER_SHARE))
    end, middle = side - window, (side - window) // 2
    for top, left in ((0, 0), (0, end), (end, 0), (end, end), (middle, middle)):
        cut = images[:, top : top + window, left : left + window]
        view = np.stack([resize(image, size, size) for image in cut])
        yield view
        yield np.ascontiguousarray(view[:, :, ::-1])


def average_of_views(logits: Callable[[Pixels], Floats], images: Pixels, size: int) -> Floats:
    """Return the logarithm of the mean probability over ten views, ``(N, n_classes)``; judged like logits.

    Args:
        logits: what the network says of images ``(N, size, size, C)``.
        images: ``(N, S, S, C)`` uint8, as they are stored.
        size: side in pixels that the network takes.

    Source: the paper, section 4.1, which averages what the softmax layer says.
    """
    log_probabilities = [log_softmax(logits(view)) for view in ten_views(images, size)]
    return np.asarray(np.logaddexp.reduce(log_probabilities) - np.log(N_VIEWS))
