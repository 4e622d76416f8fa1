import io
import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet import Classifier, load
from alexnet.errors import PictureError, SettingsError


@pytest.fixture(scope="module")
def classifier(trained_run) -> Classifier:
    return load(trained_run)


def test_it_knows_what_it_learned(classifier, photos) -> None:
    for label in classifier.classes:
        answers = classifier.predict(photos / label)
        assert len(answers) == 40
        assert np.mean([answer.label == label for answer in answers]) > 0.9


def test_probabilities_are_ranked_and_add_up(classifier, photos) -> None:
    (answer,) = classifier.predict(photos / "red" / "photo 1.jpg")
    probabilities = [each.probability for each in answer.predictions]
    assert len(probabilities) == 3, "never more than there are classes"
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-9)
    assert len(classifier.predict(photos / "red" / "photo 1.jpg", top=1)[0].predictions) == 1


def test_company_changes_nothing(classifier, photos, tmp_path) -> None:
    """LitServe, TorchServe: one undecodable picture failed everybody in its batch."""
    folder = shutil.copytree(photos / "green", tmp_path / "mixed")
    (folder / "photo 0.jpg").write_bytes(b"broken")
    picture = folder / "photo 7.jpg"
    (alone,) = classifier.predict(picture)
    in_folder = {answer.path: answer for answer in classifier.answers([folder])}
    assert in_folder[str(folder / "photo 0.jpg")].error == "not a picture in a known format"
    assert len(in_folder) == 40
    for mine, theirs in zip(alone.predictions, in_folder[str(picture)].predictions, strict=True):
        assert mine.label == theirs.label
        assert mine.probability == pytest.approx(theirs.probability, abs=1e-5)


def test_paths_bytes_and_pillow_pictures_agree(classifier, photos) -> None:
    path = photos / "blue" / "photo 3.jpg"
    with Image.open(path) as picture:
        answers = classifier.predict([path, str(path), path.read_bytes(), picture])
    assert len({answer.predictions for answer in answers}) == 1


def test_a_picture_that_cannot_be_read_is_named(classifier) -> None:
    with pytest.raises(PictureError, match=r"gone\.jpg: there is no such file"):
        classifier.predict("gone.jpg")
    (answer,) = classifier.answers(["gone.jpg"])
    assert answer.to_json() == {"path": "gone.jpg", "error": "there is no such file"}
    with pytest.raises(PictureError):
        _ = answer.label


def test_impossible_paths_stop_nobody(classifier, photos) -> None:
    good = photos / "red" / "photo 1.jpg"
    answers = list(classifier.answers([good / "inside.jpg", "x" * 5000, good]))
    assert [answer.error is None for answer in answers] == [False, False, True]


def test_a_pillow_picture_is_turned_upright_like_a_file(classifier, photos, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(photos / "blue" / "photo 3.jpg") as picture:
        picture.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        answers = classifier.predict([tmp_path / "turned.png", turned])
    assert answers[0].predictions == answers[1].predictions


def test_a_damaged_pillow_picture_stops_nobody(classifier, photos) -> None:
    good = photos / "red" / "photo 1.jpg"
    with Image.open(io.BytesIO(good.read_bytes()[:900])) as damaged:
        answers = list(classifier.answers([damaged, good]))
    assert answers[0].error is not None
    assert answers[0].error.startswith("damaged")
    assert answers[1].label == "red"


def test_a_folder_without_pictures_is_an_error(classifier, tmp_path) -> None:
    (answer,) = classifier.answers([tmp_path])
    assert answer.error == "it is a folder without pictures"


def test_top_of_nothing_is_refused(classifier) -> None:
    with pytest.raises(SettingsError, match="top is 0"):
        classifier.predict([], top=0)


def test_pictures_that_are_alike_lie_close_together(classifier, photos) -> None:
    """The paper, section 6.1: distances between the activations of the last hidden layer."""
    pictures = [photos / label / f"photo {number}.jpg" for label in ("blue", "red") for number in (1, 2, 3)]
    rows = classifier.embed(pictures)
    assert rows.shape == (6, 4096)
    assert rows.dtype == np.float32
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    assert apart[:3, :3].max() < apart[:3, 3:].min()
    assert np.allclose(classifier.embed(pictures[1]), rows[1], atol=1e-4)


def test_a_picture_that_cannot_be_read_is_not_embedded(classifier, photos) -> None:
    with pytest.raises(PictureError, match=r"gone\.jpg"):
        classifier.embed([photos / "red" / "photo 1.jpg", "gone.jpg"])
