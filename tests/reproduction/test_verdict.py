"""What runs say of a claim follows from the interval of the effect alone."""

import math

import pytest

from alexnet.reproduction.findings.stored import outcome
from alexnet.reproduction.findings.verdict import effect, mean_and_interval, verdict
from alexnet.reproduction.plan.reading import read
from alexnet.reproduction.plan.value import Figure

from .made_up import claim, run

REACHED = Figure(name="train_error", level=0.25)


def by_seed(*errors: float):
    return {seed: run(error) for seed, error in enumerate(errors)}


def test_the_interval_is_students() -> None:
    mean, low, high = mean_and_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5 / 5)
    assert (mean, low, high) == pytest.approx((3.0, 3.0 - half, 3.0 + half))
    assert mean_and_interval([1.0]) == (1.0, -math.inf, math.inf)


def test_effects_are_paired_by_seed() -> None:
    found = effect(claim(), by_seed(0.50, 0.60, 0.70), by_seed(0.48, 0.58, 0.68))
    assert found is not None
    assert (found.mean, found.low, found.high, found.n) == pytest.approx((0.02, 0.02, 0.02, 3))
    assert effect(claim(), {0: run(0.5)}, {1: run(0.4)}) is None


@pytest.mark.parametrize(("without", "arm", "expected"), [
    ((0.50, 0.51, 0.49), (0.45, 0.46, 0.44), "reproduced"),
    ((0.50, 0.51, 0.49), (0.498, 0.512, 0.488), "smaller, if anything"),  # below the paper's 2 points, about nothing
    ((0.50, 0.51, 0.49), (0.55, 0.561, 0.539), "not reproduced"),
    ((0.50, 0.51, 0.49), (0.49, 0.501, 0.479), "reproduced, but smaller"),
    ((0.50, 0.55, 0.45), (0.45, 0.58, 0.40), "not testable at this size"),
    ((0.50,), (0.40,), "not testable at this size"),  # one seed has no interval
])  # fmt: skip
def test_verdicts(without, arm, expected) -> None:
    assert outcome(claim(), {"without": by_seed(*without), "with": by_seed(*arm)}).verdict == expected


def test_without_a_figure_of_the_paper_any_effect_counts() -> None:
    no_figure = claim(claimed=None)
    assert outcome(no_figure, {"without": by_seed(0.5, 0.51, 0.49), "with": by_seed(0.6, 0.61, 0.59)}).verdict == (
        "not reproduced"
    )
    runs = {"without": by_seed(0.5, 0.51, 0.49), "with": by_seed(0.495, 0.52, 0.485)}
    assert outcome(no_figure, runs).verdict == "not testable at this size"


@pytest.mark.parametrize(("arm", "expected"), [
    ((0.501, 0.511, 0.491), "reproduced"),
    ((0.551, 0.561, 0.541), "not reproduced"),
    ((0.47, 0.55, 0.46), "not testable at this size"),
])  # fmt: skip
def test_that_two_things_do_the_same_needs_a_margin(arm, expected) -> None:
    equal = claim(expected="equal", margin=0.01)
    assert outcome(equal, {"without": by_seed(0.5, 0.51, 0.49), "with": by_seed(*arm)}).verdict == expected


def test_what_was_not_run_has_no_verdict() -> None:
    assert outcome(claim(), {"without": by_seed(0.5), "with": {}}).verdict == "not run yet"
    assert verdict(claim(), None) == "not run yet"


def curve(*errors: float):
    return run(curve=[{"epoch": number, "train_error": each} for number, each in enumerate(errors, start=1)])


def test_epochs_to_a_level_are_interpolated() -> None:
    reading = read(REACHED, curve(0.5, 0.3, 0.2))
    assert reading is not None
    assert (reading.value, reading.censored) == (pytest.approx(2.5), False)
    reading = read(REACHED, curve(0.2, 0.1))
    assert reading is not None
    assert reading.value == 1.0


def test_a_level_that_is_not_reached_is_a_lower_bound() -> None:
    reading = read(REACHED, curve(0.5, 0.4, 0.3))
    assert reading is not None
    assert (reading.value, reading.censored) == (3.0, True)
    ratio = claim(figure=REACHED, is_ratio=True, claimed=6.0)
    slow, fast = {seed: curve(0.5, 0.4, 0.3, 0.3) for seed in range(2)}, {seed: curve(0.4, 0.2) for seed in range(2)}
    found = effect(ratio, slow, fast)
    assert found is not None
    assert (found.mean, found.high, found.censored) == (pytest.approx(4 / 1.75), math.inf, 2)
    assert verdict(ratio, found) == "reproduced"
    # Seeds with an upper bound alone are not dropped without a word: the others would be the good ones.
    one_slow = {0: curve(0.4, 0.2), 1: curve(0.5, 0.4, 0.3)}
    assert outcome(ratio, {"without": slow | {0: curve(0.5, 0.4, 0.2)}, "with": one_slow}).verdict == (
        "not testable at this size"
    )
    assert outcome(ratio, {"without": fast, "with": slow}).verdict == "not testable at this size"


def test_ratios_are_averaged_geometrically() -> None:
    ratio = claim(figure=Figure(name="test_error"), is_ratio=True)
    found = effect(ratio, by_seed(0.2, 0.8), by_seed(0.1, 0.1))
    assert found is not None
    assert found.mean == pytest.approx(4.0)
    assert found.low < 1 < found.high
