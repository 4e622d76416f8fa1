"""Which folders are read as splits and classes, for data sets as people download them; in folders and archives."""

import shutil
from pathlib import Path

import pytest

from alexnet.data.sources.open import open_source
from alexnet.errors import DataError

from ..trees import counts, make_tree

BOTH = {"cat": 2, "dog": 2}
SPLIT = {"train": BOTH, "test": BOTH}


def opened(root: Path, spec: str) -> tuple[dict[str | None, dict[str, int]], tuple[str, ...]]:
    """Return the image counts of each split and class, and the warnings. A zip archive must give the same counts."""
    folder = make_tree(root / "data", spec)
    source = open_source(folder)
    zipped = open_source(shutil.make_archive(str(root / "zipped"), "zip", root, "data"))
    assert counts(zipped) == counts(source)
    assert zipped.classes == source.classes
    return counts(source), source.warnings


def refusal(root: Path, spec: str) -> str:
    folder = make_tree(root / "data", spec)
    with pytest.raises(DataError) as caught:
        open_source(folder)
    with pytest.raises(DataError) as packed:
        open_source(shutil.make_archive(str(root / "zipped"), "zip", root, "data"))
    assert "zipped.zip/" not in str(packed.value), "no part of an archive can be given"
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(root), "")


@pytest.mark.parametrize(
    "spec",
    [
        "Training/cat Training/dog Testing/cat Testing/dog",
        "TRAIN/cat TRAIN/dog Test/cat Test/dog",
        "training_set/cat training_set/dog test_set/cat test_set/dog",
        "training_set/training_set/cat training_set/training_set/dog test_set/test_set/cat test_set/test_set/dog",
        "train/train/cat train/train/dog test/test/cat test/test/dog",
        "seg_train/seg_train/cat seg_train/seg_train/dog seg_test/seg_test/cat seg_test/seg_test/dog",
        "pets/Train~Images/cat pets/Train~Images/dog pets/Test~Images/cat pets/Test~Images/dog",
        "TrainData/cat TrainData/dog testdata/cat testdata/dog",
        "train/images/cat train/images/dog test/images/cat test/images/dog",
        "train-20230101-1/train/cat train-20230101-1/train/dog test-20230101-1/test/cat test-20230101-1/test/dog",
        "train/pets/cat train/pets/dog test/pets/cat test/pets/dog",
        "train/cat train/dog test/all/cat test/all/dog",
        "train/pets_train/cat train/pets_train/dog test/pets_test/cat test/pets_test/dog",
        "fold1/train/40X/cat fold1/train/40X/dog fold1/test/40X/cat fold1/test/40X/dog",
        "pets_train/pets_train/cat pets_train/pets_train/dog pets_test/cat pets_test/dog",
        "train2017/cat train2017/dog test2017/cat test2017/dog",
        "x/x/train/cat x/x/train/dog x/x/test/cat x/x/test/dog",
        "cat/train dog/train cat/test dog/test",
        "images/cat/Training images/dog/Training images/cat/Test images/dog/Test",
        "train/images/cat train/images/dog train/masks/cat train/masks/dog test/images/cat test/images/dog",
        "train/cat/images train/cat/masks train/dog/images train/dog/masks test/cat/images test/dog/images",
    ],
)
def test_splits_are_recognised(spec, tmp_path) -> None:
    assert opened(tmp_path, spec)[0] == SPLIT


@pytest.mark.parametrize(
    ("name", "split"), [("Validation", "val"), ("valid_set", "val"), ("dev", "val"), ("val", "val")]
)
def test_validation_has_many_names(name, split, tmp_path) -> None:
    found, _ = opened(tmp_path, f"train/cat train/dog {name}/cat {name}/dog")
    assert found == {"train": BOTH, split: BOTH}


