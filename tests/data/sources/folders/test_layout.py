import errno
import os
import shutil
import stat
import sys
import tarfile
import zipfile
from collections import Counter

import pytest

from alexnet.data.check import check
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import prepare
from alexnet.errors import DataError, ImageError, SettingsError
from alexnet.files.paths import natural_key
from alexnet.images.decoding import decode

from ....conftest import coloured_image, make_image_folder, shared_data
from ..trees import counts


def test_class_folders(image_folder) -> None:
    source = open_source(image_folder)
    assert source.classes == ("blue", "green", "red")
    assert len(source.images) == 120
    assert {image.split for image in source.images} == {None}
    assert source.images[2].path == "blue/photo 2.jpg"


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders(tmp_path, val) -> None:
    for split in ("train", val, "test"):
        make_image_folder(tmp_path / split, n_each=1)
    source = open_source(tmp_path)
    assert source.classes == ("blue", "green", "red")
    assert {image.split for image in source.images} == {"train", "val", "test"}


def test_a_class_named_test_is_a_class(tmp_path) -> None:
    for label in ("test", "control"):
        (tmp_path / label).mkdir()
        coloured_image("red", 0).save(tmp_path / label / "a.png")
    assert open_source(tmp_path).classes == ("control", "test")


def test_a_class_named_train_is_a_class(tmp_path) -> None:
    for label in ("train", "bus"):
        (tmp_path / label).mkdir()
        coloured_image("red", 0).save(tmp_path / label / "a.png")
    assert open_source(tmp_path).classes == ("bus", "train")


