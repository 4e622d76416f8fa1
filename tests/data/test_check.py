import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.commands.terminal import tables
from alexnet.data.check import check, check_prepared
from alexnet.data.findings import ADVICE, Finding, Report
from alexnet.data.source import Source
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.folders.layout import open_container
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import prepare
from alexnet.errors import ImageError
from alexnet.images.decoding import decode

from ..conftest import shared_data
from ..images.files import jpeg_of


def scene(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return an image with shapes large enough to be recognised after compression; each seed gives another."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def make(root: Path, **images: int) -> Path:
    """Make scenes; keys are paths with ``__`` for ``/``, values their seeds."""
    for name, seed in images.items():
        path = root / f"{name.replace('__', '/')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene(seed).save(path)
    return root


def opened(root: Path) -> Source:
    return open_container(Folder(root))


def of_kind(report: Report, kind: str) -> list[Finding]:
    return [finding for finding in report.warnings if finding.kind == kind]


@pytest.fixture
def clean(tmp_path) -> Path:
    """Two classes in two splits, without any fault."""
    return make(
        tmp_path / "clean",
        **{f"{split}__{label}__{i}": 100 * s + 10 * c + i for s, split in enumerate(("train", "val"))
           for c, label in enumerate(("cat", "dog")) for i in range(3)},
    )  # fmt: skip


def test_clean_images_have_no_findings(clean) -> None:
    report = check(opened(clean))
    assert report.to_json() == {
        "usable": 12,
        "unusable": [],
        "warnings": [],
        "classes": {"cat": {"train": 3, "val": 3}, "dog": {"train": 3, "val": 3}},
    }
    assert not report.is_harmful


@pytest.fixture
def without_heif(monkeypatch) -> str:
    """Return the reason for a HEIC where the extra for it is not installed, as here."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    return "HEIC inside; pip install pillow-heif, or convert it to JPEG"


def test_unusable_images_are_named_with_their_reasons(clean, without_heif) -> None:
    (clean / "train" / "cat" / "empty.jpg").write_bytes(b"")
    (clean / "train" / "cat" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    whole = (clean / "train" / "cat" / "0.png").read_bytes()
    (clean / "train" / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    report = check(opened(clean))
    reasons = dict(report.unusable)
    assert set(reasons) == {"train/cat/cut.png", "train/cat/empty.jpg", "train/cat/phone.HEIC"}
    assert reasons["train/cat/empty.jpg"] == "the file is empty"
    assert reasons["train/cat/cut.png"].startswith("damaged")
    assert reasons["train/cat/phone.HEIC"] == without_heif
    assert report.n_usable == 12
    assert report.is_harmful


def listed_in_a_table(root: Path, name: str) -> Source:
    """Return the train images with one more of a cat, which may have any name."""
    paths = [*sorted(root.glob("train/*/*.png")), root / "train" / "cat" / name]
    rows = [f'"{path.relative_to(root)}",{path.parent.name}' for path in dict.fromkeys(paths)]
    (root / "labels.csv").write_text("\n".join(("path,label", *rows)))
    return open_source(root / "labels.csv")


@pytest.mark.parametrize("name", ["IMG_1", "IMG_1.dat", "IMG_1.jpg?w=640"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC inside; pip install pillow-heif, or convert it to JPEG"),
        (b"\0\0\0\x18ftypmif1", "HEIC inside; pip install pillow-heif, or convert it to JPEG"),
        (b"\xff\x0a", "JPEG XL inside; convert it to JPEG"),
        (b"<!doctype html>", "an HTML page, not an image; download it again"),
        (jpeg_of(0xC3, 16), "a lossless JPEG of 16 bits, which cannot be read here; convert it to PNG"),
    ],
)
def test_an_image_is_unusable_for_the_same_reason_everywhere(clean, without_heif, name, content, reason) -> None:
    (clean / "train" / "cat" / name).write_bytes(content + bytes(100))
    source = listed_in_a_table(clean, name)
    report = check(source)
    assert report.unusable == ((f"train/cat/{name}", reason),)
    assert not report.warnings
    assert report.is_harmful
    assert prepare(source).skipped == {f"train/cat/{name}": reason}
    with pytest.raises(ImageError) as caught:
        decode(clean / "train" / "cat" / name)
    assert caught.value.reason == reason


def test_a_raw_file_is_unusable_for_the_same_reason_everywhere(clean) -> None:
    """Pillow sees a thumbnail only; the ending says that there is more."""
    scene(7).save(clean / "train" / "cat" / "a.tif")
    (clean / "train" / "cat" / "a.tif").rename(clean / "train" / "cat" / "a.nef")
    source = listed_in_a_table(clean, "a.nef")
    named = {"train/cat/a.nef": "a camera's raw file (NEF); convert it to JPEG"}
    assert prepare(source).skipped == named
    assert dict(check(source).unusable) == named


def test_too_large_images_are_unusable(clean) -> None:
    scene(7, (200, 100)).save(clean / "train" / "cat" / "large.png")
    ((path, reason),) = check(opened(clean), max_pixels=96 * 64).unusable
    assert path == "train/cat/large.png"
    assert "--max-pixels" in reason


def test_files_that_are_not_images(clean) -> None:
    (clean / "val" / "dog" / "notes.txt").write_text("a walk in the park")
    report = check(opened(clean))
    (finding,) = report.warnings
    assert (finding.kind, finding.paths) == ("not_images", ("val/dog/notes.txt",))
    assert not report.is_harmful


def test_files_that_people_take_for_images_are_named_by_kind(clean) -> None:
    video = b"\0\0\0\x20ftypisom" + bytes(100)
    for name, content in (
        ("b.mp4", video), ("a.mp4", video), ("pointer", b"version https://git-lfs.github.com/spec/v1"),
        ("page.html", b"<html>"), ("notes.txt", b"a walk in the park"), ("more.zip", b"PK\3\4"),
    ):  # fmt: skip
        (clean / "val" / "dog" / name).write_bytes(content)
    found = {finding.what: finding.paths for finding in check(opened(clean)).warnings}
    assert found == {
        "not images": ("val/dog/notes.txt",),
        "Git LFS pointers, not images": ("val/dog/pointer",),
        "HTML pages, not images": ("val/dog/page.html",),
        "videos (MP4), not images": ("val/dog/a.mp4", "val/dog/b.mp4"),
        "zip archives, not images": ("val/dog/more.zip",),
    }


def test_an_image_with_the_ending_of_another_format(clean) -> None:
    for i in range(2):
        scene(70 + i).save(clean / "train" / "cat" / f"really {i}.jpg", "PNG")
    (finding,) = check(opened(clean)).warnings
    assert finding.kind == "wrong_ending"
    assert finding.paths == ("train/cat/really 0.jpg", "train/cat/really 1.jpg")
    assert "named JPEG, but PNG inside" in finding.message


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        ("", "no ending, but JPEG inside"),
        (".dat", "named .dat, but JPEG inside"),
        (".JPG?w=640", "named .jpg?w=640, but JPEG inside"),
        (".heic", "named HEIC, but JPEG inside"),
    ],
)
def test_an_image_without_an_image_ending(clean, ending, what) -> None:
    """Images that a phone names HEIC are often JPEG: they need another name, not a conversion."""
    scene(70).save(clean / "train" / "cat" / f"lost{ending}", "JPEG")
    report = check(listed_in_a_table(clean, f"lost{ending}"))
    (finding,) = report.warnings
    assert (finding.kind, finding.what, finding.paths) == ("wrong_ending", what, (f"train/cat/lost{ending}",))
    assert not report.unusable


@pytest.mark.parametrize(("mode", "ending"), [("CMYK", ".jpg"), ("1", ".png"), ("LA", ".png"), ("F", ".tif")])
def test_unusual_modes(clean, mode, ending) -> None:
    scene(70).convert(mode).save(clean / "train" / "cat" / f"odd{ending}")
    (finding,) = check(opened(clean)).warnings
    assert (finding.kind, finding.paths) == ("unusual_mode", (f"train/cat/odd{ending}",))
    assert f"stored as {mode}" in finding.message


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_usual_modes(clean, mode) -> None:
    scene(70).convert(mode).save(clean / "train" / "cat" / "usual.png")
    assert not check(opened(clean)).warnings


def test_imbalance(tmp_path) -> None:
    make(tmp_path, **{f"large__{i}": i for i in range(21)}, **{f"small__{i}": 50 + i for i in range(2)})
    (finding,) = check(opened(tmp_path)).warnings
    assert (finding.kind, finding.labels) == ("imbalance", ("large", "small"))
    assert "21 images of 'large' to train on, but 2 of 'small'" in finding.message
    make(tmp_path, small__new=99)
    assert not check(opened(tmp_path)).warnings


def test_the_test_split_may_be_unbalanced(tmp_path) -> None:
    make(tmp_path, **{f"train__{label}__{i}": 10 * n + i for n, label in enumerate("ab") for i in range(2)})
    make(tmp_path, test__b__0=99, **{f"test__a__{i}": 40 + i for i in range(11)})
    assert not check(opened(tmp_path)).warnings


def test_empty_and_one_image_classes(clean) -> None:
    (clean / "train" / "bird").mkdir()
    (clean / "train" / "fish").mkdir()
    (clean / "train" / "fish" / "0.png").write_bytes(b"no fish")
    make(clean, train__cow__0=70)
    report = check(opened(clean))
    (empty,) = of_kind(report, "empty_class")
    assert empty.labels == ("bird", "fish")
    (single,) = of_kind(report, "one_image_class")
    assert (single.labels, single.paths) == (("cow",), ("train/cow/0.png",))
    assert report.classes["fish"] == {"train": 0, "val": 0}


def test_classes_that_differ_between_splits(clean) -> None:
    make(clean, train__cow__0=70, train__cow__1=71, val__pig__0=72, val__pig__1=73)
    in_train, in_val = of_kind(check(opened(clean)), "classes_differ")
    assert (in_train.labels, in_train.splits) == (("pig",), ("train",))
    assert "cannot be learned" in in_train.message
    assert (in_val.labels, in_val.splits) == (("cow",), ("val",))


def test_duplicates_are_found_by_their_pixels(clean) -> None:
    with Image.open(clean / "train" / "cat" / "0.png") as image:
        image.save(clean / "train" / "cat" / "same.bmp")
    report = check(opened(clean))
    (finding,) = report.warnings
    assert (finding.kind, finding.paths) == ("duplicates", ("train/cat/0.png", "train/cat/same.bmp"))
    assert not report.is_harmful


def test_the_same_image_under_two_labels(clean) -> None:
    shutil.copy(clean / "train" / "cat" / "0.png", clean / "train" / "dog" / "copy.png")
    report = check(opened(clean))
    (finding,) = report.warnings
    assert (finding.kind, finding.paths) == ("two_labels", ("train/cat/0.png", "train/dog/copy.png"))
    assert finding.labels == ("cat", "dog")
    assert report.is_harmful


def test_the_same_image_in_two_splits(clean) -> None:
    shutil.copy(clean / "train" / "cat" / "0.png", clean / "val" / "cat" / "copy.png")
    report = check(opened(clean))
    (finding,) = report.warnings
    assert (finding.kind, finding.paths) == ("duplicates_across_splits", ("train/cat/0.png", "val/cat/copy.png"))
    assert finding.splits == ("train", "val")
    assert report.is_harmful


def test_a_group_may_be_wrong_in_two_ways(clean) -> None:
    shutil.copy(clean / "train" / "cat" / "0.png", clean / "val" / "dog" / "copy.png")
    report = check(opened(clean))
    assert [finding.kind for finding in report.warnings] == ["two_labels", "duplicates_across_splits"]
    assert len({finding.paths for finding in report.warnings}) == 1


def test_nearly_the_same_image_in_two_splits(clean) -> None:
    with Image.open(clean / "train" / "cat" / "0.png") as image:
        image.resize((60, 40)).save(clean / "val" / "cat" / "smaller.jpg", quality=60)
    report = check(opened(clean))
    (finding,) = report.warnings
    assert finding.kind == "near_duplicates_across_splits"
    assert finding.paths == ("train/cat/0.png", "val/cat/smaller.jpg")
    assert finding.to_json()["distance"] <= 6
    assert not report.is_harmful


def test_pages_of_one_colour_are_not_alike(clean) -> None:
    for split, colour in (("train", "black"), ("val", "white")):
        Image.new("RGB", (96, 64), colour).save(clean / split / "cat" / "page.png")
    assert not check(opened(clean)).warnings


def test_no_file_of_the_user_is_changed(clean, tmp_path) -> None:
    (clean / "train" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    before = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*")}
    check(opened(clean))
    after = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*")}
    assert after == before


def test_progress_is_shown(clean) -> None:
    (clean / "val" / "dog" / "notes.txt").write_text("a walk in the park")
    shown = []

    def track(items, n_items, what):
        for item in items:
            shown.append((n_items, what))
            yield item

    check(opened(clean), track=track)
    assert shown == [(12, "checking")] * 12


def test_no_torch_is_needed(clean) -> None:
    code = (
        "import sys; from pathlib import Path; from alexnet.commands.terminal import tables;"
        "from alexnet.data.check import check; from alexnet.data.sources.folders.folder import Folder;"
        "from alexnet.data.sources.folders.layout import open_container;"
        f"tables.check_report(check(open_container(Folder(Path({str(clean)!r}))))); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_checking_prepared_images_reads_no_file(clean) -> None:
    shutil.copy(clean / "train" / "cat" / "0.png", clean / "val" / "dog" / "copy.png")
    shutil.copy(clean / "train" / "dog" / "0.png", clean / "train" / "dog" / "copy.png")
    make(clean, train__cow__0=70, **{f"train__dog__more {i}": 200 + i for i in range(8)})
    (clean / "train" / "cow" / "1.png").write_bytes(b"")
    source = opened(clean)
    store, report = prepare(source), check(source)
    shutil.rmtree(clean)
    findings = check_prepared(source, store)
    assert {finding.kind for finding in findings} == {
        "two_labels", "duplicates_across_splits", "duplicates", "one_image_class", "imbalance"
    }  # fmt: skip
    assert set(findings) == {each for each in report.warnings if each.kind != "classes_differ"}


def test_a_table_lists_all_that_is_unusable_and_ten_of_the_rest(clean) -> None:
    for i in range(12):
        (clean / "train" / "cat" / f"empty {i}.jpg").write_bytes(b"")
        (clean / "train" / "cat" / f"note [red]{i}.txt").write_text("text")
    shutil.copy(clean / "train" / "cat" / "0.png", clean / "train" / "dog" / "copy.png")
    text = tables.check_report(check(opened(clean)))
    assert text.startswith(f"13 usable images in {clean}, 12 unusable; 2 warnings")
    assert all(f"empty {i}.jpg" in text for i in range(12))
    assert "note [red]9.txt" in text
    assert "note [red]10.txt" not in text
    assert text.count("and 2 more") == 1
    assert ADVICE["two_labels"] in text
    assert ["total", "7", "6"] in [line.split() for line in text.splitlines()]


def test_json_and_csv_hold_everything(clean) -> None:
    (clean / "train" / "cat" / "empty.jpg").write_bytes(b"")
    shutil.copy(clean / "train" / "cat" / "0.png", clean / "val" / "dog" / "copy.png")
    (clean / "train" / "bird").mkdir()
    report = check(opened(clean))
    output = json.loads(tables.check_json(report))
    assert set(output) == {"usable", "unusable", "warnings", "classes"}
    assert output["unusable"] == [{"path": "train/cat/empty.jpg", "reason": "the file is empty"}]
    assert all({"kind", "paths", "message"} <= set(warning) for warning in output["warnings"])
    assert sum(sum(counts.values()) for counts in output["classes"].values()) == output["usable"] == 13
    rows = list(csv.DictReader(io.StringIO(tables.check_csv(report))))
    assert [(row["kind"], row["path"], row["label"], row["split"]) for row in rows] == [
        ("unusable", "train/cat/empty.jpg", "cat", "train"),
        ("two_labels", "train/cat/0.png", "cat", "train"),
        ("two_labels", "val/dog/copy.png", "dog", "val"),
        ("duplicates_across_splits", "train/cat/0.png", "cat", "train"),
        ("duplicates_across_splits", "val/dog/copy.png", "dog", "val"),
        ("empty_class", "", "bird", ""),
    ]
    assert all(row["detail"] for row in rows)


def test_nasty_images(without_heif) -> None:
    """Real files from the test suites of image libraries: what cannot be decoded is named, nothing else."""
    folder = shared_data("nasty_images")
    with (folder / "INDEX.tsv").open(newline="", encoding="utf-8") as file:
        expected = {row["file"]: row["expect"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    report = check(opened(folder))
    unusable = {path for path, _ in report.unusable}
    assert unusable == {
        path for path, expect in expected.items() if expect != "SKIP" and not is_readable(folder / path)
    }
    assert {path for path, expect in expected.items() if expect == "BAD"} <= unusable
    assert not {path for path in unusable if expected[path] in ("LOAD", "ORIENT", "SKIP")}
    assert of_kind(report, "not_images")[0].paths == ("pillow/dummy.container",)
    assert report.n_usable + len(unusable) + expected_count(expected, "SKIP") == len(expected)


def is_readable(path: Path) -> bool:
    try:
        decode(path)
    except ImageError:
        return False
    return True


def expected_count(expected: dict[str, str], word: str) -> int:
    return sum(expect == word for expect in expected.values())


@pytest.mark.slow
def test_the_known_faults_of_trashnet() -> None:
    report = check(opened(shared_data("trashnet5")))
    named = {
        kind: {frozenset(Path(path).stem for path in each.paths) for each in of_kind(report, kind)} for kind in ADVICE
    }
    across = {frozenset({"glass176", "plastic152"}), frozenset({"glass389", "plastic332"})}
    assert named["duplicates_across_splits"] == across
    assert named["two_labels"] == across | {frozenset({"glass115", "metal91"})}
    assert not named["duplicates"]
    # Two images of one crumpled newspaper, in train and test. Exact copies are not reported again.
    assert frozenset({"paper123", "paper547"}) in named["near_duplicates_across_splits"]
    assert not named["near_duplicates_across_splits"] & across
    assert report.n_usable == 2390
    assert report.is_harmful
