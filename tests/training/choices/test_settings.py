import json
from dataclasses import replace

import pytest

from alexnet import Settings
from alexnet.data.batches.augmentation import Augmentation
from alexnet.errors import SettingsError
from alexnet.training.choices.recipes import MODERN, PAPER
from alexnet.training.choices.settings import parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text, seconds) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5m", "5y", "ten", "1m30s", "nan"])
def test_what_is_no_duration(text) -> None:
    with pytest.raises(SettingsError, match="10m"):
        parse_duration(text)


def test_json_round_trip() -> None:
    settings = Settings(
        epochs=3, time_limit="5m", flip="off", init="runs/photos", freeze="conv3", track=("tensorboard", "wandb")
    )
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    with pytest.raises(SettingsError, match="did you mean 'epochs'"):
        Settings.from_json({"epoch": 3})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"recipe": "modren"}, "did you mean 'modern'"),
        ({"variant": "batchnrm"}, "did you mean 'batchnorm'"),
        ({"image_size": 50, "variant": "batchnorm"}, "67"),
        ({"image_size": 14}, "67"),
        ({"hidden": (0,)}, "hidden"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "below 2"),
        ({"checkpoint_minutes": 0}, "checkpoint_minutes is 0"),
        ({"checkpoint_minutes": float("inf")}, "checkpoint_minutes is inf; it must be a number above 0"),
        ({"checkpoint_minutes": float("nan")}, "checkpoint_minutes is nan"),
        ({"time_limit": "9" * 400 + "h"}, "time_limit is '9999"),
        ({"precision": "fp8"}, "unknown precision"),
        ({"crop": "papre"}, "unknown crop 'papre'; did you mean 'paper'"),
        ({"resize": "stretch"}, "unknown resize 'stretch'"),
        ({"trivial_augment": "yes"}, "unknown trivial_augment 'yes'"),
        ({"in_channels": 4}, "in_channels is 4"),
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"erasing": 2.0}, "erasing is 2.0"),
        ({"mixup": -1.0}, "mixup is -1.0"),
        ({"turn": "left"}, "unknown turn 'left'"),
        ({"accumulate": 0}, "accumulate is 0; it must be at least 1"),
        ({"patience": 0}, "patience is 0; it must be at least 1"),
        ({"freeze": "conv"}, "freeze is 'conv', but random layers cannot be frozen; give --init too"),
        ({"balance": "los"}, "unknown balance 'los'; did you mean 'loss'"),
        ({"optimizer": "moun"}, "unknown optimizer 'moun'; did you mean 'muon'"),
        ({"compile": "maybe"}, "unknown compile 'maybe'"),
        ({"track": ("tensorbord",)}, "unknown tracker 'tensorbord'; did you mean 'tensorboard'"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"epochs": 0}, "epochs is 0"),
    ],
)
def test_what_cannot_work_is_refused_before_any_image_is_read(bad, message) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(**bad)


def test_a_size_that_only_small_images_can_have_waits_for_the_images() -> None:
    assert Settings(image_size=32).variant is None
    assert Settings(variant="small", image_size=32).base.variant == "small"


def test_runs_of_earlier_versions_saved_batchnorm_beside_a_network_of_their_own() -> None:
    saved = {**Settings(architecture='{"hidden": [8]}').to_json(), "variant": "batchnorm"}
    assert Settings.from_json(saved).network().hidden == (8,)


def test_what_is_chosen_goes_into_the_recipe_and_the_rest_stays() -> None:
    chosen = Settings(
        flip="off", crop="paper", colour_shift=0.1, trivial_augment="on", turn="on", erasing=0.2, mixup=0.3, cutmix=1
    )
    assert chosen.resolved_recipe.augmentation == Augmentation(
        flip=False, crop="paper", colour_shift=0.1, trivial_augment=True, turn=True, erasing=0.2, mixup=0.3, cutmix=1
    )
    assert Settings().resolved_recipe == MODERN
    learning = Settings(weight_decay=0.0, label_smoothing=0.0, clip_norm=2.0, ema=0.0, epochs=7, lr=0.1, batch_size=48)
    assert learning.resolved_recipe == replace(
        MODERN, weight_decay=0.0, label_smoothing=0.0, clip_norm=2.0, ema=0.0, epochs=7, lr=0.1, batch_size=48,
        batch_follows=False,
    )  # fmt: skip