def test_folders_beside_the_splits_are_named(tmp_path) -> None:
    make_image_folder(tmp_path / "train", n_each=1)
    (tmp_path / "notes").mkdir()
    assert open_source(tmp_path).warnings == ("ignored 'notes' beside 'train'",)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_loops_of_links_and_broken_links(tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=1)
    (image_folder / "red" / "loop").symlink_to(image_folder / "red")
    (image_folder / "red" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    source = open_source(image_folder)
    assert len(source.images) == 4
    assert prepare(source).skipped == {"red/gone.jpg": "broken link: its target does not exist"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_folders_that_link_to_each_other_are_finite(tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=1)
    for one in ("red", "green", "blue"):
        for other in ("red", "green", "blue"):
            (image_folder / one / f"to {other}").symlink_to(image_folder / other)
    (image_folder / "red" / "itself").symlink_to("itself")
    make_image_folder(tmp_path / "elsewhere", n_each=1)
    (image_folder / "white").symlink_to(tmp_path / "elsewhere" / "red")
    source = open_source(image_folder)
    # Each class has its own image and, twice, those of the two others: directly, and through the other link.
    assert Counter(image.label for image in source.images) == {"blue": 5, "green": 5, "red": 5, "white": 1}
    assert source.warnings[0].startswith("'blue', 'green/to blue', 'red/to blue' are the same folder, through links")
    assert source.warnings[1].startswith("left out broken links: ")
    assert source.warnings[2].startswith("links to a folder that contains them were not followed: ")


def test_folders_may_lie_deep(tmp_path) -> None:
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    make_image_folder(tmp_path / "photos", n_each=1)
    assert len(open_source(tmp_path).images) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_are_reported_and_not_read(tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=1)
    os.mkfifo(image_folder / "red" / "pipe.jpg")
    os.mkfifo(image_folder / "red" / "pipe.mp4")
    assert prepare(open_source(image_folder)).skipped == {"red/pipe.jpg": "it is a device or a pipe, not a file"}
    assert dict(check(open_source(image_folder)).unusable) == {"red/pipe.jpg": "it is a device or a pipe, not a file"}
    with pytest.raises(ImageError, match="a device or a pipe"):
        decode(image_folder / "red" / "pipe.jpg")


def test_images_beside_the_class_folders_are_counted(tmp_path) -> None:
    make_image_folder(tmp_path, n_each=1)
    coloured_image("red", 0).save(tmp_path / "loose.png")
    assert open_source(tmp_path).warnings == ("ignored 1 images outside class folders, such as 'loose.png'",)


def test_numbers_of_any_length_are_in_order() -> None:
    long = "1" * 5000
    assert sorted([f"a{long}", "a9", "a10"], key=natural_key) == ["a9", "a10", f"a{long}"]


@pytest.mark.parametrize("data", ["", "~nobody-of-this-name/photos"])
def test_names_of_nothing(data) -> None:
    with pytest.raises(DataError):
        open_source(data)


def test_a_folder_of_sets_is_for_named_sets(image_folder) -> None:
    with pytest.raises(SettingsError, match="data_dir is only for named sets"):
        open_source(image_folder, "elsewhere")


def test_classes_are_in_natural_order(tmp_path) -> None:
    for label in ("10", "9", "1"):
        (tmp_path / label).mkdir()
        coloured_image("red", 0).save(tmp_path / label / "a.PNG")
    assert open_source(tmp_path).classes == ("1", "9", "10")
    assert sorted(["b10", "b9", "a"], key=natural_key) == ["a", "b9", "b10"]
    assert sorted(["1", "01", "2"], key=natural_key) == sorted(["01", "1", "2"], key=natural_key)


def test_a_class_missing_from_val_shifts_no_label(tmp_path) -> None:
    """ultralytics #13936: every later label was off by one."""
    for split in ("train", "val"):
        make_image_folder(tmp_path / split, n_each=2)
    shutil.rmtree(tmp_path / "val" / "green")
    source = open_source(tmp_path)
    assert source.classes == ("blue", "green", "red")
    assert {image.label for image in source.in_split("val")} == {"blue", "red"}
    assert any("val has no images of 'green'" in warning for warning in source.warnings)


def test_an_empty_class_is_kept_with_a_warning(tmp_path) -> None:
    make_image_folder(tmp_path / "photos", n_each=1)
    (tmp_path / "photos" / "yellow").mkdir()
    source = open_source(tmp_path / "photos")
    assert "yellow" in source.classes
    assert any("'yellow' has no images" in warning for warning in source.warnings)


def test_other_files_are_counted_and_hidden_ones_ignored(tmp_path) -> None:
    make_image_folder(tmp_path / "photos", n_each=1)
    for name in ("notes.txt", ".DS_Store", "Thumbs.db"):
        (tmp_path / "photos" / "red" / name).write_text("x")
    source = open_source(tmp_path / "photos")
    assert len(source.images) == 3
    assert source.warnings == ("ignored 1 .txt: not images that can be read here",)


def test_annotations_are_not_opened(tmp_path, monkeypatch) -> None:
    """There may be one for each of a million images."""
    image_folder = make_image_folder(tmp_path / "photos", n_each=2)
    for ending in ("xml", "txt", "json"):
        (image_folder / "red" / f"photo 1.{ending}").write_text("a box")
    (image_folder / "red" / "cover").write_bytes((image_folder / "red" / "photo 1.jpg").read_bytes())
    opened = []
    content = Folder.content
    monkeypatch.setattr(Folder, "content", lambda self, path, n=-1: opened.append(path) or content(self, path, n))
    assert len(open_source(image_folder).images) == 7
    assert opened == ["red/cover"]


def test_no_folder() -> None:
    with pytest.raises(DataError, match=r"no folder '\./nowhere'"):
        open_source("./nowhere")


def test_no_images_says_what_is_there(tmp_path) -> None:
    """pytorch/vision #2138."""
    (tmp_path / "cats").mkdir()
    for number in range(12):
        (tmp_path / "cats" / f"{number}.docx").write_text("x")
    with pytest.raises(DataError, match=r"found 12 \.docx"):
        open_source(tmp_path)


def test_images_without_class_folders(tmp_path) -> None:
    coloured_image("red", 0).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="1 images but no class folders"):
        open_source(tmp_path)


def test_one_folder_around_everything_is_skipped(tmp_path) -> None:
    make_image_folder(tmp_path / "download" / "photos", n_each=1)
    assert open_source(tmp_path).classes == ("blue", "green", "red")
    for split in ("train", "test"):
        make_image_folder(tmp_path / "again" / "set" / split, n_each=1)
    assert {image.split for image in open_source(tmp_path / "again").images} == {"train", "test"}


def test_a_lone_train_folder_is_a_split(tmp_path) -> None:
    make_image_folder(tmp_path / "train", n_each=1)
    assert {image.split for image in open_source(tmp_path).images} == {"train"}


def test_a_manifest_beside_class_folders_is_not_needed(image_folder, tmp_path) -> None:
    shutil.copytree(image_folder, tmp_path / "photos")
    (tmp_path / "photos" / "manifest.csv").write_text("nonsense")
    assert open_source(tmp_path / "photos").classes == ("blue", "green", "red")


def test_a_file_in_an_unknown_format(tmp_path) -> None:
    (tmp_path / "photos.docx").write_text("x")
    with pytest.raises(DataError, match=r"photos\.docx' has an unknown format.*manifest.*archive"):
        open_source(tmp_path / "photos.docx")


def test_a_misspelt_name_is_recognised() -> None:
    with pytest.raises(DataError, match="did you mean the set 'cifar10'"):
        open_source("cifar-10")


def test_real_images() -> None:
    source = open_source(shared_data("trashnet5"))
    assert len(source.images) == 2390
    assert [len(source.in_split(name)) for name in ("train", "val", "test")] == [1677, 311, 402]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_split_that_is_a_link_is_read_with_a_warning(tmp_path) -> None:
    for split in ("train", "test"):
        make_image_folder(tmp_path / split, n_each=2)
    (tmp_path / "val").symlink_to("test")
    source = open_source(tmp_path)
    assert counts(source)["val"] == counts(source)["test"] == {"blue": 2, "green": 2, "red": 2}
    assert source.warnings == ("'test', 'val' are the same folder, through links: its images are read in each place",)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_splits_may_link_to_one_pool(tmp_path) -> None:
    pool = make_image_folder(tmp_path / "pool", n_each=2)
    for split in ("train", "val"):
        (tmp_path / "data" / split).mkdir(parents=True)
        for label in ("blue", "green", "red"):
            (tmp_path / "data" / split / label).symlink_to(pool / label)
    source = open_source(tmp_path / "data")
    assert counts(source) == {split: {"blue": 2, "green": 2, "red": 2} for split in ("train", "val")}
    assert source.warnings[0].startswith("'train/blue', 'val/blue' are the same folder, through links, and 2 more such")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_class_folders_that_are_broken_links_are_named(tmp_path) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=1)
    (image_folder / "white").symlink_to(tmp_path / "gone")
    source = open_source(image_folder)
    assert source.classes == ("blue", "green", "red")
    assert source.warnings == ("left out broken links: 'white'",)
    (tmp_path / "broken").mkdir()
    for label in ("blue", "red"):
        (tmp_path / "broken" / label).symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"no images in .*left out broken links: 'blue', 'red'"):
        open_source(tmp_path / "broken")


