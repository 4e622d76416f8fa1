"""Which classes are confused with which, and the scores of each class."""

import math

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from alexnet.evaluation.scores.metrics import ClassScore
from alexnet.evaluation.scoring import EvaluationResult
from alexnet.images.decoding import Pixels
from alexnet.reporting.facts import Data, Facts, Missing, known
from alexnet.reporting.html import Share, counted, lines, paragraph, table, wide
from alexnet.reporting.images import exact

# The matrix of more classes is an image without numbers.
MOST_NUMBERS = 30
MOST_PAIRS = 10
# Of a matrix of more classes, each pixel of the image shows several: as many pixels fit even on a phone.
MOST_PIXELS = 320
# The colours of right and wrong predictions in it, and about the width at which it is shown, in pixels.
_RIGHT, _WRONG = (31, 95, 191), (190, 50, 35)
_SHOWN = 640

Counts = npt.NDArray[np.int64]


def confusion(facts: Facts) -> Markup:
    """Return the confusion matrix, and the pairs of classes that are confused most often."""
    result = known(facts.evaluation)
    counts, classes = np.array(result.scores.confusion, dtype=np.int64), result.outputs.classes
    what = "A row for each class as labelled, a column for each class as predicted."
    if len(classes) <= MOST_NUMBERS:
        matrix = _matrix(counts, classes)
        how = "The diagonal counts what is right. The darker a cell, the larger its share of the row."
    else:
        drawn = matrix_image(counts)
        matrix = exact(drawn, f"Confusion matrix of {len(classes)} classes", scale=_SHOWN // len(drawn))
        how = "Blue on the diagonal is right, red is wrong. The stronger a pixel, the larger its share of the row."
    return lines((paragraph(what, how), matrix, _pairs(counts, classes)))


def class_table(facts: Facts) -> Markup:
    """Return the scores of each class, in a table that a click sorts."""
    result = known(facts.evaluation)
    counts = np.array(result.scores.confusion, dtype=np.int64)
    n_train = _train_counts(facts.data)
    columns = ("class", "train images", f"{result.split} images", "recall", "precision", "F1", "most frequent mistake")
    rows = [_row(number, each, counts, n_train, result) for number, each in enumerate(result.scores.per_class)]
    said = paragraph(
        "Recall: of the images of a class, the share that is predicted right. Precision: of the predictions of a",
        "class, the share that is right. F1: their harmonic mean. A click on a title sorts.",
    )
    return lines((said, table(columns, rows, name="Scores by class", sortable=True)))


def matrix_image(counts: Counts) -> Pixels:
    """Return a confusion matrix as an image ``(H, W, 3)`` uint8, one pixel for each pair of classes.

    A pixel's strength is the root of its share of the row, so that rare mistakes are seen too. Of more than
    ``MOST_PIXELS`` classes, several share a pixel, and the strongest is shown.
    """
    share = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    right = np.diag(share.diagonal())
    planes = [_shrunk(plane)[..., None] for plane in (right, share - right)]
    strong = planes[0] * (np.array(_RIGHT) - 255.0) + planes[1] * (np.array(_WRONG) - 255.0)
    return np.asarray((255 + strong).clip(0, 255)).astype(np.uint8)


def _shrunk(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the largest value of each block of a square plane, at most ``MOST_PIXELS`` blocks wide."""
    block = -(-len(plane) // MOST_PIXELS)
    if block == 1:
        return plane
    starts = np.arange(0, len(plane), block)
    return np.asarray(np.maximum.reduceat(np.maximum.reduceat(plane, starts, axis=0), starts, axis=1))


def _matrix(counts: Counts, classes: tuple[str, ...]) -> Markup:
    title = Markup('<th scope="col" title="{0}"><span>{0}</span></th>')
    head = Markup().join(title.format(label) for label in classes)
    rows = lines(
        Markup('<tr><th scope="row" title="{0}">{0}</th>{1}</tr>').format(label, _cells(row, number))
        for number, (label, row) in enumerate(zip(classes, counts, strict=True))
    )
    body = Markup('<table class="matrix"><thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table>')
    return wide(body.format(head, rows), "Confusion matrix")


def _cells(row: Counts, number: int) -> Markup:
    n = max(1, int(row.sum()))
    return Markup().join(
        Markup('<td class="{}" style="--tint:{:.3f}">{}</td>').format(
            "right" if column == number else "wrong", math.sqrt(count / n), int(count) if count else Markup("&middot;")
        )
        for column, count in enumerate(row)
    )


def _pairs(counts: Counts, classes: tuple[str, ...]) -> Markup:
    errors = counts - np.diag(counts.diagonal())
    order = np.argsort(-errors, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(place), len(classes)) for place in order if errors.flat[place]]
    if not pairs:
        return paragraph("No image is predicted wrong.")
    shares = errors / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [(classes[i], classes[j], int(errors[i, j]), Share(shares[i, j])) for i, j in pairs]
    columns = ("labelled", "predicted", "images", "of the class")
    n_wrong = counted(int(errors.sum()), "mistake")
    n_all = int((errors > 0).sum())
    more = f" The {len(pairs)} most frequent of {n_all:,} pairs:" if n_all > len(pairs) else " By pair:"
    return lines((paragraph(f"{n_wrong} in all.{more}"), table(columns, rows, name="Most confused pairs of classes")))


def _row(
    number: int, each: ClassScore, counts: Counts, n_train: dict[str, int] | None, result: EvaluationResult
) -> tuple[object, ...]:
    """Return one class; its recall is None where it has no images, and its precision where it is never predicted."""
    errors = counts[number].copy()
    errors[number] = 0
    other = int(errors.argmax())
    instead = f"{result.outputs.classes[other]} ({errors[other]})" if errors[other] else ""
    has, is_predicted = each.n_images > 0, bool(counts[:, number].any())
    return (
        each.label,
        None if n_train is None else n_train.get(each.label, 0),
        each.n_images,
        Share(each.recall) if has else None,
        Share(each.precision) if is_predicted else None,
        Share(each.f1) if has or is_predicted else None,
        instead,
    )


def _train_counts(data: Data | Missing) -> dict[str, int] | None:
    if isinstance(data, Missing):
        return None
    return {label: splits.get("train", 0) for label, splits in data.counts.items()}
