from types import SimpleNamespace

import numpy as np
import pytest

from alexnet import load
from alexnet.data.parallel import untracked
from alexnet.explanation.result import Explanation
from alexnet.reporting import explained
from alexnet.reporting.facts import Missing

from .made_up import MadeUpImages

NOTES = ("Grad-CAM is not available for the activation gelu", "no training images are shown: they are gone")


class Blind:
    """An explainer that finds nothing out."""

    gallery, notes = None, NOTES

    def explain_each(self, images):
        return (Explanation("<ndarray>") for _ in images)


def test_kernels_are_an_image_with_a_measure(run) -> None:
    found = explained.kernels(explained.explainer(load(run), None, untracked))
    assert found.image.dtype == np.uint8
    assert found.image.shape[2] == 3
    assert -1 <= found.structure <= 1


def test_maps_are_images_of_the_same_size(run) -> None:
    explainer = explained.explainer(load(run), None, untracked)
    first, second = explained.heat_maps(explainer, MadeUpImages(), ("a", "b"))
    assert (first.name, second.name) == ("a", "b")
    assert {first.label, second.label} <= {"blue", "green", "red"}
    assert first.overlay.shape == MadeUpImages().pixels("a").shape
    assert not np.array_equal(first.overlay, second.overlay)


def test_what_a_network_cannot_show_says_why() -> None:
    with pytest.raises(Missing, match="not available for the activation gelu"):
        explained.heat_maps(Blind(), MadeUpImages(), ("a",))
    with pytest.raises(Missing, match="they are gone"):
        explained.neighbours(Blind(), MadeUpImages(), ("a",))


def test_neighbours_are_paths_and_labels() -> None:
    one = SimpleNamespace(path="train/a.jpg", label="red")
    explainer = Blind()
    explainer.gallery = object()
    explainer.explain_each = lambda images: (SimpleNamespace(neighbours=(one,)) for _ in images)
    (found,) = explained.neighbours(explainer, MadeUpImages(), ("x",))
    assert (found.name, found.nearest) == ("x", (("train/a.jpg", "red"),))
