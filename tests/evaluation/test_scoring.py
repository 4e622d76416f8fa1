import json
import shutil
from pathlib import Path

import pytest

from alexnet import Settings, evaluate, load, train
from alexnet.data.record import read_splits
from alexnet.errors import ArtifactError, DataError, SettingsError

from ..conftest import coloured_image, make_image_folder


def test_a_run_is_evaluated_on_its_own_test_images(trained_run, image_folder) -> None:
    result = evaluate(trained_run)
    assert result.split == "test"
    assert result.scores.n_images == 12
    assert result.scores.top1 > 0.9
    assert evaluate(trained_run, image_folder) == result, "the same folder is split as it was for training"
    assert evaluate(trained_run, image_folder, split="val").scores.n_images == 12


def test_the_model_in_its_run_is_the_run(trained_run, image_folder) -> None:
    assert evaluate(trained_run / "model") == evaluate(trained_run / "model", image_folder) == evaluate(trained_run)


def test_evaluating_predicts_like_predicting(trained_run, image_folder) -> None:
    images = [row for row in read_splits(trained_run / "splits.csv") if row.split == "test"]
    predictions = load(trained_run).predict([image_folder / image.path for image in images])
    share = sum(each.label == image.label for each, image in zip(predictions, images, strict=True)) / 12
    assert evaluate(trained_run).scores.top1 == pytest.approx(share)


def test_ten_views_are_scored_as_one_prediction(trained_run) -> None:
    once, often = evaluate(trained_run), evaluate(trained_run, views=10)
    assert (once.views, often.views) == (1, 10)
    assert often.scores.n_images == 12
    assert often.scores.top1 > 0.9
    assert often.scores.loss != once.scores.loss
    with pytest.raises(SettingsError, match="views is 5; it must be 1 or 10"):
        evaluate(trained_run, views=5)


def test_labels_are_matched_by_name(trained_run, tmp_path) -> None:
    for number in range(4):
        (tmp_path / "red").mkdir(exist_ok=True)
        coloured_image("red", 100 + number).save(tmp_path / "red" / f"{number}.png")
    result = evaluate(trained_run, tmp_path)
    assert result.split is None
    assert result.scores.top1 == 1
    assert [each.n_images for each in result.scores.per_class] == [0, 0, 4]


def test_an_unknown_class_is_named(trained_run, tmp_path) -> None:
    make_image_folder(tmp_path, n_each=1, first=1000)
    (tmp_path / "red").rename(tmp_path / "rouge")
    with pytest.raises(DataError, match="does not know the class 'rouge'"):
        evaluate(trained_run, tmp_path)


def test_a_split_that_is_not_there(trained_run, tmp_path) -> None:
    make_image_folder(tmp_path / "train", n_each=1, first=1000)
    with pytest.raises(DataError, match="no test images, only train"):
        evaluate(trained_run, tmp_path)
    with pytest.raises(DataError, match="is not split"):
        evaluate(trained_run, tmp_path / "train", split="test")


def test_unreadable_images_are_counted(trained_run, tmp_path) -> None:
    make_image_folder(tmp_path, n_each=2, first=1000)
    (tmp_path / "red" / "photo 1000.jpg").write_bytes(b"")
    result = evaluate(trained_run, tmp_path)
    assert result.scores.n_images == 5
    assert result.skipped == {"red/photo 1000.jpg": "the file is empty"}


def test_a_model_without_its_run_needs_data(trained_run, tmp_path) -> None:
    shutil.copytree(trained_run / "model", tmp_path / "model")
    with pytest.raises(ArtifactError, match="give DATA"):
        evaluate(tmp_path / "model")


# Never evaluated on what it learned from without a warning


def splits_of(run: Path) -> dict[str, str]:
    return {row.path: row.split for row in read_splits(run / "splits.csv")}


@pytest.fixture
def mine(tmp_path) -> Path:
    """Images like those of ``photos``, none of which any network has seen."""
    return make_image_folder(tmp_path / "mine", n_each=3, first=1000)


@pytest.mark.parametrize("how", ["moved", "a link", "zip", "table", "renamed"])
def test_its_own_images_are_recognised_wherever_they_are(trained_run, image_folder, tmp_path, how) -> None:
    """Data of a run that had moved was evaluated as a whole, with the images of train."""
    place = tmp_path / "archive" / "photos"
    if how == "zip":
        place = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", image_folder))
    elif how == "a link":
        place = tmp_path / "linked"
        shutil.copytree(image_folder, tmp_path / "elsewhere")
        place.symlink_to(tmp_path / "elsewhere")
    else:
        shutil.copytree(image_folder, place)
    if how == "renamed":
        for path in place.rglob("*.jpg"):
            path.rename(path.with_name(f"new {path.name}"))
    if how == "table":
        rows = [f"{path},{path.parent.name}\n" for path in sorted(place.rglob("*.jpg"))]
        place = tmp_path / "table.csv"
        place.write_text("path,label\n" + "".join(rows))
    result = evaluate(trained_run, place)
    assert (result.split, result.scores) == ("test", evaluate(trained_run).scores)
    assert any("these are the test images of the run" in warning for warning in result.warnings)
    assert evaluate(trained_run, place, split="val").scores.n_images == 12


