import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from alexnet.evaluation.scores.calibration import COLDEST, HOTTEST, calibration_error, fit_temperature, reliability
from alexnet.inference.probability import log_softmax


def simulated(n: int, temperature: float, seed: int = 0, n_classes: int = 4):
    """Return logits that are ``temperature`` times too large, and labels drawn from the right probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, n_classes))
    right = np.exp(log_softmax(logits))
    labels = (right.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_classes - 1)
    return logits * temperature, labels


def loss(logits, labels, temperature: float) -> float:
    return -log_softmax(logits / temperature)[np.arange(len(labels)), labels].mean()


def test_calibration_error_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    # 0.9 twice, right once: gap 0.4 on two; 0.6 right: 0.4 on one; 0.8 right: 0.2 on one.
    assert calibration_error(probabilities, np.array([0, 1, 0, 1])) == pytest.approx((0.8 + 0.4 + 0.2) / 4)


def test_the_bins_add_up_to_the_calibration_error() -> None:
    logits, labels = simulated(500, 2.0)
    probabilities = np.exp(log_softmax(logits))
    bins = reliability(probabilities, labels)
    assert sum(each.n_images for each in bins) == 500
    error = sum(each.n_images * abs(each.accuracy - each.confidence) for each in bins) / 500
    assert error == pytest.approx(calibration_error(probabilities, labels))
    assert all(each.low <= each.confidence <= each.high for each in bins if each.n_images)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_is_found(true) -> None:
    logits, labels = simulated(4000, true)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(true, rel=0.05)
    # The best one for these images, but for the one doubtful image among 4,000.
    best = minimize_scalar(lambda each: loss(logits, labels, each), bounds=(0.05, 20), method="bounded").x
    assert found == pytest.approx(best, rel=0.01)
    before, after = (calibration_error(np.exp(log_softmax(logits / each)), labels) for each in (1.0, found))
    assert after < 0.03
    assert true == 1.0 or after < before / 2


def test_no_mistake_is_no_proof() -> None:
    """A network right on 30 images is not sure of everything."""
    labels = np.arange(30) % 3
    logits = np.eye(3)[labels] * 2.0
    found = fit_temperature(logits, labels)
    assert np.exp(log_softmax(logits / found)).max() == pytest.approx(31 / 32, abs=1e-4)
    assert fit_temperature(np.array([[1.0, 0.0]]), np.array([0])) > COLDEST


def test_useless_logits_have_a_bounded_temperature() -> None:
    rng = np.random.default_rng(0)
    found = fit_temperature(rng.normal(size=(50, 3)) * 100, rng.integers(0, 3, 50))
    assert found == pytest.approx(HOTTEST)
    assert fit_temperature(np.empty((0, 3)), np.empty(0, dtype=np.int64)) == 1
    assert fit_temperature(np.ones((5, 1)), np.zeros(5, dtype=np.int64)) == 1


def test_a_temperature_changes_no_prediction() -> None:
    logits, labels = simulated(1000, 2.0)
    calibrated = log_softmax(logits / fit_temperature(logits, labels))
    assert np.array_equal(calibrated.argmax(axis=1), logits.argmax(axis=1))