def test_the_learning_rate_that_is_given_is_for_the_batch_that_is_used() -> None:
    assert Settings(batch_size=256).resolved_recipe.lr == pytest.approx(2 * MODERN.lr)
    assert Settings(batch_size=256, optimizer="sgd").resolved_recipe.lr == pytest.approx(4 * MODERN.lr)
    assert Settings(batch_size=128, lr=0.03).resolved_recipe.lr == 0.03


def test_auto_is_the_optimizer_of_the_recipe() -> None:
    assert Settings().resolved_recipe.optimizer == "muon"
    assert Settings(recipe="paper").resolved_recipe.optimizer == "sgd"
    assert Settings(optimizer="sgd").resolved_recipe == replace(MODERN, optimizer="sgd")
    assert Settings(recipe="paper", optimizer="muon").resolved_recipe == replace(PAPER, optimizer="muon")


OWN = json.dumps({"hidden": [8], "dropout": 0.4})


@pytest.mark.parametrize(
    ("given", "dropout"),
    [({"dropout": 0.3}, 0.3), ({"dropout": 0.0}, 0.0), ({"architecture": OWN}, 0.4),
     ({"architecture": OWN, "dropout": 0.1}, 0.1)],
)  # fmt: skip
@pytest.mark.parametrize("n_passes", [1, 1000])
def test_dropout_that_is_given_stays_for_any_number_of_passes(given, dropout, n_passes) -> None:
    recipe = Settings(**given).resolved_recipe.for_passes(n_passes)
    assert recipe.dropout == dropout
    assert recipe.augmentation.area == ((0.6, 1.0) if n_passes == 1 else (0.35, 1.0)), "crops still follow them"


@pytest.mark.parametrize("name", ["colour_shift", "erasing", "mixup", "cutmix"])
def test_only_switches_are_on_or_off(name) -> None:
    with pytest.raises((SettingsError, TypeError)):
        Settings(**{name: "off"})


def test_published_recipes_can_be_changed_like_any_other() -> None:
    assert Settings(recipe="paper").resolved_recipe == PAPER
    changed = Settings(recipe="paper", batch_size=32, flip="off").resolved_recipe
    assert (changed.batch_size, changed.lr) == (32, pytest.approx(0.0025))
    assert changed.augmentation == replace(PAPER.augmentation, flip=False)
    assert Settings(recipe="article").n_epochs() == 20


def test_only_the_clock_decides_where_only_a_limit_is_given() -> None:
    assert Settings().n_epochs() == 40
    assert Settings(time_limit="1m").n_epochs() == 200
    assert Settings(time_limit="1m", epochs=7).n_epochs() == 7


def test_a_network_of_ones_own_brings_its_channels_and_is_saved_with_the_settings() -> None:
    grey = json.dumps({"in_channels": 1, "n_classes": 10, "hidden": [8]})
    settings = Settings(architecture=grey, width=0.5)
    assert settings.n_channels == 1
    assert settings.to_json()["architecture"] == json.loads(grey)
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert Settings(architecture=grey, in_channels=3).n_channels == 3
    with pytest.raises(SettingsError, match="in_channels is 4"):
        Settings(architecture='{"in_channels": 4}')
    with pytest.raises(SettingsError, match="architecture is JSON; give one of them, or use --architecture none"):
        Settings(architecture=grey, variant="paper")


@pytest.mark.parametrize("recipe", ["original", "paper", "modern"])
def test_own_networks_keep_their_random_weights(recipe) -> None:
    settings = Settings(architecture='{"initialisation": "torch"}', recipe=recipe)
    assert settings.resolved_recipe.initialisation == "torch"
    assert Settings(recipe="original").resolved_recipe.initialisation == "original"
