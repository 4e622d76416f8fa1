"""What the network has learned: the paper's figures 3 and 4, and what it looks at."""

import numpy as np
from markupsafe import Markup

from alexnet.reporting.facts import Facts, HeatMap, Neighbours, known, sample
from alexnet.reporting.html import bars, grid, lines, paragraph
from alexnet.reporting.images import card, exact, place, thumbnail

N_GUESSED = 8
N_GUESSES = 5


def guesses(facts: Facts) -> Markup:
    """Return a few evaluated images with their most probable classes, as in figure 4, left."""
    outputs = facts.outputs
    numbers = {name: number for number, name in enumerate(outputs.names)}
    panels = []
    for name in sample(outputs, N_GUESSED):
        row, label = outputs.probabilities[numbers[name]], int(outputs.labels[numbers[name]])
        best = np.argsort(-row, kind="stable")[:N_GUESSES]
        shares = [(outputs.classes[i], float(row[i]), "right" if i == label else "") for i in best]
        kind = "right" if int(best[0]) == label else "wrong"
        panel = Markup('<figure class="panel {}">{}<figcaption><b>{}</b>{}{}</figcaption></figure>')
        image, where = thumbnail(facts, name), place(facts, name)
        panels.append(panel.format(kind, image, outputs.classes[label], bars(shares), where))
    few = len(outputs.classes) <= N_GUESSES
    said = paragraph(
        "Images spread evenly over the evaluated ones, not chosen by hand, each with its label and",
        "the probability of each class." if few else f"the {N_GUESSES} most probable classes.",
        "The bar of the label is green. As in figure 4 of the paper.",
    )
    return lines((said, grid(panels, "panels")))


def attention(facts: Facts) -> Markup:
    """Return what speaks for the predicted class in a few images."""
    maps = known(facts.heat_maps)
    said = paragraph(
        "Red and yellow parts of an image speak for the predicted class (Grad-CAM at the last convolution). Mistakes",
        "come first, if there are any. Colour on the background says that the network has learned the background.",
    )
    return lines((said, grid((_map(facts, each) for each in maps), "pairs")))


def nearest(facts: Facts) -> Markup:
    """Return the training images nearest to a few evaluated images, as in figure 4, right."""
    rows = [_row(facts, each) for each in known(facts.neighbours)]
    said = paragraph(
        "First an evaluated image, then the training images whose last hidden layer is most like its own, as in",
        "figure 4 of the paper. Those of another class have a red edge.",
    )
    return lines((said, *rows))


def first_kernels(facts: Facts) -> Markup:
    """Return the kernels of the first layer, as in figure 3."""
    kernels = known(facts.kernels)
    said = paragraph(
        "What the first layer looks for: edges of one direction and blobs of colour, as in figure 3 of the paper.",
        "Each kernel is scaled to its own range. Neighbouring weights of a kernel correlate by",
        f"{kernels.structure:.2f} on average; before training, by about 0.",
    )
    return lines((said, exact(kernels.image, "The kernels of the first layer")))


def _map(facts: Facts, each: HeatMap) -> Markup:
    """Return an image and its map side by side, with one caption."""
    label = _label(facts, each.name)
    kind = "right" if label == each.label else "wrong"
    both = thumbnail(facts, each.name) + thumbnail(facts, each.name, each.overlay)
    said = Markup("<b>{}</b>").format(label) + ("" if kind == "right" else f", predicted {each.label}")
    figure = Markup('<figure class="card {}"><div class="twice">{}</div><figcaption>{}{}</figcaption></figure>')
    return figure.format(kind, both, said, place(facts, each.name))


def _row(facts: Facts, each: Neighbours) -> Markup:
    label = _label(facts, each.name)
    cards = [card(facts, each.name, Markup("<b>{}</b>").format(label))]
    cards += [card(facts, name, own, "" if own == label else "wrong") for name, own in each.nearest]
    return grid(cards, "images row")


def _label(facts: Facts, name: str) -> str:
    outputs = facts.outputs
    return outputs.classes[int(outputs.labels[outputs.names.index(name)])]
