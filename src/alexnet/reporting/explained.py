"""What the room ``explanation`` finds out about the evaluated images, as facts for the report."""

import os
from collections.abc import Iterator, Sequence

from alexnet.data.parallel import Track
from alexnet.explanation.explain import Explainer
from alexnet.explanation.panel import overlay
from alexnet.explanation.result import Explanation
from alexnet.inference.classifier import Classifier
from alexnet.reporting.facts import HeatMap, Images, Kernels, Missing, Neighbours


def explainer(classifier: Classifier, data: str | os.PathLike[str] | None, track: Track) -> Explainer:
    """Return what explains the predictions of a classifier. The first time, it looks at the training images."""
    return Explainer.of(classifier, data=data, track=track)


def kernels(explainer: Explainer) -> Kernels:
    """Return the kernels of the first layer."""
    return Kernels(explainer.kernels.draw(), explainer.kernels.structure)


def heat_maps(explainer: Explainer, images: Images, names: Sequence[str]) -> tuple[HeatMap, ...]:
    """Return what speaks for the predicted class in some images.

    Raises:
        Missing: this network has no such maps.
    """
    found = []
    for name, explanation in _explained(explainer, images, names):
        if not explanation.maps:
            raise Missing(explainer.notes[0])
        first = explanation.maps[0]
        found.append(HeatMap(name, first.label, overlay(images.pixels(name), first)))
    return tuple(found)


def neighbours(explainer: Explainer, images: Images, names: Sequence[str]) -> tuple[Neighbours, ...]:
    """Return the training images nearest to some images.

    Raises:
        Missing: the training images are not there any more.
    """
    if explainer.gallery is None:
        raise Missing(explainer.notes[-1])
    return tuple(
        Neighbours(name, tuple((each.path, each.label) for each in explanation.neighbours))
        for name, explanation in _explained(explainer, images, names)
    )


def _explained(explainer: Explainer, images: Images, names: Sequence[str]) -> Iterator[tuple[str, Explanation]]:
    yield from zip(names, explainer.explain_each(images.pixels(name) for name in names), strict=True)
