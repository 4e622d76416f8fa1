import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.errors import SettingsError
from alexnet.files.typed_json import as_kind
from alexnet.training.choices.recipe import SMALLEST_AUTO_BATCH, STEPS_PER_EPOCH, LayerRate, Recipe, change
from alexnet.training.choices.recipes import ARTICLE, MODERN, ORIGINAL, PAPER, RECIPES


def test_learning_rate_climbs_and_falls_to_zero() -> None:
    assert MODERN.lr_at(0) == 0
    assert MODERN.lr_at(MODERN.warm_up) == pytest.approx(MODERN.lr)
    assert MODERN.lr_at(0.55) == pytest.approx(MODERN.lr / 2)
    assert MODERN.lr_at(1) == 0


def test_sizes_grow_to_the_final_one_and_never_beyond() -> None:
    assert [MODERN.size_at(progress, 224) for progress in (0, 0.59, 0.6, 0.8, 1)] == [128, 128, 160, 224, 224]
    assert [MODERN.size_at(progress, 128) for progress in (0, 0.6, 0.8)] == [72, 92, 128]
    assert [MODERN.size_at(progress, 32) for progress in (0, 0.6, 0.8)] == [20, 24, 32]
    assert [PAPER.size_at(progress, 227) for progress in (0, 1)] == [227, 227]


def test_learning_rate_follows_the_batch_size_unless_given() -> None:
    assert change(PAPER, batch_size=256).lr == pytest.approx(2 * PAPER.lr)
    assert change(MODERN, batch_size=256).lr == pytest.approx(2 * MODERN.lr), "Muon's, with the square root"
    for recipe in (PAPER, MODERN):
        assert change(recipe, batch_size=128, lr=0.5).lr == 0.5


def test_the_optimizer_that_is_given_decides_how_the_learning_rate_follows_the_batch_size() -> None:
    assert MODERN.optimizer == "muon"
    assert change(MODERN, optimizer="sgd", batch_size=256).lr == pytest.approx(4 * MODERN.lr)
    assert change(PAPER, optimizer="muon", batch_size=512).lr == pytest.approx(2 * PAPER.lr)
    assert change(MODERN, optimizer="sgd") == replace(MODERN, optimizer="sgd")


def test_a_schedule_of_steps_divides_by_ten_at_each_milestone() -> None:
    shares = (0, 0.24, 0.25, 0.49, 0.5, 0.74, 0.75, 1)
    rates = [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001, 0.00001, 0.00001]
    assert [PAPER.lr_at(share) for share in shares] == pytest.approx(rates)
    late = replace(PAPER, milestones=(0.9,))
    assert [late.lr_at(share) for share in (0, 0.89, 0.9, 1)] == pytest.approx([0.01, 0.01, 0.001, 0.001])
    assert replace(PAPER, milestones=()).lr_at(1) == 0.01


def test_a_constant_schedule_never_changes() -> None:
    assert {ARTICLE.lr_at(share / 10) for share in range(11)} == {0.005}


def test_without_a_warm_up_a_linear_schedule_begins_at_its_peak() -> None:
    falling = replace(MODERN, warm_up=0.0)
    assert [falling.lr_at(share) for share in (0, 0.5, 1)] == pytest.approx([0.02, 0.01, 0])


@pytest.mark.parametrize("recipe", [*RECIPES.values(), replace(MODERN, warm_up=0.0)], ids=lambda recipe: recipe.name)
@settings(max_examples=50, deadline=None)
@given(progress=st.floats(0, 1))
def test_no_learning_rate_is_above_the_peak_or_below_zero(recipe, progress) -> None:
    assert 0 <= recipe.lr_at(progress) <= recipe.lr * (1 + 1e-9)


def test_few_passes_have_less_dropout_and_larger_crops() -> None:
    few, many = MODERN.for_passes(19.9), MODERN.for_passes(20)
    assert (few.dropout, few.augmentation.area) == (0.0, (0.6, 1.0))
    assert (many.dropout, many.augmentation.area) == (0.2, (0.35, 1.0))
    assert replace(few, dropout=0.2, augmentation=many.augmentation) == many, "nothing else differs"
    assert few.for_passes(100) == few, "chosen once: a resumed run keeps it"
    assert many.for_passes(1) == many


