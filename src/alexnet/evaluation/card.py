"""What a notebook shows of an evaluation."""

from collections.abc import Mapping, Sequence

from alexnet.evaluation.scores.intervals import Interval
from alexnet.evaluation.scores.metrics import Scores
from alexnet.html.blocks import card, note, table
from alexnet.html.elements import Html
from alexnet.html.matrix import confusion_matrix

# The numbers that are shown, in this order, and their names.
HEADLINE = {
    "top1": "top-1",
    "top5": "top-5",
    "loss": "loss",
    "ece": "calibration error",
    "macro_recall": "macro recall",
    "balanced_accuracy": "balanced accuracy",
}


def evaluation_card(
    title: str, scores: Scores, intervals: Mapping[str, Interval], warnings: Sequence[str] = ()
) -> Html:
    """Return the headline numbers with their 95% intervals, and the confusion matrix.

    Args:
        title: what was evaluated.
        scores: the scores.
        intervals: by the name of the number; the calibration error has none.
        warnings: what a user should know about the data.
    """
    numbers = scores.to_json()
    hidden = {"balanced_accuracy"} if scores.is_complete else set()
    hidden |= {"top5"} if len(scores.per_class) <= 5 else set()
    rows = [
        (words, f"{numbers[name]:.3f}", str(intervals.get(name, "")))
        for name, words in HEADLINE.items()
        if name not in hidden
    ]
    header = ("", "value", "95% interval")
    matrix = confusion_matrix([score.label for score in scores.per_class], scores.confusion)
    return card(title, table(header, rows), matrix, *(note(f"warning: {each}") for each in warnings))
