import shutil

import pytest

from alexnet import evaluate, load
from alexnet.data.sources import open_source
from alexnet.data.split import apply_splits
from alexnet.errors import ArtifactError, DataError, SettingsError

from ..conftest import coloured_picture, make_photos


def test_a_run_is_judged_on_its_own_test_pictures(trained_run, photos) -> None:
    judged = evaluate(trained_run)
    assert judged.split == "test"
    assert judged.evaluation.n_images == 12
    assert judged.evaluation.top1 > 0.9
    assert evaluate(trained_run, photos) == judged, "the same folder is split as it was for training"
    assert evaluate(trained_run, photos, split="val").evaluation.n_images == 12


def test_the_model_in_its_run_is_the_run(trained_run, photos) -> None:
    assert evaluate(trained_run / "model") == evaluate(trained_run / "model", photos) == evaluate(trained_run)


def test_judging_answers_like_predicting(trained_run, photos) -> None:
    source = apply_splits(open_source(photos), trained_run / "splits.csv")
    pictures = source.in_split("test")
    answers = load(trained_run).predict([photos / picture.path for picture in pictures])
    share = sum(answer.label == picture.label for answer, picture in zip(answers, pictures, strict=True)) / 12
    assert evaluate(trained_run).evaluation.top1 == pytest.approx(share)


def test_ten_views_are_judged_as_one_answer(trained_run) -> None:
    once, often = evaluate(trained_run), evaluate(trained_run, views=10)
    assert (once.views, often.views) == (1, 10)
    assert often.evaluation.n_images == 12
    assert often.evaluation.top1 > 0.9
    assert often.evaluation.loss != once.evaluation.loss
    with pytest.raises(SettingsError, match="views is 5; it must be 1 or 10"):
        evaluate(trained_run, views=5)


def test_labels_are_matched_by_name(trained_run, tmp_path) -> None:
    for number in range(4):
        (tmp_path / "red").mkdir(exist_ok=True)
        coloured_picture("red", 100 + number).save(tmp_path / "red" / f"{number}.png")
    judged = evaluate(trained_run, tmp_path)
    assert judged.split is None
    assert judged.evaluation.top1 == 1
    assert [each.n_images for each in judged.evaluation.per_class] == [0, 0, 4]


def test_an_unknown_class_is_named(trained_run, tmp_path) -> None:
    make_photos(tmp_path, n_each=1)
    (tmp_path / "red").rename(tmp_path / "rouge")
    with pytest.raises(DataError, match="does not know the class 'rouge'"):
        evaluate(trained_run, tmp_path)


def test_a_split_that_is_not_there(trained_run, tmp_path) -> None:
    make_photos(tmp_path / "train", n_each=1)
    with pytest.raises(DataError, match="no test pictures, only train"):
        evaluate(trained_run, tmp_path)
    with pytest.raises(DataError, match="is not split"):
        evaluate(trained_run, tmp_path / "train", split="test")


def test_unreadable_pictures_are_counted(trained_run, tmp_path) -> None:
    make_photos(tmp_path, n_each=2)
    (tmp_path / "red" / "photo 0.jpg").write_bytes(b"")
    judged = evaluate(trained_run, tmp_path)
    assert judged.evaluation.n_images == 5
    assert judged.skipped == {"red/photo 0.jpg": "the file is empty"}


def test_a_model_without_its_run_needs_data(trained_run, tmp_path) -> None:
    shutil.copytree(trained_run / "model", tmp_path / "model")
    with pytest.raises(ArtifactError, match="give DATA"):
        evaluate(tmp_path / "model")
