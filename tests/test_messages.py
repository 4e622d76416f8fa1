"""Messages stay short, even with many classes and long names."""

import re

import pytest
import torch

from alexnet import AlexNet
from alexnet.data.source import LabelledImage, Source, describe
from alexnet.data.split import refuse_unlearnable
from alexnet.errors import ArtifactError, DataError, SettingsError
from alexnet.evaluation.selection.labels import labelled_as
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv
from alexnet.network.weights.loading import load_tensors
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.monitoring import few_images_warning

MOST = 300
CLASSES = tuple(f"{number:04d} {'x' * 240}" for number in range(1000))


class NoImages:
    """A reader without images."""

    def stamp(self, path: str) -> str:
        return ""

    def each(self, paths, n_bytes=-1):
        return iter(())


def source_of(*images: LabelledImage) -> Source:
    return Source("images", images, CLASSES, NoImages())


def test_classes_without_images() -> None:
    some = [LabelledImage(f"{label}/a.jpg", label, "train") for label in CLASSES[:500]]
    lines = describe([*some, LabelledImage("b.jpg", CLASSES[0], "val")], CLASSES)
    assert len(lines) == 2
    assert "and 499 more have no images; they are kept" in lines[0]
    assert max(map(len, lines)) < MOST


@pytest.mark.parametrize(
    "images",
    [
        [LabelledImage(f"{CLASSES[0]}/a.jpg", CLASSES[0])],
        [LabelledImage(f"{label}/a.jpg", label, "train" if label < "0500" else "test") for label in CLASSES],
    ],
)
def test_data_that_cannot_be_learned(images) -> None:
    with pytest.raises(DataError) as caught:
        refuse_unlearnable(source_of(*images))
    assert len(str(caught.value)) < MOST


def test_classes_that_a_model_does_not_know() -> None:
    with pytest.raises(DataError, match="and 999 more; rename or omit it") as caught:
        labelled_as(source_of(LabelledImage("a.jpg", "y" * 240)), CLASSES)
    assert len(str(caught.value)) < MOST


def test_classes_with_few_images() -> None:
    text = few_images_warning([1] * 1000, CLASSES)
    assert text is not None
    assert len(text) < MOST


def test_weights_with_a_thousand_names() -> None:
    net = Architecture(layers=(Conv(channels=4, kernel=3),), hidden=(8,), grid=1, n_classes=3, image_size=67)
    model = AlexNet(net)
    unknown = {f"{name}.alpha": torch.zeros(1) for name in CLASSES}
    with pytest.raises(ArtifactError) as caught:
        load_tensors(model, unknown, where="x.pth")
    assert len(str(caught.value)) < MOST
    with pytest.raises(ArtifactError) as caught:
        load_tensors(model, {**model.state_dict(), **unknown}, where="x.pth")
    assert len(str(caught.value)) < MOST
    loaded = load_tensors(model, {**model.state_dict(), **unknown}, where="x.pth", partial=True)
    assert re.search(r"kept: .*; left: ", str(loaded))
    assert len(str(loaded)) < 2 * MOST


@pytest.mark.parametrize("name", ["variant", "recipe", "device", "track"])
def test_options_with_lists_instead_of_words(name) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_json({name: list(CLASSES)})
    assert len(str(caught.value)) < MOST
