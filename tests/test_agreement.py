"""Every command understands a folder alike, however awkward it is, and says alike what cannot be read."""

import csv
import json
import shutil

import pytest

from alexnet import Settings, evaluate, train
from alexnet.cli import main
from alexnet.data.check import check
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import prepare

from .conftest import CLASSES, make_image_folder

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
REASONS = {
    "set/Training/blue/pointer.jpg": "a Git LFS pointer, not an image; run git lfs pull",
    "set/Training/red/phone.jxl": "JPEG XL inside; convert it to JPEG",
}
# Of each split and class.
COUNTS = {"train": 10, "test": 3}


@pytest.fixture(scope="module")
def awkward(tmp_path_factory):
    """Splits of other names, images without endings, masks, thumbnails, and files that cannot be read."""
    root = tmp_path_factory.mktemp("awkward")
    folder = root / "download"
    make_image_folder(folder / "set" / "Training", n_each=10)
    make_image_folder(folder / "set" / "Test", n_each=3, first=50)
    red = folder / "set" / "Training" / "red"
    (red / "photo 1.jpg").rename(red / "photo 1")
    (red / "photo 2.jpg").rename(red / "photo 2.jpg?w=640")
    for left_behind in ("@eaDir/photo 3.jpg", "masks", "../@eaDir"):
        (red / left_behind).mkdir(parents=True)
        shutil.copy(red / "photo 3.jpg", red / left_behind / "SYNOPHOTO_THUMB.jpg")
    (red / "phone.jxl").write_bytes(b"\xff\x0a" + bytes(50))
    (red.parent / "blue" / "pointer.jpg").write_bytes(LFS)
    (red / "notes.txt").write_text("a note")
    return folder


def test_check_and_prepare_agree(awkward, tmp_path) -> None:
    for data in (awkward, shutil.make_archive(str(tmp_path / "set"), "zip", awkward)):
        source = open_source(data)
        report = check(source)
        assert {label: dict(counts) for label, counts in report.classes.items()} == dict.fromkeys(CLASSES, COUNTS)
        assert dict(report.unusable) == REASONS
        assert prepare(source).skipped == REASONS


def test_train_and_evaluate_agree(awkward, tmp_path) -> None:
    settings = Settings(variant="batchnorm", epochs=1, image_size=67, batch_size=16, width=0.125)
    run = train(awkward, out=tmp_path / "run", settings=settings, verbose=False).folder
    with (run / "splits.csv").open(newline="", encoding="utf-8") as file:
        splits = [row["split"] for row in csv.DictReader(file)]
    assert (splits.count("train") + splits.count("val"), splits.count("test")) == (30, 9)
    assert sum(map(sum, evaluate(run, awkward).scores.confusion)) == 9


def test_predict_reads_the_same_images(awkward, trained_run, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(trained_run), str(awkward), "--format", "json"])
    assert stop.value.code == 1
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    predicted = {result["path"] for result in results if "error" not in result}
    usable = {image.path for image in open_source(awkward).images} - set(REASONS)
    # Masks are images too, where nobody asks for classes.
    assert predicted == {f"{awkward}/{path}" for path in [*usable, "set/Training/red/masks/SYNOPHOTO_THUMB.jpg"]}
    errors = {result["path"]: result["error"] for result in results if "error" in result}
    assert errors == {f"{awkward}/{path}": reason for path, reason in REASONS.items()}