@pytest.mark.parametrize(
    "spec",
    [
        "cat dog",
        "x/x/cat x/x/dog",
        "images/Images/cat images/Images/dog annotations/Annotation/cat/a.xml annotations/Annotation/dog/b.xml",
        "images/cat images/dog masks/cat masks/dog",
        "cat/images cat/masks dog/images dog/masks",
        "cat/images cat/lung~masks dog/images dog/infection~masks",
        "cat dog cat/masks dog/ground_truth dog/annotations/a.png",
        "cat dog cat/thumbs/0.png dog/Thumbnails/0.png",
        "cat dog cat/0_mask.png cat/1_mask.png cat/1_mask_1.png dog/0_segmentation.png",
        "cat dog notes/a.txt code/b.py",
        "101_ObjectCategories/cat 101_ObjectCategories/dog Annotations/cat/a.mat",
        "data/cat data/dog empty/",
        "@eaDir/0.jpg/thumb.png cat/@eaDir/0.jpg/thumb.png cat dog #recycle/cat/a.png $RECYCLE.BIN/b.png lost+found/ "
        "System~Volume~Information/c.png @Recycle/d.png cat/$RECYCLE.BIN/x.png .Trashes/y.png "
        "found.000/z.png @tmp/t.png",
    ],
)
def test_what_is_not_a_class_is_left_out(spec, tmp_path) -> None:
    assert opened(tmp_path, spec)[0] == {None: BOTH}


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        ("Training/cat Training/dog Test/cat Test/dog", "read 'Training' as train"),
        ("cat/train dog/train cat/test dog/test", "read the folders train and test in each class folder as splits"),
        ("images/cat images/dog masks/cat masks/dog", "left out 4 files in 'masks': the name says masks or notes"),
        ("cat dog cat/masks/a.png", "left out 1 files in 'cat/masks'"),
        ("cat dog cat/0_mask.png", "left out 1 files that are named like masks of others, such as 'cat/0_mask.png'"),
        ("images/cat images/dog annotations/a.xml docs/a.md", "ignored 'docs': it holds 1 files but no images"),
        ("cat dog notes/a.txt", "ignored 'notes': it holds 1 files but no images"),
        ("cat dog train", "'train' is read as a class; if it is a split"),
        ("cat dog bird/test", "images in 'bird/test' are read as part of their class, not as splits"),
        ("animals/cat animals/dog cars/bus cars/van", "the classes are 'animals', 'cars'; the folders in them ('cat'"),
        (
            "cat/2019 cat/2020 dog/2019 dog/2020",
            "the classes are 'cat', 'dog'; the folders in them ('2019', '2020') are not read",
        ),
        (
            "train/cat train/dog dev2/cat dev2/dog evaluation/cat evaluation/dog",
            "'evaluation' has the same class folders",
        ),
        ("train/cat train/dog test", "the 2 images in 'test' are not used, because they are not in class folders"),
        ("train/cat train/dog test/cat test/dog more/a/b more/a/c", "the 4 images in 'more' are not used"),
        ("train/pets/cat train/pets/dog", "the classes are the folders in 'train/pets'"),
        (
            "train/a/cat train/b/dog",
            "the classes are 'a', 'b'; the folders in them ('cat', 'dog') are not read",
        ),
        ("train/cat/a train/dog/test", "images in 'train/dog/test' are read as part of their class, not as splits"),
        ("train/cat training/cat train/dog training/dog", "read 'train', 'training' as train"),
    ],
)
def test_warnings_say_what_was_read(spec, warning, tmp_path) -> None:
    _, warnings = opened(tmp_path, spec)
    assert [each for each in warnings if each.startswith(warning)], warnings


