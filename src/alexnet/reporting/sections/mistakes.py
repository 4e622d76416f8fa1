"""What is predicted wrong, with the images themselves: to find wrong labels, and to see what is hard."""

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup

from alexnet.evaluation.outputs import Outputs
from alexnet.reporting.facts import Facts
from alexnet.reporting.html import bars, counted, grid, lines, paragraph
from alexnet.reporting.images import card

N_WORST = 24
N_UNSURE = 12
N_PAIRS = 5
N_OF_PAIR = 3


def worst_mistakes(facts: Facts) -> Markup:
    """Return the images whose label the network holds for least probable."""
    outputs = facts.outputs
    wrong = np.flatnonzero(~outputs.is_right)
    if not len(wrong):
        return paragraph(f"No mistake on {counted(len(outputs.names), 'image')}.")
    worst = wrong[np.argsort(outputs.own[wrong], kind="stable")][:N_WORST]
    said = paragraph(
        f"{len(wrong):,} of {counted(len(outputs.names), 'image')} predicted wrong, those first whose label has the",
        "lowest probability: look here for wrong labels. Green is the label, red what is predicted. An image links to",
        "its file, where it has one.",
    )
    return lines((said, _cards(facts, worst)))


def least_sure(facts: Facts) -> Markup:
    """Return the images that are predicted right with the lowest probability."""
    outputs = facts.outputs
    right = np.flatnonzero(outputs.is_right)
    if not len(right):
        return paragraph("No image is predicted right.")
    unsure = right[np.argsort(outputs.own[right], kind="stable")][:N_UNSURE]
    said = paragraph("Predicted right, but with the lowest probabilities: more training images like these would help.")
    return lines((said, _cards(facts, unsure)))


def confused_pairs(facts: Facts) -> Markup:
    """Return the pairs of classes that are confused most often, with images of both side by side."""
    outputs = facts.outputs
    pairs = _pairs(outputs)
    if not pairs:
        return paragraph("No two classes are confused.")
    parts = [paragraph("Left, images of one class that are taken for the other; right, the other way round.")]
    for one, other, n in pairs:
        names = outputs.classes[one], outputs.classes[other]
        title = Markup("<h3>{} and {} <small>{}</small></h3>").format(*names, counted(n, "image"))
        parts.append(Markup('<section class="pair">{}{}</section>').format(title, _sides(facts, one, other)))
    return lines(parts)


def _sides(facts: Facts, one: int, other: int) -> Markup:
    """Return the images of each of two classes that are predicted as the other."""
    outputs = facts.outputs
    sides = []
    for label, predicted in ((one, other), (other, one)):
        found = np.flatnonzero((outputs.labels == label) & (outputs.predicted == predicted))
        surest = found[np.argsort(outputs.own[found], kind="stable")][:N_OF_PAIR]
        title = Markup("<h4>{}, predicted {}: {}</h4>").format(
            outputs.classes[label], outputs.classes[predicted], len(found)
        )
        none = paragraph("None.", kind="muted")
        sides.append(Markup("<div>{}{}</div>").format(title, _cards(facts, surest) if len(found) else none))
    return grid(sides, "sides")


def _cards(facts: Facts, numbers: Iterable[int]) -> Markup:
    return grid((_card(facts, int(number)) for number in numbers), "images")


def _card(facts: Facts, number: int) -> Markup:
    """Return an image with the probabilities of its label and of the most probable other class."""
    outputs = facts.outputs
    label, is_right = int(outputs.labels[number]), bool(outputs.is_right[number])
    best = np.argsort(-outputs.probabilities[number], kind="stable")
    other = next(int(place) for place in best if place != label)
    shares = [
        (outputs.classes[place], float(outputs.probabilities[number, place]), kind)
        for place, kind in ((label, "right"), (other, "" if is_right else "wrong"))
    ]
    return card(facts, outputs.names[number], bars(shares), "right" if is_right else "wrong")


def _pairs(outputs: Outputs) -> list[tuple[int, int, int]]:
    """Return the pairs of classes that are confused most often, and how often, in both directions together."""
    n_classes = len(outputs.classes)
    wrong = ~outputs.is_right
    both = np.stack([outputs.labels[wrong], outputs.predicted[wrong]])
    numbers, n = np.unique(both.min(axis=0) * n_classes + both.max(axis=0), return_counts=True)
    order = np.argsort(-n, kind="stable")[:N_PAIRS]
    return [(*divmod(int(numbers[i]), n_classes), int(n[i])) for i in order]
