import pytest

from alexnet import Settings
from alexnet.data.augmentation import Augmentation
from alexnet.errors import SettingsError
from alexnet.training.recipes import MODERN
from alexnet.training.settings import parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text, seconds) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5m", "5y", "ten", "1m30s", "nan"])
def test_what_is_no_duration(text) -> None:
    with pytest.raises(SettingsError, match="10m"):
        parse_duration(text)


def test_json_round_trip() -> None:
    settings = Settings(epochs=3, time_limit="5m", flip="off")
    assert Settings.from_json(settings.to_json()) == settings
    with pytest.raises(SettingsError, match="did you mean 'epochs'"):
        Settings.from_json({"epoch": 3})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"recipe": "modren"}, "did you mean 'modern'"),
        ({"variant": "batchnrm"}, "did you mean 'batchnorm'"),
        ({"image_size": 50}, "67"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "below 2"),
        ({"checkpoint_minutes": 0}, "checkpoint_minutes is 0"),
        ({"precision": "fp8"}, "unknown precision"),
        ({"crop": "papre"}, "unknown crop 'papre'; did you mean 'paper'"),
        ({"resize": "stretch"}, "unknown resize 'stretch'"),
        ({"trivial_augment": "yes"}, "unknown trivial_augment 'yes'"),
        ({"in_channels": 4}, "in_channels is 4"),
        ({"max_pixels": 0}, "max_pixels is 0"),
        ({"erasing": 2.0}, "erasing is 2.0"),
        ({"mixup": -1.0}, "mixup is -1.0"),
    ],
)
def test_what_cannot_work_is_refused_before_any_picture_is_read(bad, message) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(**bad)


def test_what_is_chosen_goes_into_the_recipe_and_the_rest_stays() -> None:
    chosen = Settings(
        flip="off", crop="paper", colour_shift=0.1, trivial_augment="on", erasing=0.2, mixup=0.3, cutmix=1
    )
    assert chosen.resolved_recipe().augmentation == Augmentation(
        flip=False, crop="paper", colour_shift=0.1, trivial_augment=True, erasing=0.2, mixup=0.3, cutmix=1
    )
    assert Settings().resolved_recipe() == MODERN


def test_only_the_clock_decides_where_only_a_limit_is_given() -> None:
    assert Settings().n_epochs() == 40
    assert Settings(time_limit="1m").n_epochs() == 200
    assert Settings(time_limit="1m", epochs=7).n_epochs() == 7
