import pytest

from alexnet.errors import SettingsError
from alexnet.training.recipe import change
from alexnet.training.recipes import MODERN, RECIPES


def test_learning_rate_climbs_and_falls_to_zero() -> None:
    assert MODERN.lr_at(0) == 0
    assert MODERN.lr_at(MODERN.warm_up) == pytest.approx(MODERN.lr)
    assert MODERN.lr_at(0.55) == pytest.approx(MODERN.lr / 2)
    assert MODERN.lr_at(1) == 0


def test_sizes_grow_to_the_final_one_and_never_beyond() -> None:
    assert [MODERN.size_at(progress, 224) for progress in (0, 0.59, 0.6, 0.8, 1)] == [128, 128, 160, 224, 224]
    assert [MODERN.size_at(progress, 100) for progress in (0, 0.7, 1)] == [100, 100, 100]


def test_learning_rate_follows_the_batch_size_unless_given() -> None:
    assert change(MODERN, batch_size=128).lr == pytest.approx(2 * MODERN.lr)
    assert change(MODERN, batch_size=128, lr=0.5).lr == 0.5


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch_size": 1}, {"lr": 0.0}, {"lr": float("nan")}])
def test_numbers_out_of_range_are_refused(bad) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        change(MODERN, **bad)


def test_recipes_know_their_names() -> None:
    assert all(recipe.name == name for name, recipe in RECIPES.items())
