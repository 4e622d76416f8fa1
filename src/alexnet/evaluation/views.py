"""Ten views of each image instead of one, as in the paper's evaluation."""

from collections.abc import Callable, Iterator

import numpy as np

from alexnet.data.batches.augmentation import PAPER_SHARE
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import Library, resize
from alexnet.inference.probability import Floats, log_softmax, mean_log_probabilities

N_VIEWS = 10


def ten_views(images: Pixels, size: int, library: Library | None = None) -> Iterator[Pixels]:
    """Yield ten views ``(N, size, size, C)`` of images ``(N, S, S, C)``, uint8.

    They are crops of 7/8 of the side, four corners and the centre, each also mirrored.

    Departure: the paper (section 4.1) crops 224 px from images of 256; ours are the same share of the side, resized
    where the network takes another size.
    """
    side = images.shape[1]
    crop_side = max(1, round(side * PAPER_SHARE))
    end, middle = side - crop_side, (side - crop_side) // 2
    for top, left in ((0, 0), (0, end), (end, 0), (end, end), (middle, middle)):
        crops = images[:, top : top + crop_side, left : left + crop_side]
        view = np.stack([resize(crop, size, size, library) for crop in crops])
        yield view
        yield np.ascontiguousarray(view[:, :, ::-1])


def average_of_views(
    logits: Callable[[Pixels], Floats], images: Pixels, size: int, library: Library | None = None
) -> Floats:
    """Return the logarithm of the mean probability over ten views, ``(N, n_classes)``; scored like logits.

    Args:
        logits: computes the network's logits for images ``(N, size, size, C)``.
        images: ``(N, S, S, C)`` uint8, as they are stored.
        size: side of the network's input, in pixels.
        library: what resizes views; None: torch where it is installed.

    Source: the paper, section 4.1, which averages the outputs of the softmax layer.
    """
    return mean_log_probabilities([log_softmax(logits(view)) for view in ten_views(images, size, library)])
