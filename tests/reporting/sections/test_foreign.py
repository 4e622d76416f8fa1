import numpy as np

from alexnet.inference.classifier import Prediction
from alexnet.reporting.facts import Foreign
from alexnet.reporting.sections.foreign import foreign

from ..made_up import facts_of

GREY = np.full((8, 8, 3), 128, np.uint8)


def test_the_surest_wrong_prediction_is_named_and_explained(tmp_path) -> None:
    images = (
        Foreign("noise", GREY, (Prediction("cat & co", 0.4), Prediction("dog", 0.3))),
        Foreign("plain grey", GREY, (Prediction("dog", 0.97), Prediction("cat & co", 0.02))),
    )
    html = foreign(facts_of(tmp_path, foreign=images))
    assert "A high probability does not mean that an image shows one of the classes." in html
    assert "For plain grey it predicts dog with 97.0%." in html
    assert "cat &amp; co" in html
    assert html.count("<figure") == 2
    assert html.count("--share:") == 4
