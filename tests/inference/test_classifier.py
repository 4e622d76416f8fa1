import io
import shutil

import numpy as np
import pytest
from PIL import Image

from alexnet import Classifier, load
from alexnet.errors import ImageError, SettingsError


@pytest.fixture(scope="module")
def classifier(trained_run) -> Classifier:
    return load(trained_run)


def test_it_predicts_its_training_images(classifier, image_folder) -> None:
    for label in classifier.classes:
        results = classifier.predict(image_folder / label)
        assert len(results) == 40
        assert np.mean([result.label == label for result in results]) > 0.9


def test_probabilities_are_ranked_and_add_up(classifier, image_folder) -> None:
    (result,) = classifier.predict(image_folder / "red" / "photo 1.jpg")
    probabilities = [each.probability for each in result.predictions]
    assert len(probabilities) == 3, "never more than there are classes"
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-9)
    assert len(classifier.predict(image_folder / "red" / "photo 1.jpg", top=1)[0].predictions) == 1


def test_other_images_in_the_batch_change_nothing(classifier, image_folder, tmp_path) -> None:
    """LitServe, TorchServe: one undecodable image failed its whole batch."""
    folder = shutil.copytree(image_folder / "green", tmp_path / "mixed")
    (folder / "photo 0.jpg").write_bytes(b"broken")
    image = folder / "photo 7.jpg"
    (alone,) = classifier.predict(image)
    in_folder = {result.path: result for result in classifier.predict_each([folder])}
    assert in_folder[str(folder / "photo 0.jpg")].error == "not an image in a known format"
    assert len(in_folder) == 40
    for mine, theirs in zip(alone.predictions, in_folder[str(image)].predictions, strict=True):
        assert mine.label == theirs.label
        assert mine.probability == pytest.approx(theirs.probability, abs=1e-5)


def test_paths_bytes_and_pillow_images_agree(classifier, image_folder) -> None:
    path = image_folder / "blue" / "photo 3.jpg"
    with Image.open(path) as image:
        results = classifier.predict([path, str(path), path.read_bytes(), image])
    first, *others = results
    for result in others:
        assert [each.label for each in result.predictions] == [each.label for each in first.predictions]
        # Some processors add in another order at another place of a batch.
        expected = pytest.approx([each.probability for each in first.predictions], abs=1e-6)
        assert [each.probability for each in result.predictions] == expected


def test_an_unreadable_image_is_named(classifier) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg: there is no such file"):
        classifier.predict("gone.jpg")
    (result,) = classifier.predict_each(["gone.jpg"])
    assert result.to_json() == {"path": "gone.jpg", "error": "there is no such file"}
    with pytest.raises(ImageError):
        _ = result.label


def test_impossible_paths_stop_no_other_image(classifier, image_folder) -> None:
    good = image_folder / "red" / "photo 1.jpg"
    results = list(classifier.predict_each([good / "inside.jpg", "x" * 5000, good]))
    assert [result.error is None for result in results] == [False, False, True]


def test_a_pillow_image_is_turned_upright_like_a_file(classifier, image_folder, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(image_folder / "blue" / "photo 3.jpg") as image:
        image.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as turned:
        results = classifier.predict([tmp_path / "turned.png", turned])
    assert results[0].predictions == results[1].predictions


def test_a_damaged_pillow_image_stops_no_other(classifier, image_folder) -> None:
    good = image_folder / "red" / "photo 1.jpg"
    with Image.open(io.BytesIO(good.read_bytes()[:900])) as damaged:
        results = list(classifier.predict_each([damaged, good]))
    assert results[0].error is not None
    assert results[0].error.startswith("damaged")
    assert results[1].label == "red"


def test_a_folder_without_images_is_an_error(classifier, tmp_path) -> None:
    (result,) = classifier.predict_each([tmp_path])
    assert result.error == "it is a folder without images"


def test_top_of_nothing_is_refused(classifier) -> None:
    with pytest.raises(SettingsError, match="top is 0"):
        classifier.predict([], top=0)


def test_similar_images_have_close_embeddings(classifier, image_folder) -> None:
    """The paper, section 6.1: distances between the activations of the last hidden layer."""
    images = [image_folder / label / f"photo {number}.jpg" for label in ("blue", "red") for number in (1, 2, 3)]
    rows = classifier.embed(images)
    assert rows.shape == (6, 64)
    assert rows.dtype == np.float32
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=-1)
    assert apart[:3, :3].max() < apart[:3, 3:].min()
    assert np.allclose(classifier.embed(images[1]), rows[1], atol=1e-4)


def test_an_unreadable_image_is_not_embedded(classifier, image_folder) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg"):
        classifier.embed([image_folder / "red" / "photo 1.jpg", "gone.jpg"])