def test_a_model_without_its_run_knows_what_it_learned_from(trained_run, image_folder, tmp_path) -> None:
    shutil.copytree(trained_run / "model", tmp_path / "model")
    result = evaluate(tmp_path / "model", image_folder)
    assert result.scores == evaluate(trained_run).scores, "what is left is the run's test"
    assert "left out 108 of 120 images that the network learned from or was validated on" in result.warnings


def test_what_it_has_seen_is_left_out_of_other_data(trained_run, image_folder, mine) -> None:
    splits = splits_of(trained_run)
    for split, n in (("train", 3), ("val", 2), ("test", 1)):
        for path in [path for path in splits if splits[path] == split][:n]:
            label, name = path.split("/")
            shutil.copy(image_folder / path, mine / label / f"{split} {name}")
    result = evaluate(trained_run, mine)
    assert result.scores.n_images == 10, "9 new ones, and one of test"
    assert "left out 5 of 15 images that the network learned from or was validated on" in result.warnings
    assert any("only 1 of the 12 test images of the run" in warning for warning in result.warnings)


def test_splits_of_the_data_are_evaluated_without_what_was_learned_from(
    trained_run, image_folder, mine, tmp_path
) -> None:
    for split in ("train", "test"):
        shutil.copytree(mine, tmp_path / "data" / split)
    splits = splits_of(trained_run)
    learned = next(path for path in splits if splits[path] == "train")
    shutil.copy(image_folder / learned, tmp_path / "data" / "test" / "red" / "leaked.jpg")
    result = evaluate(trained_run, tmp_path / "data", split="test")
    assert result.scores.n_images == 9
    assert any(warning.startswith("left out 1 of 10 images") for warning in result.warnings)
    shutil.copy(image_folder / learned, tmp_path / "data" / "train" / "red" / "leaked.jpg")
    result = evaluate(trained_run, tmp_path / "data", split="train")
    assert result.scores.n_images == 10
    assert any(warning.startswith("the network learned from 1 of 10 images") for warning in result.warnings)


def test_nothing_is_evaluated_where_all_was_learned_from(trained_run, image_folder, tmp_path) -> None:
    splits = splits_of(trained_run)
    for path in [path for path in splits if splits[path] == "train"][:40]:
        (tmp_path / "learned" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image_folder / path, tmp_path / "learned" / path)
    with pytest.raises(DataError, match=r"the network learned from all 40 images in .*--split train"):
        evaluate(trained_run, tmp_path / "learned")


def test_train_is_evaluated_with_a_warning(trained_run) -> None:
    result = evaluate(trained_run, split="train")
    assert result.scores.n_images == 96
    assert result.warnings == (
        "the network learned from 96 of 96 images: these scores do not say how good it is on new images",
    )


def test_a_model_that_does_not_say_what_it_learned_from_is_evaluated_with_a_warning(
    trained_run, mine, tmp_path
) -> None:
    model = Path(shutil.copytree(trained_run / "model", tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    del config["fingerprints"]
    (model / "config.json").write_text(json.dumps(config))
    result = evaluate(model, mine)
    assert result.scores.n_images == 9
    assert any("does not say what it learned from" in warning for warning in result.warnings)


@pytest.fixture
def own(image_folder, trained_run, tmp_path) -> tuple[Path, Path]:
    """A run and its own images, both to be changed."""
    run, data = tmp_path / "run", tmp_path / "own"
    shutil.copytree(trained_run, run, ignore=shutil.ignore_patterns("checkpoint"))
    shutil.copytree(image_folder, data)
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**settings, "data": str(data)}))
    return run, data


def test_images_added_since_are_counted(own) -> None:
    run, data = own
    before = evaluate(run)
    assert before.warnings == ()
    coloured_image("red", 500).save(data / "red" / "new.png")
    (data / "violet").mkdir()
    coloured_image("blue", 501).save(data / "violet" / "new.png")
    after = evaluate(run)
    assert after.scores == before.scores
    words = "left out 2 images that the run's splits.csv does not name: 'red/new.png', 'violet/new.png'"
    assert after.warnings == (words,)


def test_data_that_have_moved_are_asked_for(own, tmp_path) -> None:
    run, data = own
    data.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"images of the run .* are not at .*own' any more; .*evaluate .*run DATA"):
        evaluate(run)
    assert evaluate(run, tmp_path / "moved").split == "test"


