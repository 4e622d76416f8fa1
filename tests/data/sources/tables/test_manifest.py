import json
import shutil
from pathlib import Path

import pytest

from alexnet.data.sources.folders.archive import open_archive
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.open import open_source
from alexnet.data.sources.tables.manifest import open_tables
from alexnet.errors import DataError


def table(image_folder, header: str, *rows: str, name: str = "list.csv") -> str:
    path = image_folder.parent / name
    path.write_text("\n".join((header, *rows)) + "\n")
    return str(path)


RED, BLUE = "photos/red/photo 0.jpg", "photos/blue/photo 10.jpg"


def test_paths_are_relative_to_the_manifest(image_folder) -> None:
    source = open_source(
        table(image_folder, "label,path,notes", f"r,{RED},x", f"b,./{BLUE},", '"2",photos/red/photo 9.jpg,')
    )
    assert [(image.path, image.label) for image in source.images] == [
        (BLUE, "b"), (RED, "r"), ("photos/red/photo 9.jpg", "2"),
    ]  # fmt: skip
    assert source.classes == ("2", "b", "r")
    assert {image.split for image in source.images} == {None}


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.CSV", "\t"), ("a.tsv", "\t")])
def test_separators(image_folder, name, separator) -> None:
    label = '"r, or so"' if separator == "," else "r, or so"
    table = (("path", "label", "split"), (RED, label, "train"), (BLUE, "b", "Valid"))
    text = "\n".join(separator.join(row) for row in table)
    (image_folder.parent / name).write_text("\ufeff" + text, encoding="utf-8")
    source = open_source(image_folder.parent / name)
    assert [(image.label, image.split) for image in source.images] == [("b", "val"), ("r, or so", "train")]


def test_json_lines(image_folder) -> None:
    lines = [{"path": RED, "label": 1, "size": [1, 2]}, {"path": BLUE, "label": 10}]
    path = image_folder.parent / "list.jsonl"
    path.write_text("\n\n".join(map(json.dumps, lines)))
    source = open_source(path)
    assert source.classes == ("1", "10")


def test_a_manifest_in_a_folder_without_class_folders_is_found(image_folder, tmp_path) -> None:
    (tmp_path / "images").symlink_to(image_folder / "red")
    (tmp_path / "manifest.csv").write_text("path,label\nimages/photo 0.jpg,a\nimages/photo 1.jpg,b\n")
    source = open_source(tmp_path)
    assert source.classes == ("a", "b")
    assert source.name == str(tmp_path), "a run finds it again by this name"


def test_a_manifest_beside_one_folder_of_folders_is_found(image_folder, tmp_path) -> None:
    shutil.copytree(image_folder, tmp_path / "images")
    (tmp_path / "manifest.csv").write_text("path,label\nimages/red/photo 0.jpg,a\nimages/blue/photo 1.jpg,b\n")
    assert open_source(tmp_path).classes == ("a", "b")


def test_spaces_and_empty_lines_are_ignored(image_folder) -> None:
    path = image_folder.parent / "blanks.csv"
    path.write_text(f"\r\n path ,LABEL\r\n\r\n {RED} , r\r\n{BLUE},r \r\n,\r\n")
    assert open_source(path).classes == ("r",)


def test_a_line_of_json_may_hold_any_character(image_folder) -> None:
    path = image_folder.parent / "strange.jsonl"
    path.write_text(f'{{"PATH": "{RED}", "label": "a\u2028b"}}\n{{"path": "{BLUE}", "label": "c"}}\n', encoding="utf-8")
    assert open_source(path).classes == ("a\u2028b", "c")


def test_a_class_missing_from_val_is_reported(image_folder) -> None:
    rows = [f"{RED},r,train", f"{BLUE},b,train", "photos/red/photo 1.jpg,r,val"]
    assert any(
        "val has no images of 'b'" in warning
        for warning in open_source(table(image_folder, "path,label,split", *rows)).warnings
    )


