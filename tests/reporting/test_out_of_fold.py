import csv

import numpy as np
import pytest

from alexnet.cli import run as alexnet
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import prepare
from alexnet.errors import DataError, SettingsError
from alexnet.images.preprocessing import Preprocessing
from alexnet.network.value.variants import VARIANTS
from alexnet.reporting import out_of_fold as module
from alexnet.reporting.out_of_fold import divide, out_of_fold

from ..conftest import coloured_image, make_image_folder
from ..training.small import narrow

HOW = Preprocessing(store_size=256)


@pytest.fixture
def mislabelled(tmp_path):
    """Images of three colours; two green ones are in the folder of the red ones."""
    root = make_image_folder(tmp_path / "images", n_each=14)
    for number in (100, 101):
        coloured_image("green", number).save(root / "red" / f"wrong {number}.jpg")
    return root


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "EPOCHS", 12)
    monkeypatch.setattr(module, "WIDTH", 1.0)
    monkeypatch.setitem(VARIANTS, "batchnorm", narrow(VARIANTS["batchnorm"]))
    monkeypatch.setitem(VARIANTS, "small", narrow(VARIANTS["small"]))


def test_wrong_labels_come_first(mislabelled, trained_run, tmp_path, capsys) -> None:
    file = tmp_path / "errors.csv"
    assert alexnet(["evaluate", str(trained_run), str(mislabelled), "--errors", str(file), "--out-of-fold", "3"]) == 0
    assert "3 small networks predict" in capsys.readouterr().out
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) == 44
    assert {row["path"] for row in rows[:2]} == {"red/wrong 100.jpg", "red/wrong 101.jpg"}
    assert {row["predicted"] for row in rows[:2]} == {"green"}


def test_copies_are_in_one_fold_and_classes_are_divided_evenly(mislabelled) -> None:
    (mislabelled / "red" / "copy.jpg").write_bytes((mislabelled / "red" / "photo 1.jpg").read_bytes())
    source = open_source(mislabelled)
    store = prepare(source, 256)
    fold_of = divide(source, store, 4, seed=0)
    assert len(fold_of) == 45
    assert fold_of["red/copy.jpg"] == fold_of["red/photo 1.jpg"]
    for label in ("red", "green", "blue"):
        sizes = np.bincount([fold for path, fold in fold_of.items() if path.startswith(label)], minlength=4)
        assert sizes.max() - sizes.min() <= 2
    assert divide(source, store, 4, seed=0) == fold_of
    assert divide(source, store, 4, seed=1) != fold_of


def test_too_many_folds_are_refused(mislabelled) -> None:
    source = open_source(mislabelled)
    with pytest.raises(DataError, match="14 different images of 'blue', fewer than 15 folds; give --out-of-fold 14"):
        out_of_fold(source, HOW, 15)
    with pytest.raises(SettingsError, match="must be at least 2"):
        out_of_fold(source, HOW, 1)


def test_each_image_is_predicted_once_in_the_order_of_the_data(mislabelled) -> None:
    source = open_source(mislabelled)
    outputs = out_of_fold(source, HOW, 2).outputs
    assert outputs.names == tuple(image.path for image in source.images)
    assert [source.classes[label] for label in outputs.labels] == [image.label for image in source.images]
    assert np.exp(outputs.log_probabilities).sum(axis=1) == pytest.approx(1)


def test_a_copy_under_two_labels_is_in_one_fold(mislabelled) -> None:
    (mislabelled / "blue" / "copy.jpg").write_bytes((mislabelled / "red" / "photo 1.jpg").read_bytes())
    source = open_source(mislabelled)
    fold_of = divide(source, prepare(source, 256), 4, seed=0)
    assert fold_of["blue/copy.jpg"] == fold_of["red/photo 1.jpg"]
    assert len(fold_of) == 45


def test_images_that_cannot_be_read_are_named(mislabelled, trained_run, tmp_path, capsys) -> None:
    (mislabelled / "red" / "broken.jpg").write_bytes(b"")
    file = tmp_path / "errors.csv"
    assert alexnet(["evaluate", str(trained_run), str(mislabelled), "--errors", str(file), "--out-of-fold", "2"]) == 0
    assert "skipped red/broken.jpg: the file is empty" in capsys.readouterr().err
