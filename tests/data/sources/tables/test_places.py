"""How images are found whose table comes from another computer or folder."""

import shutil
import unicodedata
from pathlib import Path

import pytest

from alexnet.data.sources.folders.archive import open_archive
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.open import open_source
from alexnet.data.sources.tables.manifest import open_manifest
from alexnet.errors import DataError

from ....conftest import coloured_image


@pytest.fixture(params=["folder", "zip"])
def opened(request, tmp_path):
    """Return a function that makes files and a table of paths, in a folder or an archive, and opens it."""

    def open_(files: list[str], *paths: str):
        root = tmp_path / "root"
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(b"")
        rows = (f"{path},{'xy'[number % 2]}" for number, path in enumerate(paths))
        (root / "manifest.csv").write_text("\n".join(("path,label", *rows)) + "\n", encoding="utf-8")
        if request.param == "folder":
            return open_manifest(Folder(root), "manifest.csv", "mine")
        archive = Path(shutil.make_archive(str(tmp_path / "all"), "zip", root))
        return open_manifest(open_archive(archive), "manifest.csv", "mine")

    return open_


TREE = ["pics/a/1.jpg", "pics/b/2.jpg"]


@pytest.mark.parametrize(
    ("paths", "warning"),
    [
        (("pics\\a\\1.jpg", ".\\pics\\b\\2.jpg"), None),
        (("pics/a/1", "pics/b/2"), "added '.jpg' to paths that lack it"),
        (("a/1.jpg", "b/2.jpg"), "added 'pics/' to paths that lack it"),
        (("a\\1", "b\\2"), "added 'pics/', '.jpg' to paths that lack them"),
        (("Pics/a/1.JPG", "pics/b/2.jpg"), "1 paths differ from their files in case, such as 'Pics/a/1.JPG' for"),
        (
            ("C:\\me\\pics\\a\\1.jpg", "C:\\me\\pics\\b\\2.jpg"),
            "removed 'C:/me/' from the beginning of each path",
        ),
        (("/content/x/pics/a/1", "/content/x/pics/b/2"), "added '.jpg' to paths that lack it"),
        (("../in/pics/a/1.jpg", "../in/pics/b/2.jpg"), "removed '../in/' from the beginning of each path"),
        (("set/pics/a/1.jpg", "set/pics/b/2.jpg"), "removed 'set/' from the beginning of each path"),
    ],
)
def test_one_rule_for_all_paths(opened, paths, warning) -> None:
    source = opened(TREE, *paths)
    assert [(each.path, each.label) for each in source.images] == [("pics/a/1.jpg", "x"), ("pics/b/2.jpg", "y")]
    assert any(warning in each for each in source.warnings) if warning else not source.warnings


def test_bare_names_in_one_folder_of_several(opened) -> None:
    source = opened(["train/a.jpg", "train/b.png", "test/a.jpg", "test/c.jpg"], "b", "a")
    assert [each.path for each in source.images] == ["train/a.jpg", "train/b.png"]
    assert source.warnings == ("manifest.csv: added 'train/', '.jpg', '.png' to paths that lack them",)


def test_names_with_accents_in_another_unicode_form(opened) -> None:
    nfc, nfd = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    source = opened([f"{nfd}.jpg", f"2{nfc}.jpg"], f"{nfc}.jpg", f"2{nfd}.jpg")
    assert [each.path for each in source.images] == [f"2{nfc}.jpg", f"{nfd}.jpg"]
    assert not source.warnings


def test_an_exact_name_comes_before_a_similar_one(opened) -> None:
    source = opened(["a.jpg", "A.jpg", "b", "b.jpg"], "a.jpg", "A.jpg", "b", "b.jpg")
    assert {each.path for each in source.images} == {"a.jpg", "A.jpg", "b", "b.jpg"}
    assert not source.warnings


@pytest.mark.parametrize(
    ("files", "paths", "message"),
    [
        (["a.jpg", "a.png"], ("a", "a.png"), r"row 1 \(line 2\) lists 'a', which may be 'a.jpg', 'a.png'"),
        (["a.jpg", "a.JPG"], ("a.Jpg",), "lists 'a.Jpg', which may be 'a.JPG', 'a.jpg'; write full paths"),
        (["u/a.jpg", "v/a.jpg"], ("a.jpg",), "lists 'a.jpg', which may be 'u/a.jpg', 'v/a.jpg'"),
        (["a.jpg"], ("a.jpg", "A.JPG"), r"row 2 \(line 3\) lists 'A.JPG' again, after row 1"),
        (TREE, ("D:\\x\\1.jpg", "D:\\x\\2.jpg"), r"2 of 2 .* 'D:.*x.*1.jpg' in row 1 .*; these are paths of another"),
        (TREE, ("/x/1.jpg", "/x/2.jpg"), "these are paths of another folder or computer; write them relative"),
        (
            ["t/a.jpg", "t/b.jpg"],
            ("a", "b", "c"),
            r"1 of 3 images do not exist in 't/'; the first is 'c' in row 3",
        ),
        (
            ["a.jpg", "t/b.jpg"],
            ("a.jpg", "b.jpg"),
            r"1 of 2 images do not exist; the first is 'b.jpg' in row 2",
        ),
        (["a.jpg"], ("a.png",), "1 of 1 images do not exist; .*; correct the paths, which are relative"),
    ],
)
def test_what_is_missing_or_may_be_two_files_is_refused(opened, files, paths, message) -> None:
    with pytest.raises(DataError, match=message) as caught:
        opened(files, *paths)
    assert "\n" not in str(caught.value)


def test_files_are_listed_only_where_a_row_is_not_found(tmp_path, monkeypatch) -> None:
    """A table may lie in a folder of millions of other files."""
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "list.csv").write_text("path,label\na.jpg,x\n.\\b.jpg,y\n")
    monkeypatch.setattr(Folder, "names", lambda *_: pytest.fail("listed"))
    assert len(open_source(tmp_path / "list.csv").images) == 2


def test_names_that_many_folders_share_take_no_longer(tmp_path) -> None:
    """A look into each folder for each row would take minutes."""
    n = 100
    for folder in range(n):
        (tmp_path / "all" / str(folder)).mkdir(parents=True)
        for name in range(n):
            (tmp_path / "all" / str(folder) / f"{name}.jpg").touch()
    rows = "".join(f"{name}.jpg,{name % 2}\n" for name in range(n))
    (tmp_path / "list.csv").write_text(f"path,label\n{rows * n}")
    with pytest.raises(DataError, match=r"which may be .* and 95 more"):
        open_source(tmp_path / "list.csv")


def test_bare_names_may_lie_in_more_folders_than_one(tmp_path) -> None:
    """HAM10000 has a table of ids and two folders of images."""
    for folder, name in (("part_1", "a.jpg"), ("part_1", "b.jpg"), ("part_2", "c.jpg")):
        (tmp_path / folder).mkdir(exist_ok=True)
        coloured_image("red", 0).save(tmp_path / folder / name)
    (tmp_path / "labels.csv").write_text("image_id,dx\na,nv\nb,mel\nc,nv\n")
    source = open_source(tmp_path / "labels.csv")
    assert [image.path for image in source.images] == ["part_1/a.jpg", "part_1/b.jpg", "part_2/c.jpg"]
    assert "labels.csv: images were found by their names alone, in the folders 'part_1', 'part_2'" in source.warnings
    coloured_image("red", 0).save(tmp_path / "part_2" / "a.jpg")
    with pytest.raises(DataError, match=r"lists 'a', which may be 'part_1/a\.jpg', 'part_2/a\.jpg'"):
        open_source(tmp_path / "labels.csv")
