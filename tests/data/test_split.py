import os
import random
from collections import Counter
from dataclasses import replace

import pytest

from alexnet.data.source import Picture, open_source
from alexnet.data.split import apply_splits, split, write_splits
from alexnet.errors import DataError

from ..conftest import coloured_picture, make_photos


def test_tenths_of_each_class(photos) -> None:
    counts = Counter((picture.label, picture.split) for picture in split(open_source(photos), seed=0).pictures)
    for label in ("blue", "green", "red"):
        assert [counts[label, name] for name in ("train", "val", "test")] == [32, 4, 4]


def test_the_seed_decides_and_nothing_else(photos) -> None:
    source = open_source(photos)
    shuffled = list(source.pictures)
    random.Random(1).shuffle(shuffled)
    there = {picture.path: picture.split for picture in split(source, seed=3).pictures}
    again = {picture.path: picture.split for picture in split(source.with_pictures(tuple(shuffled)), seed=3).pictures}
    other = {picture.path: picture.split for picture in split(source, seed=4).pictures}
    assert there == again != other


def test_splits_that_are_there_are_kept_and_val_is_taken_from_train(tmp_path) -> None:
    for name in ("train", "test"):
        make_photos(tmp_path / name, n_each=10)
    pictures = split(open_source(tmp_path), seed=0).pictures
    assert Counter(picture.split for picture in pictures) == {"train": 27, "val": 3, "test": 30}
    assert [picture.path for picture in pictures] == [picture.path for picture in open_source(tmp_path).pictures]
    assert all(picture.path.startswith("test/") == (picture.split == "test") for picture in pictures)


def test_written_splits_are_read_back(photos, tmp_path) -> None:
    source = split(open_source(photos), seed=0)
    write_splits(tmp_path / "splits.csv", source)
    assert (tmp_path / "splits.csv").read_text().startswith("path,label,split\nblue/photo 0.jpg,blue,")
    assert apply_splits(open_source(photos), tmp_path / "splits.csv") == source


def test_names_that_are_no_text_are_written_too(photos, tmp_path) -> None:
    strange = Picture(os.fsdecode(b"red/caf\xe9.jpg"), "red", "train")
    source = open_source(photos).with_pictures((strange,))
    write_splits(tmp_path / "splits.csv", source)
    assert apply_splits(source, tmp_path / "splits.csv") == source


def test_a_picture_that_has_gone_is_named(photos, tmp_path) -> None:
    source = split(open_source(photos), seed=0)
    write_splits(tmp_path / "splits.csv", source)
    fewer = source.with_pictures(source.pictures[1:])
    with pytest.raises(DataError, match=r"'blue/photo 0\.jpg'"):
        apply_splits(fewer, tmp_path / "splits.csv")
    first = source.pictures[0].split
    other = "test" if first != "test" else "val"
    assert apply_splits(fewer, tmp_path / "splits.csv", needed=other) == fewer


def test_one_class_cannot_be_learned(tmp_path) -> None:
    (tmp_path / "only").mkdir()
    coloured_picture("red", 0).save(tmp_path / "only" / "a.png")
    with pytest.raises(DataError, match="one class only"):
        split(open_source(tmp_path), seed=0)


def test_too_few_pictures_to_split(tmp_path) -> None:
    make_photos(tmp_path / "photos", n_each=1)
    with pytest.raises(DataError, match="too small to split"):
        split(open_source(tmp_path / "photos"), seed=0)


def test_no_train_pictures(photos) -> None:
    source = open_source(photos)
    only_val = source.with_pictures(tuple(replace(picture, split="val") for picture in source.pictures))
    with pytest.raises(DataError, match="no train pictures, only val"):
        split(only_val, seed=0)