def test_links_that_were_copied_as_text_are_named(tmp_path) -> None:
    for split in ("train", "test"):
        make_image_folder(tmp_path / split, n_each=1)
    (tmp_path / "val").write_text("test")
    (tmp_path / "LICENSE").write_text("You may do\nwhat you like.")
    warning = "links were copied as text files: 'val' (to 'test'); replace them with folders or links"
    assert open_source(tmp_path).warnings == (warning,)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("ending", ["zip", "tar"])
def test_links_to_folders_in_an_archive_are_named(ending, tmp_path) -> None:
    for split in ("train", "test"):
        make_image_folder(tmp_path / "data" / split, n_each=1)
    (tmp_path / "data" / "val").symlink_to("test")
    archive = tmp_path / f"data.{ending}"
    if ending == "tar":
        with tarfile.open(archive, "w") as file:
            file.add(tmp_path / "data", "data")
    else:
        with zipfile.ZipFile(archive, "w") as file:
            for path in (path for path in (tmp_path / "data").rglob("*.jpg") if "val" not in path.parts):
                file.write(path, path.relative_to(tmp_path))
            link = zipfile.ZipInfo("data/val")
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            file.writestr(link, "test")
    source = open_source(archive)
    assert set(counts(source)) == {"train", "test"}
    assert source.warnings[0].startswith("left out links in the archive: 'data/val'; to follow them, unpack it")


def test_folders_that_may_not_be_listed_are_named(tmp_path, monkeypatch) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=1)
    denied = {str(image_folder / "green"), str(tmp_path / "mine")}
    listing = os.scandir

    def scandir(path):
        if str(path) in denied:  # a mode of 700 does not stop root, who may run the tests
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    source = open_source(image_folder)
    assert source.classes == ("blue", "red")
    assert source.warnings == ("left out the folder 'green': no permission to read it",)
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match=r"cannot list the folder '.*mine': no permission to read it"):
        open_source(tmp_path / "mine")
