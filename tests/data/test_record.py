import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from alexnet.data.record import find, read_splits, restored, write_splits
from alexnet.data.source import Source
from alexnet.data.sources.open import open_source
from alexnet.data.split import split
from alexnet.data.store.store import Store, prepare
from alexnet.errors import DataError

from ..conftest import coloured_image, make_image_folder


@pytest.fixture
def run(tmp_path) -> Path:
    """A folder with the splits of ``own``, five images of each of three classes."""
    (tmp_path / "run").mkdir()
    source, store = opened(make_image_folder(tmp_path / "own", n_each=5))
    write_splits(tmp_path / "run" / "splits.csv", split(source, store, seed=0), store)
    return tmp_path / "run"


def opened(data: Path) -> tuple[Source, Store]:
    source = open_source(data)
    return source, prepare(source)


def again(data: Path, run: Path) -> Source:
    source, store = opened(data)
    return restored(source, store, ("blue", "green", "red"), run, "alexnet train DATA --resume run")


def test_written_splits_are_read_back(run, tmp_path) -> None:
    source, store = opened(tmp_path / "own")
    assert (run / "splits.csv").read_text().startswith("path,label,split,content\nblue/photo 0.jpg,blue,")
    assert again(tmp_path / "own", run) == split(source, store, seed=0)


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"two\nlines.jpg", b"a\rreturn.jpg", b"'quo\"ted', too.jpg"])
def test_unusual_names_are_written_too(tmp_path, name) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=4)
    (root / "red" / "photo 0.jpg").rename(root / "red" / os.fsdecode(name))
    source, store = opened(root)
    written = split(source, store, seed=0)
    write_splits(tmp_path / "splits.csv", written, store)
    assert again(root, tmp_path) == written


def test_images_are_found_elsewhere_in_the_order_of_the_record(run, tmp_path) -> None:
    """Training draws images by their position, so a resumed run needs the same order."""
    before = again(tmp_path / "own", run)
    new = tmp_path / "new"
    for number, path in enumerate(sorted((tmp_path / "own").rglob("*.jpg"), reverse=True)):
        (new / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, new / path.parent.name / f"{number:03d}.jpg")
    after = again(new, run)
    assert [(each.label, each.split) for each in after.images] == [(each.label, each.split) for each in before.images]
    stores = [prepare(source) for source in (before, after)]
    contents = [
        [store.content(each.path) for each in source.images]
        for source, store in zip((before, after), stores, strict=True)
    ]
    assert contents[0] == contents[1]


def test_copies_keep_their_places_and_labels(tmp_path) -> None:
    """One image under two labels: after a move, each row is found under its own label."""
    root = make_image_folder(tmp_path / "photos", n_each=4)
    shutil.copy(root / "red" / "photo 1.jpg", root / "blue" / "copy.jpg")
    shutil.copy(root / "red" / "photo 1.jpg", root / "red" / "copy.jpg")
    source, store = opened(root)
    write_splits(tmp_path / "splits.csv", split(source, store, seed=0), store)
    root.rename(tmp_path / "moved")
    for path in list((tmp_path / "moved").rglob("copy.jpg")):
        path.rename(path.with_name("a copy.jpg"))
    source, store = opened(tmp_path / "moved")
    found = find(read_splits(tmp_path / "splits.csv"), source, store)
    assert not found.missing
    assert not found.relabelled
    assert not found.added


def test_labels_that_have_changed_are_refused_by_name(run, tmp_path) -> None:
    (tmp_path / "own" / "red" / "photo 2.jpg").rename(tmp_path / "own" / "blue" / "was red.jpg")
    with pytest.raises(DataError, match=r"1 images have other labels .* 'blue/was red\.jpg': 'red' then, 'blue' now"):
        again(tmp_path / "own", run)


def test_images_that_are_gone_or_changed_are_named_with_what_to_do(run, tmp_path) -> None:
    (tmp_path / "own" / "red" / "photo 2.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 15 .* are gone in .*: 'red/photo 2\.jpg'; .*train DATA --resume"):
        again(tmp_path / "own", run)
    coloured_image("red", 99).save(tmp_path / "own" / "blue" / "photo 1.jpg")
    with pytest.raises(DataError, match=r"2 of 15 images .* are gone or have changed"):
        again(tmp_path / "own", run)


def test_images_and_classes_added_since_change_nothing(run, tmp_path) -> None:
    before = again(tmp_path / "own", run)
    (tmp_path / "own" / "violet").mkdir()
    coloured_image("red", 99).save(tmp_path / "own" / "amber.png")
    coloured_image("red", 99).save(tmp_path / "own" / "green" / "amber.png")
    after = again(tmp_path / "own", run)
    assert (after.images, after.classes) == (before.images, before.classes)
    assert "left out 1 images that the run's splits.csv does not name: 'green/amber.png'" in after.warnings


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("content", "digest", 1), "its first line is not"),
        (lambda text: text[:-10], "at line 16"),
        (lambda text: text.replace(",train,", ",learn,", 1), "at line"),
        (lambda text: "", "first line"),
    ],
)
def test_a_damaged_record_is_named(run, damage, message) -> None:
    file = run / "splits.csv"
    file.write_text(damage(file.read_text()))
    with pytest.raises(DataError, match=message):
        read_splits(file)
    file.unlink()
    with pytest.raises(DataError, match="cannot read the splits"):
        read_splits(file)


def test_a_run_resumes_where_accents_are_spelled_differently(run, tmp_path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "réd") for form in ("NFC", "NFD"))
    (tmp_path / "own" / "red").rename(tmp_path / "own" / nfc)
    splits = run / "splits.csv"
    splits.write_text(splits.read_text().replace(",red,", f",{nfd},").replace("red/", f"{nfd}/"), encoding="utf-8")
    source, store = opened(tmp_path / "own")
    found = find(read_splits(splits), source, store)
    assert not found.missing
    assert not found.relabelled
    classes = ("blue", "green", nfd)
    again = restored(source, store, classes, run, "alexnet train DATA --resume run")
    assert {each.label for each in again.images} == set(classes), "those of the network"
