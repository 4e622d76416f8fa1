"""Labels match the class names of a network, in either spelling of accents."""

import json
import shutil
import unicodedata
from pathlib import Path

import pytest

from alexnet import evaluate
from alexnet.data.source import LabelledImage
from alexnet.data.sources.open import open_source
from alexnet.errors import DataError
from alexnet.evaluation.selection.labels import labelled_as

from ...conftest import make_image_folder

NFC, NFD = (unicodedata.normalize(form, "vérre") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("known", "found"), [(NFC, NFD), (NFD, NFC), (NFC, NFC), (NFD, NFD)])
def test_one_name_in_two_spellings_is_one_class(trained_run, tmp_path, known, found) -> None:
    model = Path(shutil.copytree(trained_run / "model", tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    config["classes"] = ["blue", "green", known]
    (model / "config.json").write_text(json.dumps(config))
    image_folder = make_image_folder(tmp_path / "photos", n_each=3, first=1000)
    (image_folder / "red").rename(image_folder / found)
    result = evaluate(model, image_folder)
    assert [(each.label, each.n_images) for each in result.scores.per_class] == [
        ("blue", 3),
        ("green", 3),
        (known, 3),
    ]
    assert result.scores.top1 > 0.8


@pytest.mark.parametrize("other", ["Glass", "glass ", "GLASS"])
def test_a_class_that_is_almost_known_is_named_beside_it(image_folder, other) -> None:
    source = open_source(image_folder).with_images((LabelledImage("a.jpg", other),))
    with pytest.raises(DataError, match=f"does not know the class '{other}' of .*, but 'glass'; rename or omit it"):
        labelled_as(source, ("glass", "paper"))
    with pytest.raises(DataError, match=f"does not know the class '{other}' of .*; it knows 'metal', 'paper'; rename"):
        labelled_as(source, ("metal", "paper"))


def test_two_classes_in_two_spellings_stay_two(image_folder) -> None:
    source = open_source(image_folder).with_images((LabelledImage("a.jpg", NFC), LabelledImage("b.jpg", NFD)))
    assert labelled_as(source, (NFD, NFC)) == source
