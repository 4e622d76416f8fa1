"""The headline numbers, each with its 95% interval, in plain words."""

import math

import numpy as np
from markupsafe import Markup

from alexnet.evaluation.scoring import EvaluationResult
from alexnet.reporting.facts import Facts, known
from alexnet.reporting.html import Share, counted, details, grid, items, lines, paragraph


def headline(facts: Facts) -> Markup:
    """Return how good the network is, and what each number means."""
    result = known(facts.evaluation)
    warnings = [*result.warnings, *(f"skipped {path}: {reason}" for path, reason in result.skipped.items())]
    parts = [
        paragraph(_sentence(result), kind="lead"),
        paragraph(_comparison(result), _weakest(result), _most_confused(result)),
        paragraph(_no_test(result)),
        grid(_cards(result), "cards"),
    ]
    if warnings:
        title = f"{counted(len(warnings), 'note')} on these images"
        more = [f"and {len(warnings) - 50} more"] if len(warnings) > 50 else []
        parts.append(details(title, items([*warnings[:50], *more]), is_open=len(warnings) < 4))
    return lines(parts)


def _sentence(result: EvaluationResult) -> Markup:
    scores, interval = result.scores, result.intervals["top1"]
    return Markup(
        "It is right on <strong>{}</strong> of {}. On more images like these, expect {} to {}, with 95% confidence."
    ).format(
        Share(scores.top1),
        counted(scores.n_images, f"{result.split} image"),
        Share(interval.low),
        Share(interval.high),
    )


def _comparison(result: EvaluationResult) -> str:
    largest = max(result.scores.per_class, key=lambda each: each.n_images)
    share = Share(largest.n_images / result.scores.n_images)
    return f"Always predicting {largest.label} would be right on {share}."


def _weakest(result: EvaluationResult) -> str:
    present = [each for each in result.scores.per_class if each.n_images]
    weakest = min(present, key=lambda each: each.recall)
    if weakest.recall == 1:
        return "It makes no mistake on them."
    return f"Its weakest class is {weakest.label}: {Share(weakest.recall)} of {counted(weakest.n_images, 'image')}."


def _most_confused(result: EvaluationResult) -> str:
    errors = np.array(result.scores.confusion)
    np.fill_diagonal(errors, 0)
    given, predicted = np.unravel_index(errors.argmax(), errors.shape)
    n, classes = int(errors[given, predicted]), result.outputs.classes
    return f"Most often it predicts {classes[predicted]} for {classes[given]}: {counted(n, 'time')}." if n else ""


def _no_test(result: EvaluationResult) -> str:
    if result.split == "test":
        return ""
    is_fitted = result.outputs.has_temperature
    also = " The temperature was fitted on them, so the calibration error on new images is larger." if is_fitted else ""
    return (
        f"The run has no test images, so these are its {result.split} images. The network did not learn from them, but "
        f"whoever chose settings by them has seen their score: on new images it may be lower.{also}"
    )


def _cards(result: EvaluationResult) -> list[Markup]:
    scores, n_classes = result.scores, len(result.outputs.classes)
    cards = [_share(result, "top1", "Top-1", scores.top1, "The most probable class is right.")]
    if n_classes > 5:
        cards.append(_share(result, "top5", "Top-5", scores.top5, "The right class is among the five most probable."))
    what = "The mean of the classes' recalls: rare classes count as much as frequent ones."
    cards.append(_share(result, "macro_recall", "Macro recall", scores.macro_recall, what))
    if not scores.is_complete:
        what = "The same over the classes that have images here."
        cards.append(_share(result, "balanced_accuracy", "Balanced accuracy", scores.balanced_accuracy, what))
    loss, interval = scores.loss, result.intervals["loss"]
    guessing = f"Mean cross-entropy in nats. Guessing among {n_classes} classes: {math.log(n_classes):.2f}."
    cards.append(_card("Loss", f"{loss:.3f}", f"{interval.low:.3f} to {interval.high:.3f}", guessing))
    chance = result.ece_if_calibrated
    by_chance = f"{chance.low:.3f} to {chance.high:.3f}"
    what = (
        "How far probabilities are from the share that is right. That of a perfectly calibrated network would be "
        f"{by_chance} here."
    )
    has_temperature = result.outputs.has_temperature
    before = "" if not has_temperature else f"{result.uncalibrated_ece:.3f} before calibration"
    cards.append(_card("Calibration error", f"{scores.ece:.3f}", before, what))
    return cards


def _share(result: EvaluationResult, name: str, title: str, value: float, what: str) -> Markup:
    """Return a card with a share, and a line from 0 to 1 on which it and its interval are drawn."""
    interval = result.intervals[name]
    line = Markup('<i class="range" style="--low:{:.4f};--high:{:.4f};--value:{:.4f}"></i>').format(
        interval.low, interval.high, value
    )
    return _card(title, str(Share(value)), f"{Share(interval.low)} to {Share(interval.high)}", what, line)


def _card(title: str, value: str, below: str, what: str, line: str = "") -> Markup:
    return Markup('<div class="number"><h3>{}</h3><b>{}</b><span class="interval">{}</span>{}<p>{}</p></div>').format(
        title, value, below, line, what
    )
