import json
import warnings

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    top_k_accuracy_score,
)

from alexnet.errors import ArtifactError
from alexnet.evaluation.scores.metrics import score
from alexnet.inference.probability import log_softmax


def random_case(n: int, n_classes: int, seed: int = 0, missing: tuple[int, ...] = ()):
    rng = np.random.default_rng(seed)
    labels = rng.choice([i for i in range(n_classes) if i not in missing], n)
    logits = rng.normal(size=(n, n_classes)).astype(np.float32)
    logits[np.arange(n), labels] += 1
    return logits, labels


@pytest.fixture
def case():
    return random_case(300, 8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("n", "n_classes", "missing"),
    [(300, 8, ()), (300, 8, (0, 5)), (50, 2, ()), (40, 2, (1,)), (1, 3, ()), (1, 2, ()), (500, 40, (39,))],
)
def test_scores_are_sklearns(n, n_classes, missing, seed) -> None:
    logits, labels = random_case(n, n_classes, seed, missing)
    scores = score(logits, labels, tuple(map(str, range(n_classes))))
    probabilities, predicted, every = np.exp(log_softmax(logits)), logits.argmax(axis=1), list(range(n_classes))
    assert scores.n_images == n
    assert scores.top1 == pytest.approx(accuracy_score(labels, predicted), abs=1e-6)
    if n_classes > 5:
        in_top5 = top_k_accuracy_score(labels, probabilities, k=5, labels=every)
        assert scores.top5 == pytest.approx(in_top5, abs=1e-6)
    assert scores.loss == pytest.approx(log_loss(labels, probabilities, labels=every), abs=1e-6)
    assert np.array_equal(scores.confusion, confusion_matrix(labels, predicted, labels=every))
    expected = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    found = zip(*((each.precision, each.recall, each.f1, each.n_images) for each in scores.per_class), strict=True)
    for ours, theirs in zip(found, expected, strict=True):
        assert list(ours) == pytest.approx(list(theirs), abs=1e-6)
    macro = recall_score(labels, predicted, labels=every, average="macro", zero_division=0)
    assert scores.macro_recall == pytest.approx(macro, abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # sklearn's, of predicted classes without images
        assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted), abs=1e-6)
    assert scores.is_complete == (len(set(labels)) == n_classes)


def test_three_classes_have_a_top5() -> None:
    """serve #411: topk=5 failed with three classes."""
    scores = score(np.eye(3, dtype=np.float32), np.array([1, 2, 0]), ("a", "b", "c"))
    assert scores.top1 == 0
    assert scores.top5 == 1


def test_of_equal_classes_the_first_ranks_first() -> None:
    logits = np.zeros((8, 8), dtype=np.float32)
    scores = score(logits, np.arange(8), tuple("abcdefgh"))
    assert scores.top1 == accuracy_score(np.arange(8), logits.argmax(axis=1)) == 1 / 8
    assert scores.top5 == 5 / 8


def test_a_class_without_images() -> None:
    scores = score(np.array([[2.0, 1.0, 0.0]]), np.array([0]), ("a", "b", "c"))
    assert [each.n_images for each in scores.per_class] == [1, 0, 0]
    assert [each.recall for each in scores.per_class] == [1, 0, 0]
    assert scores.macro_recall == pytest.approx(1 / 3)
    assert scores.balanced_accuracy == 1


def test_json_has_the_promised_keys(case) -> None:
    whole = json.loads(json.dumps(score(*case, tuple("abcdefgh")).to_json()))
    assert {"n_images", "top1", "top5", "loss", "ece", "per_class", "confusion"} <= set(whole)
    assert sum(map(sum, whole["confusion"])) == 300
    assert set(whole["per_class"]["a"]) == {"n_images", "precision", "recall", "f1"}


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
