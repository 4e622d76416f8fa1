import numpy as np
import pytest

from alexnet.data.record import read_splits
from alexnet.explanation.gallery import Gallery
from alexnet.explanation.neighbours import nearest
from alexnet.inference.classifier import load


@pytest.fixture(scope="module")
def gallery(run) -> Gallery:
    classifier = load(run)
    return Gallery.of(run, classifier.artifact, classifier.engine)


def test_a_training_image_finds_itself_first(gallery) -> None:
    found = nearest(gallery.embeddings[17].astype(np.float32), gallery)
    assert len(found) == 6
    assert (found[0].path, found[0].label, found[0].row) == (gallery.names[17], gallery.labels[17], 17)
    assert found[0].distance == 0
    distances = [each.distance for each in found]
    assert distances == sorted(distances)


def test_distances_are_euclidean(gallery) -> None:
    embedding = np.zeros(gallery.embeddings.shape[1], np.float32)
    embedding[3] = 2.0
    for each in nearest(embedding, gallery, n=3):
        apart = gallery.embeddings[each.row].astype(np.float64) - embedding
        assert each.distance == pytest.approx(np.sqrt((apart**2).sum()), rel=1e-5)


def test_a_new_image_is_among_its_own_class(run, gallery, image_folder) -> None:
    classifier = load(run)
    new = [row for row in read_splits(run / "splits.csv") if row.split == "test"]
    for row in new:
        (embedding,) = classifier.embed(image_folder / row.path)
        assert [each.label for each in nearest(embedding, gallery)].count(row.label) >= 5, row.path


def test_of_few_images_all_are_neighbours(gallery) -> None:
    few = Gallery(gallery.names[:2], gallery.labels[:2], gallery.embeddings[:2], {}, gallery._images)
    assert {each.row for each in nearest(gallery.embeddings[0].astype(np.float32), few)} == {0, 1}
