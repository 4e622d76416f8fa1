"""Similar images in folders without splits: bursts and frames of videos."""

import hashlib
import random
import shutil
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from alexnet.data.check import check, check_prepared
from alexnet.data.duplicates import NEAR, perceptual_hash
from alexnet.data.source import Source
from alexnet.data.sources.open import open_source
from alexnet.data.split import split
from alexnet.data.store import cache
from alexnet.data.store.store import Store, prepare

WIDTH, HEIGHT = 192, 128


def scene(seed: int, width: int = WIDTH) -> Image.Image:
    """Return shapes of about 16 px; each seed gives others."""
    coarse = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 16, width // 16, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, HEIGHT), Image.Resampling.BICUBIC)


def make_singles(folder: Path, n: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n):
        scene(seed + number).save(folder / f"single {seed + number}.png")


def make_video(folder: Path, n: int, seed: int, name: str = "video") -> None:
    """Save a slow pan over one wide scene, a pixel a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    wide = scene(seed, width=WIDTH + 16 * (1 + n // 16))
    for frame in range(n):
        wide.crop((frame, 0, frame + WIDTH, HEIGHT)).save(folder / f"{name} {seed} {frame:03d}.png")


def make_burst(folder: Path, n: int, seed: int) -> None:
    """Save a burst of a hand-held camera: it moves a little, the light changes, and JPEG adds noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    wide = scene(seed, width=WIDTH + 16)
    for number in range(n):
        left = int(rng.integers(0, 3))
        image = ImageEnhance.Brightness(wide.crop((left, 0, left + WIDTH, HEIGHT))).enhance(rng.uniform(0.9, 1.1))
        image.save(folder / f"burst {seed} {number}.jpg", quality=int(rng.integers(60, 95)))


@pytest.fixture(scope="module")
def bursts(tmp_path_factory) -> Path:
    """Two classes: one of 12 bursts of 4 and of single images, one of 12 videos of 5 frames."""
    root = tmp_path_factory.mktemp("data") / "bursts"
    make_singles(root / "cat", 20, seed=0)
    for number in range(12):
        make_burst(root / "cat", 4, seed=100 + number)
        make_video(root / "dog", 5, seed=200 + number)
    return root


def opened(root: Path | str) -> tuple[Source, Store]:
    source = open_source(root)
    return source, prepare(source)


class ExactOnly:
    """An index without perceptual hashes: it knows copies, but no similar images."""

    def __init__(self, store: Store) -> None:
        self.rows, self.content, self.pixel_digest = store.rows, store.content, store.pixel_digest

    def burst_hash(self, path: str) -> None:
        return None


def splits_by_group(source: Source) -> dict[str, set[str]]:
    """Return the splits of each burst and video, by the beginnings of their names."""
    splits = defaultdict(set)
    for image in source.images:
        if "single" not in image.path:
            splits[image.path.rpartition(" ")[0]].add(image.split)
    return splits


def leaks(source: Source) -> list[str]:
    return [group for group, splits in splits_by_group(source).items() if len(splits) > 1]


def test_bursts_and_videos_stay_on_one_side(bursts) -> None:
    source, store = opened(bursts)
    for seed in range(5):
        assert len(leaks(split(source, ExactOnly(store), seed))) > 5, "else there is nothing to keep together"
        chosen = split(source, store, seed)
        assert not leaks(chosen)
        assert chosen.warnings == ("kept 24 groups of images that look alike (108 images) in one split each",)
        counts = Counter((image.label, image.split) for image in chosen.images)
        for name in ("val", "test"):
            assert counts["cat", name] == pytest.approx(7, abs=1)
            assert counts["dog", name] == pytest.approx(6, abs=1)


def test_the_ends_of_a_video_stay_together_though_they_differ(tmp_path) -> None:
    make_video(tmp_path / "cat", 24, seed=1)
    make_singles(tmp_path / "cat", 40, seed=10)
    make_singles(tmp_path / "dog", 10, seed=100)
    frames = [perceptual_hash(np.asarray(Image.open(path))) for path in sorted((tmp_path / "cat").glob("video*"))]
    assert (frames[0] ^ frames[-1]).bit_count() > NEAR
    assert all((one ^ other).bit_count() <= NEAR for one, other in pairwise(frames))
    source, store = opened(tmp_path)
    for seed in range(5):
        chosen = split(source, store, seed)
        assert splits_by_group(chosen) == {"cat/video 1": {"train"}}, "the video is more than a tenth of its class"
        assert Counter(each.split for each in chosen.images if each.label == "cat") == {
            "train": 52, "val": 6, "test": 6
        }  # fmt: skip
        assert "kept 1 group of images that look alike (24 images) in one split" in chosen.warnings