@pytest.mark.parametrize("recipe", [PAPER, ARTICLE, ORIGINAL], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("n", [0.1, 1000])
def test_published_recipes_are_the_same_for_any_number_of_passes(recipe, n) -> None:
    assert recipe.for_passes(n) == recipe


@pytest.mark.parametrize(
    ("n_examples", "batch_size"), [(2, 16), (100, 16), (300, 16), (512, 32), (1023, 32), (1024, 64), (10**6, 64)]
)
def test_the_batch_follows_the_data_so_that_an_epoch_has_steps_enough(n_examples, batch_size) -> None:
    found = MODERN.for_data(n_examples, largest=64)
    assert found.batch_size == batch_size
    assert found.lr == pytest.approx(MODERN.lr * (batch_size / 64) ** 0.5)
    sgd = change(MODERN, optimizer="sgd").for_data(n_examples, largest=64)
    assert (sgd.batch_size, sgd.lr) == (batch_size, pytest.approx(MODERN.lr * batch_size / 64))
    assert found.lr_at(0.55) == pytest.approx(found.lr / 2), "the schedule goes with it"


def test_the_batch_follows_the_device_too() -> None:
    assert MODERN.for_data(10**6, largest=256).batch_size == 256
    assert MODERN.for_data(10**6, largest=256).lr == pytest.approx(2 * MODERN.lr)


@settings(max_examples=100, deadline=None)
@given(n_examples=st.integers(2, 10**6), n_devices=st.integers(1, 12))
def test_no_batch_is_smaller_than_batch_norm_can_use_or_larger_than_the_devices(n_examples, n_devices) -> None:
    largest = 256 * n_devices
    found = MODERN.for_data(n_examples, largest).batch_size
    assert SMALLEST_AUTO_BATCH <= found <= largest
    assert found == SMALLEST_AUTO_BATCH or n_examples >= STEPS_PER_EPOCH * found


def test_a_batch_size_that_is_given_follows_nothing() -> None:
    chosen = change(MODERN, batch_size=48)
    assert chosen.for_data(50, largest=256) == chosen
    assert (chosen.batch_size, chosen.lr) == (48, pytest.approx(0.02 * 0.75**0.5))


@pytest.mark.parametrize("recipe", [PAPER, ARTICLE, ORIGINAL], ids=lambda recipe: recipe.name)
def test_published_recipes_keep_their_batch_whatever_the_data(recipe) -> None:
    assert recipe.for_data(100, largest=256) == recipe


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"batch_size": 0},
        {"batch_size": -8},
        {"lr": 0.0},
        {"lr": -0.1},
        {"lr": float("nan")},
        {"lr": float("inf")},
        {"weight_decay": -1.0},
        {"weight_decay": float("nan")},
        {"bias_lr": 0.0},
        {"bias_lr": float("inf")},
        {"colour_shift_until": 1.1},
        {"colour_shift_until": -0.1},
        {"clip_norm": -1.0},
        {"clip_norm": float("inf")},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"label_smoothing": 1.0},
        {"label_smoothing": -0.1},
        {"ema": 1.0},
        {"ema": float("nan")},
        {"warm_up": 1.0},
        {"warm_up": -0.1},
        {"milestones": (0.5, 0.25)},
        {"milestones": (0.5, 0.5)},
        {"milestones": (0.0,)},
        {"milestones": (0.5, 1.0)},
        {"sizes": ((0.8, 0.5), (0.6, 0.7))},
        {"sizes": ((1.5, 0.5),)},
        {"sizes": ((0.5, 1.5),)},
        {"sizes": ((0.5, 0.0),)},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(bad) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        change(MODERN, **bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"schedule": "step"}, "unknown schedule 'step'; did you mean 'steps'"),
        ({"schedule": "cosine"}, "unknown schedule 'cosine'"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'"),
        ({"initialisation": "papre"}, "unknown initialisation 'papre'; did you mean 'paper'"),
    ],
)
def test_unknown_words_are_refused_with_the_nearest(bad, message) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(MODERN, **bad)


def test_what_is_not_given_stays() -> None:
    nothing = dict.fromkeys(("epochs", "weight_decay", "label_smoothing", "clip_norm", "ema"))
    assert change(MODERN, batch_size=None, lr=None, augmentation={"flip": None}, **nothing) == MODERN
    chosen = change(MODERN, label_smoothing=0.0, ema=0.0, augmentation={"flip": False})
    assert (chosen.label_smoothing, chosen.ema, chosen.augmentation.flip) == (0, 0, False)


def test_the_papers_recipe_is_that_of_its_section_5() -> None:
    assert (PAPER.batch_size, PAPER.momentum, PAPER.weight_decay, PAPER.lr, PAPER.epochs) == (
        128,
        0.9,
        0.0005,
        0.01,
        90,
    )
    assert (PAPER.optimizer, PAPER.few_passes) == ("sgd", None)
    assert PAPER.lr_at(0) / PAPER.lr_at(1) == pytest.approx(1000), "divided by ten, three times"
    assert not PAPER.nesterov
    assert PAPER.decay_all
    assert PAPER.initialisation == "paper"
    assert (PAPER.label_smoothing, PAPER.ema, PAPER.clip_norm, PAPER.sizes) == (0, 0, 0, ())
    # Section 4.1.
    how = PAPER.augmentation
    assert (how.crop, how.flip, how.colour_shift) == ("paper", True, 0.1)
    assert not any((how.turn, how.trivial_augment, how.erasing, how.mixup, how.cutmix))