def test_images_of_test_that_have_gone_or_changed_are_named(own) -> None:
    run, data = own
    splits = splits_of(run)
    gone, changed = [path for path in splits if splits[path] == "test"][:2]
    (data / gone).unlink()
    with pytest.raises(DataError, match=r"1 of 12 images of the run .* are gone in .*put them back"):
        evaluate(run)
    coloured_image("red", 77).save(data / changed)
    with pytest.raises(DataError, match=r"2 of 12 images .* are gone or have changed"):
        evaluate(run)
    assert evaluate(run, split="val").scores.n_images == 12, "of other splits nothing is asked"


def test_an_image_of_test_that_cannot_be_read_any_more_is_skipped(own) -> None:
    run, data = own
    splits = splits_of(run)
    broken = next(path for path in splits if splits[path] == "test")
    (data / broken).write_bytes(b"broken")
    result = evaluate(run)
    assert result.scores.n_images == 11
    assert list(result.skipped) == [broken]


def test_labels_that_were_corrected_since_are_said(own) -> None:
    run, data = own
    splits = splits_of(run)
    wrong = next(path for path in splits if splits[path] == "test" and path.startswith("red/"))
    (data / wrong).rename(data / "blue" / "was red.jpg")
    result = evaluate(run)
    assert [each.n_images for each in result.scores.per_class] == [5, 4, 3]
    assert any("1 images have other labels than when the run began" in warning for warning in result.warnings)


def test_the_same_image_in_train_and_test_is_left_out(tmp_path) -> None:
    for split, first in (("train", 0), ("val", 50), ("test", 60)):
        make_image_folder(tmp_path / "data" / split, n_each=6, first=first)
    shutil.copy(tmp_path / "data" / "train" / "red" / "photo 0.jpg", tmp_path / "data" / "test" / "red" / "leaked.jpg")
    run = train(
        tmp_path / "data",
        out=tmp_path / "run",
        settings=Settings(variant="batchnorm", epochs=1, image_size=67, width=0.25, hidden=(32,)),
        verbose=False,
    )
    result = evaluate(run.folder)
    assert result.scores.n_images == 18
    assert any(warning.startswith("left out 1 of 19 images") for warning in result.warnings)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"data": 3}', '{"data": "digits", "data_dir": 5}'])
def test_damaged_settings_of_its_run_are_named_where_they_are_needed(own, text) -> None:
    run, data = own
    whole = evaluate(run)
    (run / "settings.json").write_text(text)
    with pytest.raises(DataError, match=r"settings\.json' is damaged"):
        evaluate(run)
    assert evaluate(run, data).scores == whole.scores


def copied(image_folder: Path, run: Path, split: str, to: Path) -> Path:
    """Copy the images that a run has in one split."""
    for path in [path for path, its_split in splits_of(run).items() if its_split == split]:
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image_folder / path, to / path)
    return to


def test_val_alone_is_evaluated_with_a_warning(trained_run, image_folder, tmp_path) -> None:
    val = copied(image_folder, trained_run, "val", tmp_path / "val")
    result = evaluate(trained_run, val)
    assert result.scores == evaluate(trained_run, split="val").scores
    assert any("these are val images" in warning for warning in result.warnings)


def test_of_a_model_alone_each_split_can_be_evaluated(trained_run, image_folder, tmp_path) -> None:
    model = shutil.copytree(trained_run / "model", tmp_path / "model")
    for split in ("train", "val", "test"):
        assert evaluate(model, image_folder, split=split).scores == evaluate(trained_run, split=split).scores
    with pytest.raises(DataError, match=r"no image in .* is of the network's val"):
        evaluate(model, copied(image_folder, trained_run, "train", tmp_path / "train"), split="val")


def test_its_own_data_behind_a_link_are_its_own(own, tmp_path) -> None:
    """Else, with one image gone, the rest would be evaluated together with what was added."""
    run, data = own
    data.rename(tmp_path / "moved")
    data.symlink_to(tmp_path / "moved")
    assert evaluate(run).split == "test"
    gone = next(path for path, split in splits_of(run).items() if split == "test")
    (data / gone).unlink()
    with pytest.raises(DataError, match=r"1 of 12 images of the run .* are gone"):
        evaluate(run)


@pytest.mark.parametrize("place", ["model", ".", "..", "../model"])
def test_a_run_is_found_from_inside(own, monkeypatch, place) -> None:
    run, _ = own
    (run / "model" / "inside").mkdir()
    monkeypatch.chdir(run / {"model": ".", ".": "model", "..": "model/inside", "../model": "model"}[place])
    assert evaluate(place).split == "test"


def test_splits_that_a_run_lacks_are_named(tmp_path) -> None:
    for split, first in (("train", 0), ("val", 50)):
        make_image_folder(tmp_path / "data" / split, n_each=6, first=first)
    settings = Settings(variant="batchnorm", epochs=1, image_size=67, width=0.25, hidden=(32,))
    run = train(tmp_path / "data", out=tmp_path / "run", settings=settings, verbose=False)
    with pytest.raises(DataError, match=r"the run .* has no test images, only train and val; choose with --split"):
        evaluate(run.folder)
