import json

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from alexnet.errors import ArtifactError
from alexnet.evaluation.scores.calibration import calibration_error
from alexnet.evaluation.scores.metrics import score
from alexnet.inference.probability import log_softmax


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 300)
    logits = rng.normal(size=(300, 8)).astype(np.float32)
    logits[np.arange(300), labels] += 1
    return logits, labels


def test_scores_are_sklearns(case) -> None:
    logits, labels = case
    scores = score(logits, labels, tuple("abcdefgh"))
    probabilities = np.exp(log_softmax(logits))
    predicted = logits.argmax(axis=1)
    assert scores.n_images == 300
    assert scores.top1 == pytest.approx(accuracy_score(labels, predicted))
    assert scores.top5 == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5))
    assert scores.loss == pytest.approx(log_loss(labels, probabilities), rel=1e-6)
    assert np.array_equal(scores.confusion, confusion_matrix(labels, predicted))
    assert [each.recall for each in scores.per_class] == pytest.approx(recall_score(labels, predicted, average=None))
    assert [each.precision for each in scores.per_class] == pytest.approx(
        precision_score(labels, predicted, average=None)
    )


def test_three_classes_have_a_top5() -> None:
    """serve #411: topk=5 failed with three classes."""
    scores = score(np.eye(3, dtype=np.float32), np.array([1, 2, 0]), ("a", "b", "c"))
    assert scores.top1 == 0
    assert scores.top5 == 1


def test_ties_count_once() -> None:
    scores = score(np.zeros((4, 4), dtype=np.float32), np.arange(4), tuple("abcd"))
    assert scores.top1 == 0.25


def test_a_class_without_images(case) -> None:
    scores = score(np.array([[2.0, 1.0, 0.0]]), np.array([0]), ("a", "b", "c"))
    assert [each.n_images for each in scores.per_class] == [1, 0, 0]
    assert [each.recall for each in scores.per_class] == [1, 0, 0]


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    # 0.9 twice, right once: gap 0.4 on two; 0.6 right: 0.4 on one; 0.8 right: 0.2 on one.
    assert calibration_error(probabilities, np.array([0, 1, 0, 1])) == pytest.approx((0.8 + 0.4 + 0.2) / 4)


def test_json_has_the_promised_keys(case) -> None:
    whole = json.loads(json.dumps(score(*case, tuple("abcdefgh")).to_json()))
    assert list(whole) == ["n_images", "top1", "top5", "loss", "ece", "per_class", "confusion"]
    assert sum(map(sum, whole["confusion"])) == 300


def test_huge_logits_overflow_nothing() -> None:
    scores = score(np.array([[1e4, -1e4]], dtype=np.float32), np.array([0]), ("a", "b"))
    assert scores.loss == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_have_no_score(value, case) -> None:
    """Nothing is above NaN: every class ranked first, and top-1 was 1."""
    logits, labels = case
    logits[7, 2] = value
    with pytest.raises(ArtifactError, match="NaN or infinity"):
        score(logits, labels, tuple("abcdefgh"))
