import numpy as np
import pytest

from alexnet.evaluation.views import average_of_views, ten_views


@pytest.fixture
def numbered() -> np.ndarray:
    """Two images of 16 px: red counts rows, green counts columns, blue is the number of the image."""
    rows, columns = np.mgrid[:16, :16]
    return np.stack([np.stack([rows, columns, np.full_like(rows, 9 * n)], axis=-1) for n in range(2)]).astype(np.uint8)


def test_views_are_corners_and_centre_each_mirrored(numbered) -> None:
    views = list(ten_views(numbered, 14))
    assert {view.shape for view in views} == {(2, 14, 14, 3)}
    upright, mirrored = views[::2], views[1::2]
    assert [tuple(view[0, 0, 0, :2]) for view in upright] == [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
    assert [tuple(view[0, 0, 0, :2]) for view in mirrored] == [(0, 13), (0, 15), (2, 13), (2, 15), (1, 14)]
    assert all((view[1, :, :, 2] == 9).all() for view in views)


@pytest.mark.parametrize("size", [7, 14, 28])
def test_views_have_the_size_of_the_network(numbered, size) -> None:
    views = list(ten_views(numbered, size))
    assert [view.shape for view in views] == [(2, size, size, 3)] * 10
    assert views[0][0, :, :, 0].mean() == pytest.approx(6.5, abs=0.6), "rows 0 to 13, however large"


def test_luminance_has_one_channel(numbered) -> None:
    assert next(ten_views(numbered[..., :1], 7)).shape == (2, 7, 7, 1)


def test_probabilities_are_averaged_not_logits(numbered) -> None:
    """One view in ten is sure of the second class, the others lean to the first."""
    seen = []

    def logits(view: np.ndarray) -> np.ndarray:
        seen.append(view)
        return np.full((2, 2), [0.0, 50.0] if len(seen) == 1 else [0.2, 0.0], dtype=np.float32)

    lean = 1 / (1 + np.exp(-0.2))
    mean = np.exp(average_of_views(logits, numbered, 14))
    assert len(seen) == 10
    assert mean == pytest.approx(np.array([[0.9 * lean, 0.1 + 0.9 * (1 - lean)]] * 2), abs=1e-6)
    assert mean.sum(axis=1) == pytest.approx(1)
