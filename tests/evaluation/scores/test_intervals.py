import numpy as np
import pytest
from scipy.stats import binomtest

from alexnet.evaluation.scores.intervals import (
    bootstrap_mean,
    error_of_calibrated,
    intervals,
    mcnemar,
    mean_of_shares,
    paired_difference,
    wilson,
)
from alexnet.inference.probability import log_softmax


def coverage(truth: float, draw, n: int = 1000) -> float:
    found = [draw() for _ in range(n)]
    return sum(each.low <= truth <= each.high for each in found) / n


@pytest.mark.parametrize("n_right", [0, 1, 130, 399, 400])
def test_wilson_is_scipys(n_right) -> None:
    theirs = binomtest(n_right, 400).proportion_ci(method="wilson")
    assert (wilson(n_right, 400).low, wilson(n_right, 400).high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


@pytest.mark.parametrize(("n_only", "n_other"), [(0, 0), (1, 0), (3, 9), (10, 10), (40, 300), (1200, 1100)])
def test_mcnemar_is_a_sign_test(n_only, n_other) -> None:
    expected = binomtest(n_only, n_only + n_other).pvalue if n_only + n_other else 1.0
    assert mcnemar(n_only, n_other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("share", [0.6, 0.85, 0.97])
def test_intervals_of_top1_cover_the_truth(share) -> None:
    rng = np.random.default_rng(1)
    assert 0.93 <= coverage(share, lambda: wilson(int(rng.binomial(402, share)), 402), 4000) <= 0.97


@pytest.mark.parametrize("recalls", [(0.9, 0.8, 0.7), (0.95,) * 5, (0.5, 0.99, 0.9, 0.6), (0.99,) * 3])
def test_intervals_of_mean_recall_cover_the_truth(recalls) -> None:
    rng = np.random.default_rng(2)
    n = np.array([80, 40, 120, 60, 90][: len(recalls)])
    truth = float(np.mean(recalls))
    assert 0.93 <= coverage(truth, lambda: mean_of_shares(rng.binomial(n, recalls), n, len(n)), 3000) <= 0.97


@pytest.mark.parametrize("n", [250, pytest.param(1000, marks=pytest.mark.slow)])
def test_intervals_of_the_loss_cover_the_truth(n) -> None:
    rng = np.random.default_rng(3)
    # Losses of a good network are skewed: most are near 0, a few are large.
    assert 0.93 <= coverage(0.5, lambda: bootstrap_mean(rng.gamma(0.5, 1.0, 402), int(rng.integers(2**31))), n) <= 0.97


@pytest.mark.parametrize(("only", "only_other"), [(0.05, 0.05), (0.12, 0.06), (0.02, 0.01)])
def test_intervals_of_differences_cover_the_truth(only, only_other) -> None:
    rng = np.random.default_rng(4)

    def draw():
        kind = rng.choice(4, 402, p=[only, only_other, 0.8 - only - only_other, 0.2])
        return paired_difference((kind == 0) | (kind == 2), (kind == 1) | (kind == 2))

    assert 0.93 <= coverage(only - only_other, draw, 3000) <= 0.97


def test_no_mistake_leaves_room_for_some() -> None:
    """Resampling would say 1 to 1."""
    labels = np.arange(60) % 3
    found = intervals(log_softmax(np.eye(3)[labels] * 5.0), labels)
    assert set(found) == {"top1", "top5", "loss", "macro_recall", "balanced_accuracy"}
    assert (found["top5"].low, found["top1"].high) == (1, 1)
    assert found["top1"].low == pytest.approx(0.94, abs=0.01)
    assert found["balanced_accuracy"].low < 0.95
    assert paired_difference(labels >= 0, labels >= 0).low < -0.02


def test_a_missing_class_counts_as_nothing_in_the_mean_recall() -> None:
    labels = np.arange(60) % 2
    found = intervals(log_softmax(np.eye(3)[labels] * 5.0), labels)
    assert found["macro_recall"].high == pytest.approx(2 / 3)
    assert found["balanced_accuracy"].high == 1


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).gamma(0.5, 1.0, 100)
    assert bootstrap_mean(values) == bootstrap_mean(values)
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)


def test_even_a_calibrated_network_has_an_error_on_few_images() -> None:
    rng = np.random.default_rng(0)
    few, many = (error_of_calibrated(rng.uniform(0.4, 1, n)) for n in (200, 20_000))
    assert few.low > many.high
    assert few.low > 0.02
    assert many.high < 0.02
