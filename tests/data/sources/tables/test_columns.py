"""Which columns are path, label and split, in tables from the web."""

import json
import unicodedata

import pytest

from alexnet.data.sources.open import open_source
from alexnet.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def opened(folder, *lines: str, name: str = "list.csv"):
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return open_source(folder / name)


def labels(source) -> list[str]:
    return [image.label for image in source.images]


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (("id,breed", "a,x", "b,y"), "read 'id' as path and 'breed' as label"),
        (("ImageId,ClassName", "a.jpg,x", "b.jpg,y"), "read 'ImageId' as path and 'ClassName' as label"),
        (("File Name;Class", "a.jpg;x", "b.jpg;y"), "read 'File Name' as path and 'Class' as label"),
        (("id_code,diagnosis", "a,x", "b,y"), "read 'id_code' as path and 'diagnosis' as label"),
        (("lesion_id,image_id,dx,age", "l1,a,x,80", "l1,b,y,70"), "read 'image_id' as path and 'dx' as label"),
        (("Unnamed: 0,filename,label", "0,a.jpg,x", "1,b.jpg,y"), "read 'filename' as path"),
        ((",filename,label", "0,a.jpg,x", "1,b.jpg,y"), "read 'filename' as path"),
        (("image,colour", "a.jpg,x", "b.jpg,y"), "read 'image' as path and 'colour' as label"),
        # Of two possible columns, the one that names images.
        (("Image,Id", "a.jpg,x", "b.jpg,y"), "read 'Image' as path and 'Id' as label"),
        (("id,filename,label", "1,a.jpg,x", "2,b.jpg,y"), "read 'filename' as path"),
        (("id,filename,label", "a,a.jpg,x", "b,b.jpg,y"), "read 'filename' as path"),
        (("where,label,z", "a.jpg,x,1", "b.jpg,y,1"), "read 'where' as path"),
        # Of two columns with the same classes, the one with words.
        (("path,class_id,class_name", "a.jpg,0,x", "b.jpg,1,y"), "read 'class_name' as label"),
        (("a.jpg,x", "b.jpg,y"), "no header; the columns were read as path and label"),
        (("x,a.jpg", "y,b.jpg"), "no header; the columns were read as label and path"),
        (("path,x,y", "a.jpg,1,0", "b.jpg,0.0,1.0"), "read the one of 'x', 'y' that is 1 as label"),
        (
            ("filename, x, y", "a.jpg,1,0", "b.jpg,0,1"),
            "read 'filename' as path and the one of 'x', 'y' that is 1 as label",
        ),
    ],
)
def test_columns_with_other_names_are_read_with_a_warning(folder, lines, warning) -> None:
    source = opened(folder, *lines)
    assert [(each.path, each.label) for each in source.images] == [("a.jpg", "x"), ("b.jpg", "y")]
    assert source.classes == ("x", "y")
    assert source.warnings[0] == f"list.csv: {warning}"


def test_path_and_label_are_never_anything_else(folder) -> None:
    source = opened(folder, "filename,path,label,class", "b.jpg,a.jpg,x,v", "a.jpg,b.jpg,y,w")
    assert [(each.path, each.label) for each in source.images] == [("a.jpg", "x"), ("b.jpg", "y")]
    assert not any("read" in warning for warning in source.warnings)