def test_neither_order_nor_names_decide(bursts, tmp_path) -> None:
    source, store = opened(bursts)
    there = split(source, store, 3)
    shuffled = list(source.images)
    random.Random(1).shuffle(shuffled)
    mixed = split(source.with_images(tuple(shuffled)), store, 3)
    assert {each.path: each.split for each in mixed.images} == {each.path: each.split for each in there.images}
    for folder in bursts.iterdir():
        (tmp_path / folder.name).mkdir()
        for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
            shutil.copy(path, tmp_path / folder.name / f"{number}{path.suffix}")
    renamed, store_of_renamed = opened(tmp_path)
    again = split(renamed, store_of_renamed, 3)
    assert {store_of_renamed.content(each.path): each.split for each in again.images} == {
        store.content(each.path): each.split for each in there.images
    }


def test_copies_of_a_frame_stay_with_its_video(bursts, tmp_path) -> None:
    shutil.copytree(bursts, tmp_path / "bursts")
    for path in sorted((tmp_path / "bursts" / "dog").glob("* 002.png")):
        Image.open(path).save(path.with_name(path.name.replace(" 002.png", " copy.bmp")))
    source, store = opened(tmp_path / "bursts")
    for seed in range(3):
        chosen = split(source, store, seed)
        assert not leaks(chosen)
        assert chosen.warnings == ("kept 24 groups of images that look alike (120 images) in one split each",)


def test_a_class_that_is_one_video_is_divided_with_a_warning(tmp_path) -> None:
    make_video(tmp_path / "cat", 30, seed=1)
    make_singles(tmp_path / "cat", 6, seed=10)
    make_singles(tmp_path / "dog", 20, seed=100)
    source, store = opened(tmp_path)
    chosen = split(source, store, 0)
    assert {each.split for each in chosen.images if "video" in each.path} == {"train", "val", "test"}
    assert chosen.warnings == (
        "'cat': 30 of 36 images look alike; if they are video frames or the like, val and test have "
        "images much like those of train, and scores will be too high: give your own splits",
    )
    assert chosen.images == split(source, ExactOnly(store), 0).images, "as if nothing looked alike"


def test_two_videos_are_too_few_for_three_splits_but_enough_for_two(tmp_path) -> None:
    for label, seed in (("cat", 1), ("dog", 20)):
        for video in range(2):
            make_video(tmp_path / "all" / label, 10, seed=seed + video)
    source, store = opened(tmp_path / "all")
    chosen = split(source, store, 0)
    assert Counter(each.split for each in chosen.images) == {"train": 32, "val": 4, "test": 4}
    (warning,) = chosen.warnings
    assert warning.startswith(
        "'cat', 'dog': 40 of 40 images look alike; if they are video frames or the like, val and test have"
    )

    shutil.copytree(tmp_path / "all", tmp_path / "split" / "train")
    make_singles(tmp_path / "split" / "test" / "cat", 3, seed=50)
    make_singles(tmp_path / "split" / "test" / "dog", 3, seed=60)
    source, store = opened(tmp_path / "split")
    chosen = split(source, store, 0)
    assert not leaks(chosen)
    assert Counter(each.split for each in chosen.images) == {"train": 20, "val": 20, "test": 6}
    assert chosen.warnings == ("kept 4 groups of images that look alike (40 images) in one split each",)


def test_val_that_is_like_train_has_a_warning(tmp_path) -> None:
    for label, seed in (("cat", 1), ("dog", 20)):
        make_video(tmp_path / "train" / label, 20, seed=seed)
        make_singles(tmp_path / "test" / label, 3, seed=50 + seed)
    (warning,) = split(*opened(tmp_path), 0).warnings
    assert warning.startswith("'cat', 'dog': 40 of 40 images look alike; if they are video frames")
    assert "val has images much like those of train" in warning


def test_many_videos_are_one_line(tmp_path) -> None:
    for number in range(12):
        make_video(tmp_path / f"a class of a long name, number {number}", 8, seed=10 * number)
    (warning,) = split(*opened(tmp_path), 0).warnings
    assert "96 of 96 images look alike" in warning
    assert len(warning) < 320


def test_splits_of_the_data_stay_and_similar_pairs_are_counted(bursts, tmp_path) -> None:
    """A video whose frames the user put into two splits: nothing moves, and one line says so."""
    for path in bursts.rglob("*/*.*"):
        name = "test" if path.stem.endswith(("2", "3", "002", "003")) and "single" not in path.name else "train"
        (tmp_path / name / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name / path.parent.name)
    source, store = opened(tmp_path)
    chosen = split(source, store, 0)
    assert all(each.path.startswith("test") == (each.split == "test") for each in chosen.images)
    (finding,) = [each for each in check_prepared(source, store) if each.kind == "near_duplicates_across_splits"]
    assert finding.what.endswith("and 47 more pairs like this")
    assert finding.splits == ("train", "test")
    assert finding.paths[0].rpartition(" ")[0].removeprefix("train") == finding.paths[1].rpartition(" ")[0][4:]
    assert len(finding.message) < 300
    by_check = [each for each in check(source).warnings if each.kind == "near_duplicates_across_splits"]
    assert len(by_check) == 48
    assert finding.distance == by_check[0].distance


