import numpy as np
import pytest
import torch

from alexnet import VARIANTS, AlexNet, load
from alexnet.explanation.kernels import Kernels
from alexnet.network.value.changes import resolve


def kernels_of(model: AlexNet) -> Kernels:
    return Kernels.of(model.architecture, {name: each.cpu().numpy() for name, each in model.state_dict().items()})


@pytest.mark.parametrize("variant", VARIANTS)
def test_untrained_kernels_have_no_structure(variant) -> None:
    torch.manual_seed(0)
    # The fully-connected layers take most of the time and none of the kernels.
    model = AlexNet(resolve(variant, hidden=(8,), n_classes=2))
    assert abs(kernels_of(model).structure) < 0.05


def test_trained_kernels_are_told_from_untrained_ones(trained_run) -> None:
    """Even after six short epochs: by more than four standard deviations of untrained networks."""
    trained = load(trained_run).engine.model
    untrained = []
    for seed in range(20):
        torch.manual_seed(seed)
        untrained.append(kernels_of(AlexNet(trained.architecture)).structure)
    assert abs(np.mean(untrained)) < 0.01
    assert kernels_of(trained).structure > np.mean(untrained) + 4 * np.std(untrained)


@pytest.mark.parametrize(
    ("weights", "structure"),
    [
        (np.ones((4, 3, 5, 5)), 1),
        (np.indices((4, 3, 6, 6))[2:].sum(axis=0) % 2 * 2 - 1, -1),
        (np.zeros((4, 3, 5, 5)), 0),
        (np.ones((4, 3, 1, 1)), 0),
    ],
    ids=["even", "checks", "zeros", "one weight"],
)
def test_structure_of_known_kernels(weights, structure) -> None:
    assert Kernels(weights.astype(np.float32)).structure == pytest.approx(structure)


def test_the_drawing_has_the_paper_s_shape() -> None:
    """Six rows of 16, and a wider gap between the kernels of the two GPUs."""
    torch.manual_seed(0)
    kernels = kernels_of(AlexNet(resolve("paper", hidden=(8,), n_classes=2)))
    assert kernels.n_groups == 2
    page = kernels.draw(cell=22)
    assert page.shape == (6 * 22 + 4 * 1 + 2, 16 * 22 + 15, 3)
    white = (page == 255).all(axis=(1, 2))
    assert np.flatnonzero(white).tolist() == [22, 45, 68, 69, 92, 115]


def test_each_kernel_is_scaled_to_its_own_range() -> None:
    weights = np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(np.float32)
    weights[1:] *= 1000
    page = Kernels(weights).draw(cell=8)
    assert page.shape[:2] == (2 * 8 + 1, 3 * 8 + 2)
    for row, column in np.ndindex(2, 3):
        tile = page[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
        assert (tile.min(), tile.max()) == (0, 255)


def test_kernels_for_luminance_are_grey() -> None:
    page = Kernels(np.random.default_rng(0).normal(size=(7, 1, 3, 3)).astype(np.float32)).draw()
    assert (page[..., 0] == page[..., 1]).all()
    assert len(np.unique(page)) > 30


def test_even_kernels_are_drawn() -> None:
    page = Kernels(np.full((97, 3, 5, 5), 0.5, np.float32)).draw()
    assert 1 < page.shape[1] / page.shape[0] < 6, "97 has no divisors, and one column would be too long"