def test_names_beside_numbers_are_reported(folder) -> None:
    source = opened(folder, "path,label,label_name", "a.jpg,0,x", "b.jpg,1,y", "c.jpg,1,y")
    assert labels(source) == ["0", "1", "1"]
    assert "list.csv: 'label_name' has names for the classes in 'label'; to use them, name it label" in source.warnings
    assert not opened(folder, "path,label,label_name", "a.jpg,0,x", "b.jpg,0,y").warnings


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("id,name,label", "1,u,x"), "several columns that could be the path: 'id', 'name'; name the right one path"),
        (
            ("path,class,species", "a.jpg,x,v", "b.jpg,x,w"),
            "could be the label: 'class', 'species'; name the right one",
        ),
        (("path,class,category", "a.jpg,0,1", "b.jpg,1,2"), "could be the label: 'class', 'category'"),
        (("a.jpg,x,1", "b.jpg,y,2"), "has no header: its first line already lists 'a.jpg'; add a first line"),
        (("path,width,height", "a.jpg,4,6"), "has no column label; it has path, width, height"),
        (("image,caption", "a.jpg,u", "b.jpg,v", "c.jpg,w"), "'caption' has 3 different words in 3 rows"),
        (
            ("path,x,y", "a.jpg,1,0", "b.jpg,0,0"),
            r"row 2 \(line 3\) has 1 in none of 'x', 'y'; an image has one class",
        ),
        (("path,x,y", "a.jpg,1,1", "b.jpg,0,1"), r"row 1 \(line 2\) has 1 in 'x', 'y'; an image has one class"),
        (("path,x,x", "a.jpg,1,0", "b.jpg,0,1"), "2 columns named x"),
        (
            ("path,label", "a.jpg,\"['x', 'y']\"", "b.jpg,['x']"),
            r"a list as label, .*, like all rows; write one",
        ),
        (("path,label,subset,set", "a.jpg,x,train,test", "b.jpg,y,train,val"), "could be the split: 'subset', 'set'"),
    ],
)
def test_what_may_mean_two_things_is_refused(folder, lines, message) -> None:
    with pytest.raises(DataError, match=message) as caught:
        opened(folder, *lines)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("label", "kind"), [(["x"], "a list"), ({"name": "x"}, "an object")])
def test_a_label_that_is_not_text(folder, label, kind) -> None:
    lines = [json.dumps({"path": path, "label": label}) for path in ("a.jpg", "b.jpg")]
    with pytest.raises(DataError, match=rf"row 1 \(line 1\) has {kind} as label: .*x"):
        opened(folder, *lines, name="list.jsonl")


def test_numbers_that_pandas_made_floats(folder) -> None:
    source = opened(folder, "path,label", "a.jpg,0.0", "b.jpg,-1.0", "c.jpg,10.0")
    assert labels(source) == ["0", "-1", "10"]
    assert source.warnings == ("list.csv: labels such as '0.0' were read as '0'",)
    assert labels(opened(folder, "path,label", "a.jpg,0.0", "b.jpg,0.5")) == ["0.0", "0.5"]


def test_labels_that_differ_only_in_unicode_form_are_one_class(folder) -> None:
    nfc, nfd = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    source = opened(folder, "path,label", f"a.jpg,{nfc}", f"b.jpg,{nfd}", "c.jpg,Glass", "d.jpg,glass")
    assert source.classes == ("Glass", nfc, "glass")
    assert labels(source) == [nfc, nfc, "Glass", "glass"]
    assert source.warnings == (
        "classes 'Glass', 'glass' differ only in case or blanks; if they are one, give them one name",
    )


@pytest.mark.parametrize("column", ["split", "Subset", "data set", "set"])
def test_other_words_for_splits(folder, column) -> None:
    rows = ("a.jpg,x,Training", "b.jpg,y,train_set", "c.jpg,x,Validation", "d.jpg,y,TEST")
    source = opened(folder, f"path,label,{column}", *rows)
    assert [each.split for each in source.images] == ["train", "train", "val", "test"]
    warned = any("as split" in warning for warning in source.warnings)
    assert warned == (column != "split")


def test_a_true_or_false_column_for_one_split(folder) -> None:
    """As fastai writes it."""
    source = opened(folder, "fname,label,is_valid", "a.jpg,x,False", "b.jpg,y,False", "c.jpg,x,True", "d.jpg,y,1")
    assert [each.split for each in source.images] == ["train", "train", "val", "val"]
    assert source.warnings == ("list.csv: read 'fname' as path and 'is_valid' as split",)


def test_a_column_named_like_a_split_without_splits_is_reported(folder) -> None:
    source = opened(folder, "path,label,partition,is_train", "a.jpg,x,0,True", "b.jpg,y,1,False")
    assert {each.split for each in source.images} == {None}
    assert "list.csv: ignored the column 'partition': '0', '1' are not train, val or test" in source.warnings
    assert "list.csv: ignored the column 'is_train': 'False', 'True' are not train, val or test" in source.warnings
