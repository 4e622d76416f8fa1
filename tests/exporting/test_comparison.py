import json

import numpy as np
import pytest

from alexnet.data.parallel import untracked
from alexnet.exporting.comparison import TIE, Comparison, Limits, compare
from alexnet.exporting.images import ExportImages

from .networks import NETS, export_images

N = 400


def numbered(n: int = N) -> ExportImages:
    """Return images whose first pixel tells their number, all of class 0."""
    net = NETS["small"]
    pixels = np.zeros((n, 32, 32, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = np.arange(n) % 256, np.arange(n) // 256
    return export_images(net, pixels, np.zeros(n))


def lookup(logits: np.ndarray):
    """Return a network that has these logits for the images of ``numbered``."""
    return lambda pixels: logits[pixels[:, 0, 0, 0] + 256 * pixels[:, 0, 0, 1].astype(int)]


def compared(before: np.ndarray, after: np.ndarray, temperature: float = 1.0) -> Comparison:
    images = numbered(len(before))
    return compare(lookup(before), lookup(after), images, temperature, n_bytes_before=100, n_bytes=25, track=untracked)


def of_classes(classes: list[int]) -> np.ndarray:
    return 3 * np.eye(3, dtype=np.float32)[classes]


def test_a_copy_agrees_on_everything() -> None:
    logits = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
    found = compared(logits, logits.copy())
    assert (found.n_images, found.agreement, found.n_lost, found.largest_difference) == (N, 1.0, 0, 0.0)
    assert found.top1_before == found.top1_after == (logits.argmax(axis=1) == 0).mean()
    for precision in ("fp32", "fp16", "int8"):
        assert found.fault(Limits.of(precision, N, None)) is None


def test_images_are_lost_and_won() -> None:
    """Three that were right are wrong, one that was wrong is right, and one is wrong in another way."""
    found = compared(of_classes([0] * 8 + [1, 1]), of_classes([0] * 5 + [1, 2, 1, 0, 2]))
    assert found.n_differing == 5
    assert found.n_lost == 2
    assert (found.top1_before, found.top1_after) == (0.8, 0.6)
    assert found.agreement == 0.5


def test_the_largest_difference_is_one_of_calibrated_probabilities() -> None:
    before = np.zeros((4, 3), np.float32)
    after = before.copy()
    after[2, 1] = 0.5
    p = np.exp(0.5 / 0.25) / (2 + np.exp(0.5 / 0.25))
    assert compared(before, after, 0.25).largest_difference == pytest.approx(p - 1 / 3)


@pytest.mark.parametrize(("gap", "same"), [(TIE / 10, True), (TIE * 10, False)])
def test_of_equal_probabilities_either_may_be_the_first(gap, same) -> None:
    before, after = (np.zeros((4, 3), np.float64) for _ in range(2))
    before[:, 0] = 3 * gap
    after[:, 1] = 3 * gap
    assert (compared(before, after).n_differing == 0) == same


@pytest.mark.parametrize(
    ("precision", "n", "differing", "lost", "difference"),
    [
        ("fp32", 400, 0, None, 1e-5),
        ("fp16", 400, 0, None, 5e-3),
        ("int8", 400, 4, 2, None),
        ("int8", 1000, 10, 5, None),
        ("int8", 30, 1, 1, None),
    ],
)
def test_the_limits(precision, n, differing, lost, difference) -> None:
    assert Limits.of(precision, n, None) == Limits(differing, lost, difference)


@pytest.mark.parametrize(
    ("precision", "n", "max_loss", "lost"),
    [
        ("fp32", 400, 0.01, 4),
        ("int8", 400, 0.01, 6),
        ("int8", 50, 0.0, 1),
        ("fp32", 400, 0.0, 0),
        ("fp32", 50, 0.01, 0),
    ],
)
def test_a_shrunk_network_may_lose_images_but_predict_what_it_likes(precision, n, max_loss, lost) -> None:
    assert Limits.of(precision, n, max_loss) == Limits(lost=lost)


def test_each_number_that_falls_short_is_named() -> None:
    found = compared(of_classes([0] * 10), of_classes([0] * 7 + [1] * 3))
    assert found.fault(Limits(2, 1, 0.5)) == (
        "the top-1 of 3 of 10 images changes (at most 2 may), 3 more of 10 images are predicted wrong (at most 1 may), "
        "a probability changes by 0.86 (at most 0.5)"
    )
    assert found.fault(Limits(3, 3, 0.9)) is None
    assert found.fault(Limits()) is None


def test_what_is_no_number_is_no_small_difference() -> None:
    found = Comparison(1, 1.0, 0, float("nan"), 1.0, 1.0, 1, 1, {}, {})
    assert found.fault(Limits(difference=1.0)) is not None


def test_both_are_timed_one_image_at_a_time_and_many() -> None:
    sizes: list[tuple[str, int]] = []

    def network(name: str):
        def logits(pixels):
            sizes.append((name, len(pixels)))
            return np.zeros((len(pixels), 3), np.float32)

        return logits

    images = numbered(5)
    found = compare(network("a"), network("b"), images, 1.0, n_bytes_before=1, n_bytes=1, track=untracked)
    assert set(found.milliseconds) == set(found.milliseconds_before) == {1, 32}
    assert min(*found.milliseconds.values(), *found.milliseconds_before.values()) > 0
    timed = sizes[2:]
    assert {n for _, n in timed} == {1, 32}, "the few images are repeated"
    assert [name for name, _ in timed] == ["a", "b"] * (len(timed) // 2), "they take turns"


def test_it_is_saved_as_json() -> None:
    saved = json.loads(json.dumps(compared(of_classes([0, 1]), of_classes([0, 1])).to_json()))
    assert saved["n_images"] == 2
    assert saved["n_bytes"] == 25
    assert set(saved["milliseconds"]) == {"1", "32"}
