"""A confusion matrix as a coloured table; of many classes, as an image."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.html.blocks import BLUE, VERMILION, image, note, rgba
from alexnet.html.elements import Html, element, joined

# A table of more classes is wider than a page.
MOST_CLASSES = 12
# The side of the image, in pixels, for fewer classes than that.
_SIDE = 360
# Text on a cell is read on light and on dark pages up to this opacity.
_BEHIND_TEXT = 0.6
_CELL = "border:0;padding:.2em .5em;text-align:right;"
_NAME = (
    "border:0;padding:.2em .5em;font-weight:400;max-width:8em;white-space:nowrap;overflow:hidden;"
    "text-overflow:ellipsis;"
)


def confusion_matrix(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> Html:
    """Return a confusion matrix: right predictions in blue, wrong ones in vermilion.

    Args:
        classes: class names.
        confusion: counts, a row for each true class, a column for each predicted class.
    """
    strengths = _strengths(confusion)
    if len(classes) > MOST_CLASSES:
        return _as_image(strengths)
    rows = [element("th", "true \\ predicted", style=_NAME + "text-align:left"), *map(_name, classes)]
    lines = [element("tr", *rows)]
    for true, (label, counts) in enumerate(zip(classes, confusion, strict=True)):
        cells = [
            _cell(count, VERMILION if predicted != true else BLUE, float(strengths[true, predicted]))
            for predicted, count in enumerate(counts)
        ]
        lines.append(element("tr", _name(label), *cells))
    return element("table", *lines, style="border-collapse:collapse;border:0;margin:.4em 0")


def _strengths(confusion: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """Return how strongly each cell is coloured, in [0, 1]: the root of its share of the row, so that few are seen."""
    counts = np.asarray(confusion, dtype=np.float64)
    strengths: npt.NDArray[np.float64] = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    return strengths


def _name(label: str) -> Html:
    return element("th", label, title=label, style=_NAME + "text-align:right")


def _cell(count: int, colour: tuple[int, int, int], strength: float) -> Html:
    background = f"background:{rgba(colour, _BEHIND_TEXT * strength)}"
    return element("td", str(count) if count else "", style=_CELL + background)


def _as_image(strengths: npt.NDArray[np.float64]) -> Html:
    n = len(strengths)
    pixels = np.empty((n, n, 4), dtype=np.uint8)
    pixels[..., :3] = VERMILION
    pixels[np.arange(n), np.arange(n), :3] = BLUE
    pixels[..., 3] = np.round(255 * strengths)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    style = f"width:{max(n, _SIDE)}px;max-width:100%;image-rendering:pixelated;border:1px solid rgba(128,128,128,.35)"
    words = f"confusion matrix of {n} classes: a row for each true class, a column for each predicted class"
    return joined(image(file.getvalue(), "png", words, style=style), note(words))