@pytest.mark.parametrize(
    ("spec", "classes"),
    [("mask no_mask", ["mask", "no_mask"]), ("with_mask/a without_mask/a", ["with_mask", "without_mask"]),
     ("train bus", ["bus", "train"]), ("thumbs fist", ["fist", "thumbs"]), ("labels boxes", ["boxes", "labels"]),
     ("train_station bus_station", ["bus_station", "train_station"]), ("test~1 test~2", ["test 1", "test 2"]),
     ("0 1 2", ["0", "1", "2"]), ("+", ["+"]), ("+/1 -/1", ["+", "-"])],
)  # fmt: skip
def test_classes_may_be_named_like_something_else(spec, classes, tmp_path) -> None:
    found, _ = opened(tmp_path, spec)
    assert list(found[None]) == classes


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("color/cat color/dog grey/cat grey/dog", ["('cat', 'dog') in each of 'color', 'grey'", "'/data/color'"]),
        ("x/a/images/cat x/a/images/dog x/b/images/cat x/b/images/dog", ["in each of 'a', 'b'", "/data/x/a"]),
        ("fold1/cat fold1/dog fold2/cat fold2/dog", ["'fold1', 'fold2'"]),
        ("8863/0 8863/1 8864/0 8864/1", ["the same folders ('0', '1') in each of '8863', '8864'"]),
        ("cat dog test/cat test/dog", ["'test' beside class folders", "put the class folders into", "named train"]),
        ("x/cat x/dog x/x/cat x/x/dog", ["'x/x' beside class folders", "or give '/data/x/x'"]),
        ("train/cat train/dog train/train/cat train/train/dog", ["'train/train' beside class folders"]),
        ("cat/train cat/test dog/train dog/test bird", ["images in 'bird' are outside splits"]),
        ("cat/train cat/test dog/train dog/test dog/x.png", ["images in 'dog' are outside splits"]),
        ("a/train/good a/test/good a/test/bad b/train/good b/test/good b/test/bad", ["holds 'a', 'b', each"]),
        ("set/train/cat set/train/dog other/cat", ["'set', which has its own splits and classes", "'/data/set'"]),
        ("set/set/train/cat set/set/train/dog test/0.png", ["'set', which has its own splits", "'/data/set'"]),
        ("x/x/train/a x/x/train/b y/y/a y/y/b", ["'x', which has its own splits", "give '/data/x'"]),
        (
            "train/rgb/cat train/rgb/dog train/depth/cat train/depth/dog",
            ["in each of 'train/depth', 'train/rgb'", "move them from one of these directly into 'train'"],
        ),
        ("cat_train cat_test dog_train dog_test", ["after a class and a split", "train/CLASS"]),
        ("cat dog validation", ["'validation' beside the class folders 'cat', 'dog'"]),
        ("train/a train/b bus/c plane/d", ["if it is a split, give '/data/train'", "if it is a class"]),
        ("train1/cat train1/dog val1/cat val1/dog train2/cat train2/dog val2/cat val2/dog", ["2 folders that"]),
        ("train valid test", ["6 images in 'test', 'train', 'valid' but no class folders"]),
        ("train/images train/labels/a.txt valid/images valid/labels/a.txt", ["in 'train', 'valid'"]),
        ("train test1", ["4 images in 'test1', 'train' but no class folders"]),
        ("images labels/a.txt", ["holds 2 images but no class folders"]),
        ("a.png b.png", ["holds 2 images but no class folders"]),
        ("cat.zip dog.tar.gz", ["holds archives ('cat.zip', 'dog.tar.gz')", "unpack each into a folder named after"]),
        ("notes/a.docx", ["no images in '/data'; found 1 .docx"]),
    ],
)  # fmt: skip
def test_what_may_mean_two_things_is_refused(spec, parts, tmp_path) -> None:
    message = refusal(tmp_path, spec)
    assert all(part in message for part in parts), message


def test_the_folder_above_is_named(tmp_path) -> None:
    make_tree(tmp_path / "photos", "cat dog")
    with pytest.raises(DataError, match=r"give the folder above, '.*photos', if this is one of its classes"):
        open_source(tmp_path / "photos" / "cat")
    alone = make_tree(tmp_path / "alone", "cat")
    with pytest.raises(DataError, match="put the images of each class into a folder"):
        open_source(alone / "cat")


def test_one_class_is_read(tmp_path) -> None:
    """evaluate and predict accept it; training refuses it."""
    assert opened(tmp_path, "cat")[0] == {None: {"cat": 2}}


def test_class_folders_beside_splits_are_counted_as_unused(tmp_path) -> None:
    _, warnings = opened(tmp_path, "train/cat train/dog test/cat cat dog")
    assert "the 4 images in 'cat', 'dog' are not used" in warnings


def test_one_class_without_train_stays_one(tmp_path) -> None:
    """To evaluate a network on."""
    assert opened(tmp_path, "test/cat/indoor test/cat/outdoor")[0] == {"test": {"cat": 4}}


def test_a_class_of_an_accent_is_one_class(tmp_path) -> None:
    """macOS stores a letter and its accent as two characters; here both forms are used."""
    found, _ = opened(tmp_path, "train/caf\u00e9 train/dog test/cafe\u0301 test/dog")
    assert found == {"train": {"caf\u00e9": 2, "dog": 2}, "test": {"caf\u00e9": 2, "dog": 2}}
