import numpy as np

from alexnet import load
from alexnet.reporting.foreign import N_PREDICTIONS, foreign_images, predict_foreign


def test_the_images_are_the_same_each_time_and_differ() -> None:
    images, again = foreign_images(), foreign_images()
    assert list(images) == list(again)
    assert len(images) == 6
    for title, pixels in images.items():
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
        assert np.array_equal(pixels, again[title])
    assert len({pixels.tobytes() for pixels in images.values()}) == 6
    assert images["plain grey"].std() == 0
    assert images["noise"].std() > 70


def test_the_network_predicts_one_of_its_classes_for_each(trained_run) -> None:
    found = predict_foreign(load(trained_run))
    assert [each.title for each in found] == list(foreign_images())
    for each in found:
        assert len(each.predictions) == N_PREDICTIONS
        probabilities = [prediction.probability for prediction in each.predictions]
        assert probabilities == sorted(probabilities, reverse=True)
        assert {prediction.label for prediction in each.predictions} == {"blue", "green", "red"}
        assert np.isclose(sum(probabilities), 1), "of three classes, three are all"
