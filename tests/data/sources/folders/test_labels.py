"""Tables with labels in folders: which are read, and whether they agree with the folders."""

import shutil
from pathlib import Path

import pytest

from alexnet.data.sources.folders import labels
from alexnet.data.sources.open import open_source
from alexnet.data.sources.tables import manifest
from alexnet.errors import DataError

from ..trees import counts, make_tree


def rows(root: Path, table: str, text: str) -> None:
    (root / table).write_text(text.replace(" ", "\n"))


@pytest.fixture(params=["folder", "zip"])
def opened(request, tmp_path):
    """Open a folder, or an archive of it."""

    def open_it(folder: Path):
        if request.param == "folder":
            return open_source(folder)
        return open_source(shutil.make_archive(str(tmp_path / "zipped"), "zip", folder.parent, folder.name))

    return open_it


def test_each_split_has_its_table(opened, tmp_path) -> None:
    """supervision #625: a network was trained to distinguish train, valid and test."""
    data = make_tree(tmp_path / "data", "train/a.png train/b.png train/c.png valid/d.png test/e.png test/f.png")
    rows(data, "train/_classes.csv", "filename,cat,dog a.png,1,0 b.png,0,1")
    rows(data, "valid/_classes.csv", "filename,cat,dog d.png,1,0")
    rows(data, "test/_classes.csv", "filename,cat,dog e.png,0,1 f.png,1,0")
    source = opened(data)
    assert counts(source) == {"test": {"cat": 1, "dog": 1}, "train": {"cat": 1, "dog": 1}, "val": {"cat": 1}}
    assert any("left out 1 images that are in no table, such as" in warning for warning in source.warnings)


def test_tables_named_after_splits(opened, tmp_path) -> None:
    data = make_tree(tmp_path / "data", "train/a.png train/b.png test/c.png test/d.png")
    rows(data, "train.csv", "id,class a,cat b,dog")
    rows(data, "test.csv", "id,class c,dog d,cat")
    rows(data, "sample_submission.csv", "id,class c,cat d,cat")
    assert counts(opened(data)) == {"test": {"cat": 1, "dog": 1}, "train": {"cat": 1, "dog": 1}}


def test_one_table_beside_one_folder(opened, tmp_path) -> None:
    """fastai #1126: labels.csv beside train/, with names that lack folder and ending."""
    data = make_tree(tmp_path / "data", "train/a.png train/b.png")
    rows(data, "labels.csv", "id,breed a,cat b,dog")
    source = opened(data)
    assert counts(source) == {None: {"cat": 1, "dog": 1}}
    assert source.warnings[0].startswith("labels are from the table '")


def test_folders_split_a_table_that_does_not(opened, tmp_path) -> None:
    """A table without a split column must not put test images into train."""
    data = make_tree(tmp_path / "data", "train/a.png train/b.png test/c.png test/d.png")
    rows(data, "labels.csv", "path,label train/a.png,cat train/b.png,dog test/c.png,cat test/d.png,dog")
    split = {"test": {"cat": 1, "dog": 1}, "train": {"cat": 1, "dog": 1}}
    assert counts(opened(data)) == split
    given = open_source(data / "labels.csv")
    assert counts(given) == split
    assert given.warnings == (
        "the table has no column split; the splits train and test are taken from the folders in its paths",
    )
    rows(data, "labels.csv", "path,label,split train/a.png,cat,test train/b.png,dog,train test/c.png,cat,train")
    assert counts(open_source(data / "labels.csv")) == {"test": {"cat": 1}, "train": {"cat": 1, "dog": 1}}


def test_several_tables_are_refused(opened, tmp_path) -> None:
    data = make_tree(tmp_path / "data", "images/a.png images/b.png")
    for name in ("labels.csv", "boxes.csv"):
        rows(data, name, "path,label a.png,cat b.png,dog")
    with pytest.raises(
        DataError, match=r"no class folders, but 2 tables; give the one with the labels: '.*boxes\.csv'"
    ):
        opened(data)
    rows(data, "manifest.csv", "path,label images/a.png,cat images/b.png,dog")
    assert counts(opened(data)) == {None: {"cat": 1, "dog": 1}}


def test_some_rows_of_a_large_table_are_compared_with_folders(opened, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(labels, "MAX_ROWS", 2)
    compared = []
    locate = manifest.locate
    monkeypatch.setattr(manifest, "locate", lambda table, *more: compared.extend(table.lines) or locate(table, *more))
    data = make_tree(tmp_path / "data", "part_1/a.png part_1/b.png part_2/c.png part_2/d.png")
    rows(data, "metadata.csv", "image_id,dx a,nv b,mel c,nv d,mel")
    assert any("metadata.csv' has other labels" in warning for warning in opened(data).warnings)
    assert sorted(set(compared)) == [2, 4]


def test_a_competition_has_no_labels_of_test(opened, tmp_path) -> None:
    data = make_tree(tmp_path / "data", "train/a.png train/b.png test/c.png")
    rows(data, "train.csv", "id,label a,cat b,dog")
    rows(data, "test.csv", "id c")
    with pytest.raises(DataError, match=r"test.csv' has no column label.*, give .*train.csv'") as caught:
        opened(data)
    assert str(caught.value).endswith(("/data/train.csv'", "give 'data/train.csv' of it, unpacked"))
    assert counts(open_source(data / "train.csv")) == {None: {"cat": 1, "dog": 1}}


def test_a_table_with_other_labels_than_the_folders_is_reported(opened, tmp_path) -> None:
    """HAM10000 has two folders that are parts of the download, and a table with the labels."""
    data = make_tree(tmp_path / "data", "part_1/a.png part_1/b.png part_2/c.png part_2/d.png")
    rows(data, "metadata.csv", "image_id,dx a,nv b,mel c,nv d,mel")
    source = opened(data)
    assert source.classes == ("part_1", "part_2")
    assert any("metadata.csv' has other labels than the folders" in warning for warning in source.warnings)
    rows(data, "metadata.csv", "image_id,dx a,nv b,nv c,mel d,mel")
    assert not open_source(data).warnings
    rows(data, "metadata.csv", "width,height 3,4")
    assert not open_source(data).warnings