def test_the_articles_recipe_is_the_articles() -> None:
    """CIFAR-10 at 227 pixels, no augmentation, as the reference document's article has it."""
    assert ARTICLE.image_size == 227
    assert (ARTICLE.batch_size, ARTICLE.lr, ARTICLE.momentum) == (64, 0.005, 0.9)
    assert (ARTICLE.weight_decay, ARTICLE.epochs, ARTICLE.schedule) == (0.005, 20, "constant")
    assert ARTICLE.decay_all, "torch's own optimiser, as the article uses it, spares nothing"
    assert (ARTICLE.optimizer, ARTICLE.few_passes) == ("sgd", None)
    assert not ARTICLE.nesterov
    assert ARTICLE.initialisation == "torch"
    assert (ARTICLE.label_smoothing, ARTICLE.ema, ARTICLE.clip_norm, ARTICLE.sizes) == (0, 0, 0, ())
    how = ARTICLE.augmentation
    assert how.crop == "whole"
    augmentations = (how.flip, how.turn, how.colour_shift, how.trivial_augment, how.erasing, how.mixup, how.cutmix)
    assert not any(augmentations)


def test_the_originals_recipe_is_that_of_the_program() -> None:
    """layer-params-145.cfg and convdata_jpeg.py of 2012; where epochs count, they are of 91."""
    assert (ORIGINAL.batch_size, ORIGINAL.momentum, ORIGINAL.weight_decay, ORIGINAL.epochs) == (128, 0.9, 0.0005, 91)
    assert ORIGINAL.lr_inside_momentum
    assert not ORIGINAL.nesterov
    assert not ORIGINAL.decay_all
    assert ORIGINAL.initialisation == "original"
    assert ORIGINAL.mean_image
    assert (ORIGINAL.label_smoothing, ORIGINAL.ema, ORIGINAL.clip_norm, ORIGINAL.sizes) == (0, 0, 0, ())
    how = ORIGINAL.augmentation
    assert (how.crop, how.flip, how.n_alike, how.colour_shift, how.colour_rule) == ("paper", True, 32, 0.1, "program")
    assert not any((how.turn, how.trivial_augment, how.erasing, how.mixup, how.cutmix))
    shifts = [ORIGINAL.augmentation_at(epoch / 91).colour_shift for epoch in (0, 66, 67, 90)]
    assert shifts == [0.1, 0.1, 0, 0]
    assert ORIGINAL.augmentation_at(0.9).n_alike == 32


@pytest.mark.parametrize(
    ("epoch", "conv1", "others", "conv1_bias"),
    [
        (0, 0.01, 0.01, 0.02),
        (24, 0.01, 0.01, 0.02),
        (25, 0.001, 0.001, 0.02),
        (51, 0.0001, 0.0001, 0.02),
        (67, 0.00001, 0.0001, 0.02),
        (71, 0.00001, 0.0001, 0.02),
        (72, 0, 0.0001, 0),
        (79, 0, 0.00001, 0),
        (90, 0, 0.00001, 0),
    ],
)
def test_the_originals_rates_by_epoch(epoch, conv1, others, conv1_bias) -> None:
    progress = (epoch + 0.5) / 91
    assert ORIGINAL.lr_of("conv1", "weights", progress) == pytest.approx(conv1)
    assert ORIGINAL.lr_of("conv1", "biases", progress) == pytest.approx(conv1_bias)
    for layer in ("conv2", "fc8", ""):
        assert ORIGINAL.lr_of(layer, "weights", progress) == pytest.approx(others)
        assert ORIGINAL.lr_of(layer, "biases", progress) == 0.02


def test_the_rate_of_biases_keeps_its_ratio() -> None:
    larger = change(ORIGINAL, batch_size=256)
    assert (larger.lr, larger.bias_lr) == (pytest.approx(0.02), pytest.approx(0.04))
    given = change(ORIGINAL, batch_size=256, lr=0.001)
    assert (given.lr, given.bias_lr) == (0.001, pytest.approx(0.002))
    constant = ORIGINAL.constant(0.5)
    assert {constant.lr_of("", "weights", progress) for progress in (0, 0.5, 1)} == {0.5}
    assert constant.lr_of("", "biases", 0) == pytest.approx(1.0)
    assert MODERN.constant(0.5).lr_of("", "weights", 0) == 0.5, "without its warm-up"


@pytest.mark.parametrize("recipe", [MODERN, PAPER, ARTICLE], ids=lambda recipe: recipe.name)
def test_other_recipes_have_one_rate_for_all_layers_and_one_augmentation(recipe) -> None:
    for progress in (0, 0.3, 0.7, 0.9, 1):
        for of in ("weights", "biases"):
            assert recipe.lr_of("conv1", of, progress) == recipe.lr_at(progress)
        assert recipe.augmentation_at(progress) == recipe.augmentation


def test_a_recipe_is_read_again_from_json() -> None:
    for recipe in RECIPES.values():
        assert as_kind(Recipe, json.loads(json.dumps(asdict(recipe))), "recipe") == recipe


@pytest.mark.parametrize("bad", [{"since": 1.0}, {"since": -0.1}, {"share": -1.0}, {"share": float("nan")}])
def test_a_layers_rate_out_of_range_is_refused(bad) -> None:
    with pytest.raises(SettingsError, match=f"{next(iter(bad))} .* for conv1"):
        LayerRate(**{"layer": "conv1", "of": "weights", "since": 0.5, "share": 0.1, **bad})


def test_recipes_know_their_names() -> None:
    assert all(recipe.name == name for name, recipe in RECIPES.items())
