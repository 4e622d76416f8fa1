import json
import shutil

import pytest

from alexnet.data.sources import open_source
from alexnet.errors import DataError


def table(photos, header: str, *rows: str, name: str = "list.csv") -> str:
    path = photos.parent / name
    path.write_text("\n".join((header, *rows)) + "\n")
    return str(path)


RED, BLUE = "photos/red/photo 0.jpg", "photos/blue/photo 10.jpg"


def test_paths_are_relative_to_the_manifest(photos) -> None:
    source = open_source(table(photos, "label,path,notes", f"r,{RED},x", f"b,./{BLUE},", '"2",photos/red/photo 9.jpg,'))
    assert [(picture.path, picture.label) for picture in source.pictures] == [
        (BLUE, "b"), (RED, "r"), ("photos/red/photo 9.jpg", "2"),
    ]  # fmt: skip
    assert source.classes == ("2", "b", "r")
    assert {picture.split for picture in source.pictures} == {None}


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.csv", ";"), ("a.CSV", "\t"), ("a.tsv", "\t")])
def test_separators(photos, name, separator) -> None:
    label = '"r, or so"' if separator == "," else "r, or so"
    table = (("path", "label", "split"), (RED, label, "train"), (BLUE, "b", "Valid"))
    text = "\n".join(separator.join(row) for row in table)
    (photos.parent / name).write_text("\ufeff" + text, encoding="utf-8")
    source = open_source(photos.parent / name)
    assert [(picture.label, picture.split) for picture in source.pictures] == [("b", "val"), ("r, or so", "train")]


def test_json_lines(photos) -> None:
    lines = [{"path": RED, "label": 1, "size": [1, 2]}, {"path": BLUE, "label": 10}]
    path = photos.parent / "list.jsonl"
    path.write_text("\n\n".join(map(json.dumps, lines)))
    source = open_source(path)
    assert source.classes == ("1", "10")


def test_a_manifest_in_a_folder_without_class_folders_is_found(photos, tmp_path) -> None:
    (tmp_path / "images").symlink_to(photos / "red")
    (tmp_path / "manifest.csv").write_text("path,label\nimages/photo 0.jpg,a\nimages/photo 1.jpg,b\n")
    source = open_source(tmp_path)
    assert source.classes == ("a", "b")
    assert source.name == str(tmp_path), "by which a run finds it again"


def test_a_manifest_beside_one_folder_of_folders_is_found(photos, tmp_path) -> None:
    shutil.copytree(photos, tmp_path / "images")
    (tmp_path / "manifest.csv").write_text("path,label\nimages/red/photo 0.jpg,a\nimages/blue/photo 1.jpg,b\n")
    assert open_source(tmp_path).classes == ("a", "b")


def test_blanks_and_blank_lines_mean_nothing(photos) -> None:
    path = photos.parent / "blanks.csv"
    path.write_text(f"\r\n path ,LABEL\r\n\r\n {RED} , r\r\n{BLUE},r \r\n,\r\n")
    assert open_source(path).classes == ("r",)


def test_a_line_of_json_may_hold_any_character(photos) -> None:
    path = photos.parent / "strange.jsonl"
    path.write_text(f'{{"PATH": "{RED}", "label": "a\u2028b"}}\n{{"path": "{BLUE}", "label": "c"}}\n', encoding="utf-8")
    assert open_source(path).classes == ("a\u2028b", "c")


def test_a_class_missing_from_val_is_said(photos) -> None:
    rows = [f"{RED},r,train", f"{BLUE},b,train", "photos/red/photo 1.jpg,r,val"]
    assert any(
        "val has no pictures of 'b'" in remark
        for remark in open_source(table(photos, "path,label,split", *rows)).remarks
    )


def test_detours_are_walked(photos) -> None:
    source = open_source(table(photos, "path,label", f"photos/../{RED},r", f"{photos / 'blue' / 'photo 1.jpg'},b"))
    assert {picture.path for picture in source.pictures} == {RED, str(photos / "blue" / "photo 1.jpg")}
    for _, read in source.reader.each([picture.path for picture in source.pictures]):
        assert read()


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (
            "path,label",
            [f"{RED},r", "photos/red/gone.jpg,r"],
            r"row 2 \(line 3\) lists .*gone.jpg', but there",
        ),
        ("file,label", [f"{RED},r"], "has no column path; it has file, label"),
        ("file,class", [f"{RED},r"], "has no column path and no column label; it has file, class"),
        ("path,label", [f"{RED},r", f"{BLUE},"], "row 2 .* has no label"),
        ("path,label", [f"{RED},r", f"{RED},b"], r"row 2 \(line 3\) lists .* again, after row 1"),
        ("path,label,split", [f"{RED},r,tset"], "row 1 .* has the split 'tset'; did you mean 'test'"),
        ("path,label,split", [f"{RED},r,train", f"{BLUE},b,"], "row 2 .* has no split, but other rows have"),
        ("path,label", [], "lists no pictures"),
        ("path,label,label", [f"{RED},r,s"], "2 columns called label"),
        ("", [], "has no column path and no column label; it has none"),
    ],
)
def test_a_fault_is_one_line_that_names_the_row(photos, header, rows, message) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_source(table(photos, header, *rows))
    assert "list.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"path": "a"', "row 1 .* is not JSON"),
        (b"[" * 100_000, "row 1 .* is not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"path": "a"}', "no column label"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_faulty_json_lines(photos, content, message) -> None:
    path = photos.parent / "faulty.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_source(path)