def test_similar_images_under_two_labels_are_reported(tmp_path) -> None:
    make_singles(tmp_path / "cat", 20, seed=0)
    make_singles(tmp_path / "dog", 20, seed=100)
    for number in range(20):
        scene(number).save(tmp_path / "dog" / f"like {number}.jpg", quality=60)
    source, store = opened(tmp_path)
    chosen = split(source, store, 0)
    assert chosen.warnings == ()
    (finding,) = check_prepared(chosen, store)
    assert (finding.kind, set(finding.labels)) == ("near_duplicates_across_splits", {"cat", "dog"})


def test_check_reports_groups_of_a_folder_without_splits(bursts) -> None:
    report = check(open_source(bursts))
    groups = [each for each in report.warnings if each.kind == "near_duplicates"]
    assert sorted(len(each.paths) for each in groups) == [4] * 12 + [5] * 12
    assert all(len({path.rpartition(" ")[0] for path in each.paths}) == 1 for each in groups)
    assert "5 images that look alike" in groups[-1].what
    assert "in one split where it can" in groups[-1].message, "not where they are most of their class"
    assert groups[-1].labels == ("dog",)
    assert not report.is_harmful


def test_check_reports_a_copy_once_and_both_labels(tmp_path) -> None:
    make_singles(tmp_path / "cat", 3, seed=0)
    make_singles(tmp_path / "dog", 3, seed=10)
    scene(0).save(tmp_path / "cat" / "zz copy.bmp")
    scene(0).save(tmp_path / "dog" / "like.jpg", quality=60)
    near, copy = check(open_source(tmp_path)).warnings
    assert (near.kind, copy.kind) == ("near_duplicates", "duplicates")
    assert near.paths == ("cat/single 0.png", "dog/like.jpg")
    assert near.what == "2 images that look alike, labelled 'cat', 'dog'"


def test_digits_are_split_as_they_always_were() -> None:
    source, store = opened("set:digits")
    assert store.fingerprint == "b219cd0783214f310977d5d50298fa4f"
    for seed, expected in ((0, "3f17884f1d439dc3819edb1f68a2372d"), (1, "8453208f1e925cec52000c48f78491c1")):
        chosen = split(source, store, seed)
        held_out = "\n".join(f"{each.path}\t{each.split}" for each in chosen.images if each.split != "train")
        assert hashlib.sha256(held_out.encode()).hexdigest()[:32] == expected
        assert not chosen.warnings
        assert not check_prepared(chosen, store)


@pytest.mark.parametrize("side", [63, 64])
def test_small_images_are_not_compared(tmp_path, side) -> None:
    """Glyphs really are alike: a tenth of the digits would be in groups."""
    for label in ("cat", "dog"):
        make_burst(tmp_path / label, 3, seed=ord(label[0]))
        make_singles(tmp_path / label, 3, seed=100 * ord(label[0]))
        for path in (tmp_path / label).iterdir():
            Image.open(path).resize((side, side // 2)).save(path)
    source, store = opened(tmp_path)
    assert all((store.burst_hash(each.path) is None) == (side < 64) for each in source.images)
    assert bool([each for each in check(source).warnings if each.kind == "near_duplicates"]) == (side >= 64)


def test_a_second_start_reads_no_image_and_splits_alike(bursts, monkeypatch) -> None:
    source, store = opened(bursts)
    first = split(source, store, 0)

    def read(*_: object, **__: object) -> None:
        raise AssertionError("an image is read again")

    monkeypatch.setattr("alexnet.data.store.store.read", read)
    monkeypatch.setattr("alexnet.data.store.store.measure", read)
    source, store = opened(bursts)
    again = split(source, store, 0)
    assert (again.images, again.warnings) == (first.images, first.warnings)


@pytest.mark.parametrize("how", ["crop", "pad"])
def test_hashes_do_not_depend_on_how_images_become_square(bursts, how) -> None:
    source = open_source(bursts)
    squashed, store = prepare(source), prepare(source, resize=how)
    assert [store.burst_hash(path) for path in store.rows] == [squashed.burst_hash(path) for path in squashed.rows]


def test_a_jpeg_that_is_decoded_at_half_its_size_has_nearly_the_same_hash(bursts) -> None:
    source = open_source(bursts)
    whole, half = prepare(source), prepare(source, 48)
    differ = [(whole.burst_hash(path) ^ half.burst_hash(path)).bit_count() for path in whole.rows]
    assert max(differ) <= 4
    assert np.mean(differ) < 1


def test_a_store_from_before_hashes_is_prepared_again_and_cleared(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    make_singles(tmp_path / "photos" / "cat", 3, seed=0)
    source = open_source(tmp_path / "photos")
    store = prepare(source)
    fingerprint, version = store.fingerprint, store.folder.name.rpartition("-")[2]
    old = store.folder.rename(store.folder.with_name(store.folder.name.removesuffix(version) + version.split(".")[0]))
    store = prepare(source)
    assert store.folder.name != old.name
    assert store.fingerprint == fingerprint
    assert store.burst_hash("cat/single 0.png") is not None
    assert cache.clear() > 0
    assert not old.exists()
