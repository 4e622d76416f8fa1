from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

from alexnet.network.value.layers import LocalNorm
from alexnet.network.value.variants import SMALL
from alexnet.reproduction.running.measures import (
    colour_of,
    column_gap,
    noise_as_smooth,
    norm_spread,
    orientation_of,
)
from alexnet.reproduction.running.trial import prepare

from .made_up import arm


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


def test_noise_as_smooth_as_kernels_has_their_power_and_the_orientation_of_smoothness() -> None:
    noise = np.random.default_rng(0).normal(size=(96, 1, 11, 11))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 0, 1.5, 1.5), mode="wrap")
    like = noise_as_smooth(smooth)
    assert like.shape == (96 * 20, 1, 11, 11)
    assert (like**2).mean() == pytest.approx((smooth**2).mean(), rel=0.05)
    # Smoothness alone gives some orientation, and just as much to both; gratings have more than noise like them.
    assert orientation_of(smooth).mean() > orientation_of(noise).mean() + 0.1
    assert orientation_of(like).mean() == pytest.approx(orientation_of(smooth).mean(), abs=0.03)
    gratings = np.stack([grating(angle, (1, 1, 1)) for angle in np.linspace(0, 3, 20)])
    assert orientation_of(noise_as_smooth(gratings)).mean() < orientation_of(gratings).mean() - 0.2


def test_columns_that_differ_are_further_apart_than_random_halves() -> None:
    values = np.concatenate([np.full(24, 0.1), np.full(24, 0.5)])
    gap, by_chance = column_gap(values)
    assert gap == pytest.approx(0.4)
    assert by_chance < 0.1
    gap, by_chance = column_gap(np.random.default_rng(0).permutation(values))
    assert gap < 3 * by_chance


@pytest.mark.parametrize(("alpha", "differs"), [(0.0, False), (1.0, True)])
def test_norms_that_divide_by_a_constant_have_no_spread(alpha, differs) -> None:
    first, *others = SMALL.layers
    layers = (replace(first, norm=LocalNorm(alpha=alpha)), *(replace(layer, norm=None) for layer in others))
    one = replace(arm("normed"), network=replace(SMALL, layers=layers), weights="he")
    training, test = prepare(one, 0, None, 0)
    spread = norm_spread(training, test)["norm_spread"]
    assert spread > 0.01 if differs else spread == pytest.approx(0, abs=1e-5)


def test_without_response_norms_there_is_no_spread() -> None:
    training, test = prepare(arm("plain"), 0, None, 0)
    assert norm_spread(training, test) == {}