def test_paths_with_dots_and_absolute_paths(image_folder) -> None:
    source = open_source(
        table(image_folder, "path,label", f"photos/../{RED},r", f"{image_folder / 'blue' / 'photo 1.jpg'},b")
    )
    assert {image.path for image in source.images} == {RED, str(image_folder / "blue" / "photo 1.jpg")}
    for _, read in source.reader.each([image.path for image in source.images]):
        assert read()


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            "path,label",
            [f"{RED},r", "photos/red/gone.jpg,r"],
            r"1 of 2 images do not exist; the first is 'photos/red/gone.jpg' in row 2 \(line 3\)",
        ),
        ("where,label,x", ["gone.jpg,r,1"], "has no column path; it has where, label, x"),
        ("where,what,x", ["gone.jpg,r,1"], "has no column path and no column label; it has where, what, x"),
        ("path,label", [f"{RED},r", f"{BLUE},"], "row 2 .* has no label"),
        ("path,label", [f"{RED},r", f"{RED},b"], r"row 2 \(line 3\) lists .* again, after row 1"),
        ("path,label,split", [f"{RED},r,tset"], "row 1 .* has the split 'tset'; did you mean 'test'"),
        ("path,label,split", [f"{RED},r,train", f"{BLUE},b,"], "row 2 .* has no split, but other rows have"),
        ("path,label", [], "lists no images"),
        ("path,label,label", [f"{RED},r,s"], "2 columns named label"),
        ("", [], "is empty; a table needs a row for each image, with the columns path and label"),
    ],
)
def test_an_error_is_one_line_that_names_the_row(image_folder, header, rows, message) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_source(table(image_folder, header, *rows))
    assert "list.csv" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"path": "a"', "row 1 .* is not JSON"),
        (b"[" * 100_000, "row 1 .* is not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"path": "a"}', "no column label"),
        (b"\xff\xfe", "is empty"),
        (b"\xff\xfea", "damaged UTF-16"),
    ],
)
def test_faulty_json_lines(image_folder, content, message) -> None:
    path = image_folder.parent / "faulty.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_source(path)


# A table for each split


def flat(root: Path, header: str = "filename, red, blue", **rows: tuple[str, ...]) -> dict[str, str]:
    """Make a folder of images for each split, each with a table as export tools write it."""
    for split, lines in rows.items():
        (root / split).mkdir(parents=True)
        (root / split / "_classes.csv").write_text("\r\n".join((header, *lines, "")))
        for line in lines:
            (root / split / line.split(",")[0]).write_bytes(b"")
    return {split: f"{split}/_classes.csv" for split in rows}


def test_a_table_for_each_split(tmp_path) -> None:
    tables = flat(tmp_path, train=("a.jpg,1,0", "b.jpg,0,1"), val=("a.jpg,0,1",), test=("c.jpg,1,0",))
    source = open_tables(Folder(tmp_path), tables, "mine")
    assert [(each.path, each.label, each.split) for each in source.images] == [
        ("test/c.jpg", "red", "test"),
        ("train/a.jpg", "red", "train"),
        ("train/b.jpg", "blue", "train"),
        ("val/a.jpg", "blue", "val"),
    ]
    assert (source.name, source.classes) == ("mine", ("blue", "red"))
    archive = open_archive(Path(shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path)))
    assert open_tables(archive, tables, "mine").images == source.images


def test_the_split_decides_between_two_folders_with_the_same_file_names(tmp_path) -> None:
    flat(tmp_path, train=("a.jpg,1,0", "b.jpg,0,1"), test=("a.jpg,1,0", "b.jpg,0,1"))
    for split in ("train", "test"):
        (tmp_path / split / "_classes.csv").rename(tmp_path / f"{split}.csv")
    source = open_tables(Folder(tmp_path), {"train": "train.csv", "test": "test.csv"}, "mine")
    assert [each.path for each in source.in_split("train")] == ["train/a.jpg", "train/b.jpg"]
    with pytest.raises(DataError, match=r"lists 'a.jpg', which may be 'test/a.jpg', 'train/a.jpg'; write full paths"):
        open_source(tmp_path / "train.csv")


def test_tables_of_splits_that_contradict(tmp_path) -> None:
    tables = flat(tmp_path, "path,label,split", train=("a.jpg,r,train", "b.jpg,s,valid"))
    with pytest.raises(DataError, match=r"is the table of train, but row 2 \(line 3\) has the split val"):
        open_tables(Folder(tmp_path), tables, "mine")
    tables = flat(tmp_path / "odd", train=("a.jpg,1,0",)) | flat(
        tmp_path / "odd", "filename,red,grey", val=("a.jpg,1,0",)
    )
    with pytest.raises(DataError, match="have different class columns: 'blue', 'grey'"):
        open_tables(Folder(tmp_path / "odd"), tables, "mine")
    tables = flat(tmp_path / "one", train=("a.jpg,1,0",)) | flat(tmp_path / "one", val=("b.jpg,1,0",))
    (tmp_path / "one" / "val" / "_classes.csv").write_text("path,label\n../train/a.jpg,red\n")
    with pytest.raises(DataError, match=r"val/_classes.csv' lists 'train/a.jpg', which is also in the table of train"):
        open_tables(Folder(tmp_path / "one"), tables, "mine")
