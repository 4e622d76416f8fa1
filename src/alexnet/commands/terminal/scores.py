"""Scores as text: of one network, and of two on the same images."""

import json

from rich.text import Text

from alexnet.commands.terminal.tables import MOST_SHOWN, table, text
from alexnet.evaluation.comparison import Comparison
from alexnet.evaluation.scores.intervals import Interval
from alexnet.evaluation.scoring import EvaluationResult

# A confusion matrix of more classes does not fit on a screen.
MOST_CONFUSION_COLUMNS = 12


def evaluation(result: EvaluationResult) -> str:
    """Return the scores with their intervals, the table by class and, for few classes, the confusion matrix."""
    scores = result.scores
    parts = [result.title, "", _headline(result), ""]
    classes = table("class", "images", "recall", "precision", "F1")
    for each in scores.per_class:
        # Without images of a class, its recall is undefined.
        recall, f1 = (f"{share:.3f}" if each.n_images else "-" for share in (each.recall, each.f1))
        classes.add_row(Text(each.label), str(each.n_images), recall, f"{each.precision:.3f}", f1)
    parts.append(text(classes))
    if len(scores.per_class) <= MOST_CONFUSION_COLUMNS:
        matrix = table("true \\ predicted", *(each.label for each in scores.per_class))
        for each, row in zip(scores.per_class, scores.confusion, strict=True):
            matrix.add_row(Text(each.label), *(str(count) if count else "." for count in row))
        parts += ["", text(matrix)]
    return "\n".join(parts)


def comparison(result: EvaluationResult, first: str, second: str) -> str:
    """Return both networks' scores, their difference, and the first images for which they predict different classes.

    Args:
        result: the result of the first network, compared with the second.
        first: name of the first network.
        second: name of the second.
    """
    found, other = result.comparison, result.other
    assert found is not None
    assert other is not None
    scores = table("", "top-1", "95% interval", "loss", "95% interval")
    for name, one in ((first, result), (second, other)):
        top1, loss = one.intervals["top1"], one.intervals["loss"]
        scores.add_row(Text(name), f"{one.scores.top1:.3f}", str(top1), f"{one.scores.loss:.3f}", str(loss))
    scores.add_section()
    difference = (
        f"{found.top1:+.3f}",
        _signed(found.top1_interval),
        f"{found.loss:+.3f}",
        _signed(found.loss_interval),
    )
    scores.add_row("difference", *difference)
    parts = [
        result.title,
        "",
        text(scores),
        "",
        f"{found.n_only_first} images only the first network predicts right, {found.n_only_second} only the second",
        f"McNemar's exact test: p = {found.p_value:.2g}; {_meaning(found)}",
    ]
    if found.differences:
        images = table("image", "label", "first", "second")
        for each in found.differences[:MOST_SHOWN]:
            images.add_row(*map(Text, (each.path, each.label, each.first, each.second)))
        if (more := len(found.differences) - MOST_SHOWN) > 0:
            images.add_row(f"and {more} more: --json lists them", "", "", "")
        parts += ["", text(images)]
    return "\n".join(parts)


def as_json(result: EvaluationResult) -> str:
    """Return the scores as one JSON object."""
    return json.dumps(result.to_json(), allow_nan=False)


def _headline(result: EvaluationResult) -> str:
    scores, intervals = result.scores, result.intervals
    rows = table("score", "value", "95% interval")
    rows.add_row("top-1", f"{scores.top1:.4f}", str(intervals["top1"]))
    if len(scores.per_class) > 5:
        rows.add_row("top-5", f"{scores.top5:.4f}", str(intervals["top5"]))
    rows.add_row("loss", f"{scores.loss:.4f}", str(intervals["loss"]))
    what = "macro recall" if scores.is_complete else "macro recall (0 for classes without images)"
    rows.add_row(what, f"{scores.macro_recall:.4f}", str(intervals["macro_recall"]))
    if not scores.is_complete:
        balanced = intervals["balanced_accuracy"]
        rows.add_row("balanced accuracy (classes with images)", f"{scores.balanced_accuracy:.4f}", str(balanced))
    before = f"; without the temperature {result.uncalibrated_ece:.4f}" if result.outputs.has_temperature else ""
    chance = f"a perfectly calibrated network: {result.ece_if_calibrated} on as many images"
    return f"{text(rows)}\n\ncalibration error {scores.ece:.4f} ({chance}){before}"


def _signed(interval: Interval) -> str:
    return f"{interval.low:+.3f} to {interval.high:+.3f}"


def _meaning(found: Comparison) -> str:
    if found.n_only_first + found.n_only_second == 0:
        return "both networks get the same images right"
    if found.p_value < 0.05:
        return f"the {'first' if found.top1 > 0 else 'second'} network is better on such images"
    return "the difference may be chance"
