import random
import shutil
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from PIL import Image

from alexnet.data.sources.open import open_source
from alexnet.data.split import refuse_unlearnable, split
from alexnet.data.store.store import prepare
from alexnet.errors import DataError

from ..conftest import coloured_image, make_image_folder


def split_of(data, seed: int = 0):
    source = open_source(data)
    return split(source, prepare(source), seed)


def by_content(data, seed: int = 0) -> dict[str, str | None]:
    source = open_source(data)
    store = prepare(source)
    return {store.content(image.path): image.split for image in split(source, store, seed).images}


def test_tenths_of_each_class(image_folder) -> None:
    counts = Counter((image.label, image.split) for image in split_of(image_folder).images)
    for label in ("blue", "green", "red"):
        assert [counts[label, name] for name in ("train", "val", "test")] == [32, 4, 4]


def test_splits_depend_on_the_seed_and_not_on_the_order_of_files(image_folder) -> None:
    source = open_source(image_folder)
    store = prepare(source)
    shuffled = list(source.images)
    random.Random(1).shuffle(shuffled)
    there = {image.path: image.split for image in split(source, store, 3).images}
    mixed = source.with_images(tuple(shuffled))
    again = {image.path: image.split for image in split(mixed, store, 3).images}
    other = {image.path: image.split for image in split(source, store, 4).images}
    assert there == again != other


def test_splits_depend_on_content_and_not_on_names(image_folder, tmp_path) -> None:
    for folder in image_folder.iterdir():
        (tmp_path / folder.name).mkdir()
        for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
            shutil.copy(path, tmp_path / folder.name / f"renamed {number}.jpeg")
    assert by_content(image_folder) == by_content(tmp_path)


def test_copies_stay_on_one_side(tmp_path) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=20)
    for label in ("blue", "green", "red"):
        for number in range(20):
            path = root / label / f"photo {number}.jpg"
            if number % 2:
                shutil.copy(path, root / label / f"copy of {number}.jpg")
            else:  # the same pixels in another file
                Image.open(path).save(root / label / f"copy of {number}.png")
    shutil.copy(root / "red" / "photo 0.jpg", root / "blue" / "labelled twice.jpg")
    source = open_source(root)
    store = prepare(source)
    for seed in range(5):
        splits_of = defaultdict(set)
        for image in split(source, store, seed).images:
            splits_of[store.pixel_digest(image.path)].add(image.split)
        assert all(len(splits) == 1 for splits in splits_of.values())
        counts = Counter(image.split for image in split(source, store, seed).images)
        assert counts["val"] == pytest.approx(12, abs=3)
        assert counts["test"] == pytest.approx(12, abs=3)


def test_a_large_group_of_copies_goes_to_train(tmp_path) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=5)
    for number in range(20):
        shutil.copy(root / "red" / "photo 0.jpg", root / "red" / f"placeholder {number}.jpg")
    for path in list(root.rglob("blue/*.jpg")):  # two copies of each: every group is larger than a tenth of the class
        shutil.copy(path, path.with_suffix(".jpeg"))
    for seed in range(5):
        images = split_of(root, seed).images
        assert {each.split for each in images if each.label == "blue"} == {"train", "val", "test"}
        assert {each.split for each in images if "placeholder" in each.path} == {"train"}
        assert {each.split for each in images if each.label == "red"} == {"train", "val", "test"}


def test_unreadable_images_have_no_split(tmp_path) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=4)
    (root / "red" / "photo 1.jpg").write_bytes(b"broken")
    assert len(split_of(root).images) == 11


def test_splits_that_are_there_are_kept_and_val_is_taken_from_train(tmp_path) -> None:
    make_image_folder(tmp_path / "train", n_each=10)
    make_image_folder(tmp_path / "test", n_each=10)
    images = split_of(tmp_path).images
    assert Counter(image.split for image in images) == {"train": 27, "val": 3, "test": 30}
    assert [image.path for image in images] == [image.path for image in open_source(tmp_path).images]
    assert all(image.path.startswith("test/") == (image.split == "test") for image in images)


def test_images_with_two_labels_stay_in_train(tmp_path) -> None:
    root = make_image_folder(tmp_path / "photos", n_each=10)
    (root / "only copies").mkdir()
    shutil.copy(root / "red" / "photo 1.jpg", root / "only copies" / "a.jpg")
    for seed in range(10):
        splits = {image.path: image.split for image in split_of(root, seed).images}
        assert splits["red/photo 1.jpg"] == splits["only copies/a.jpg"] == "train"


def test_one_class_cannot_be_learned(tmp_path) -> None:
    (tmp_path / "only").mkdir()
    coloured_image("red", 0).save(tmp_path / "only" / "a.png")
    with pytest.raises(DataError, match="one class only"):
        refuse_unlearnable(open_source(tmp_path))


def test_too_few_images_to_split(tmp_path) -> None:
    with pytest.raises(DataError, match="too small to split"):
        split_of(make_image_folder(tmp_path / "photos", n_each=1))


def test_no_train_images(image_folder) -> None:
    source = open_source(image_folder)
    only_val = source.with_images(tuple(replace(image, split="val") for image in source.images))
    with pytest.raises(DataError, match="no train images, only val"):
        refuse_unlearnable(only_val)


def test_a_class_in_test_only_cannot_be_learned(tmp_path) -> None:
    make_image_folder(tmp_path / "train", n_each=3)
    make_image_folder(tmp_path / "test", n_each=1)
    (tmp_path / "test" / "violet").mkdir()
    coloured_image("red", 0).save(tmp_path / "test" / "violet" / "a.png")
    with pytest.raises(DataError, match=r"class 'violet' in test only.*test/violet/a\.png"):
        refuse_unlearnable(open_source(tmp_path))


def test_a_class_that_train_spells_differently_is_named_with_it(tmp_path) -> None:
    """'glass' in train and 'Glass' in val are two classes on one system and one on another."""
    for path in ("train/glass", "train/paper", "val/Glass", "val/paper"):
        (tmp_path / path).mkdir(parents=True)
        coloured_image("red", 0).save(tmp_path / path / "a.png")
    source = open_source(tmp_path)
    assert (
        "classes 'Glass', 'glass' differ only in case or blanks; if they are one, give them one name" in source.warnings
    )
    with pytest.raises(
        DataError, match=r"has the class 'Glass' in val only, .* but train has 'glass'; if they are one"
    ):
        refuse_unlearnable(source)
