import numpy as np
import pytest

from alexnet.reproduction.running.measures import colour_of, column_gap, orientation_of


def grating(angle: float, colour: tuple[float, float, float], side: int = 11) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    wave = np.sin(2 * np.pi / 4 * (x * np.cos(angle) + y * np.sin(angle)))
    return np.stack([each * wave for each in colour])


def test_grey_kernels_have_no_colour_and_opposite_channels_are_all_colour() -> None:
    kernels = np.stack([grating(0.3, (1, 1, 1)), grating(0.3, (1, -1, 0)), np.zeros((3, 11, 11))])
    assert colour_of(kernels) == pytest.approx([0, 1, 0], abs=1e-9)


def test_random_kernels_have_two_thirds_of_colour() -> None:
    assert colour_of(np.random.default_rng(0).normal(size=(96, 3, 11, 11))).mean() == pytest.approx(2 / 3, abs=0.02)


def test_gratings_have_an_orientation_and_noise_has_none() -> None:
    gratings = np.stack([grating(angle, (1, 1, 1)) for angle in (0.0, 0.5, 1.2)])
    noise = np.random.default_rng(0).normal(size=(96, 3, 11, 11))
    assert orientation_of(gratings).min() > 0.8
    assert orientation_of(noise).mean() < 0.25
    assert orientation_of(np.ones((1, 3, 5, 5))) == pytest.approx([0.0], abs=1e-6)


def test_columns_that_differ_are_further_apart_than_random_halves() -> None:
    values = np.concatenate([np.full(24, 0.1), np.full(24, 0.5)])
    gap, by_chance = column_gap(values)
    assert gap == pytest.approx(0.4)
    assert by_chance < 0.1
    gap, by_chance = column_gap(np.random.default_rng(0).permutation(values))
    assert gap < 3 * by_chance
