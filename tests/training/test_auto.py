"""Which network is trained where nobody names one. How sizes are chosen is in ``test_session.py``."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from safetensors.torch import save_file

from alexnet import AlexNet, Settings, cli, train
from alexnet.errors import ArtifactError, SettingsError
from alexnet.pretrained.loading import saved_architecture
from alexnet.training.auto import choose_by_images, choose_by_init
from alexnet.training.session import Session

from ..conftest import CLASSES, coloured_image

GREY_64 = SimpleNamespace(longest_side=64, is_grey=True)
COLOUR_65 = SimpleNamespace(longest_side=65, is_grey=False)
QUICK = Settings(epochs=1, batch_size=16, device="cpu")


def test_the_images_choose_the_variant_and_the_channels() -> None:
    settings, note = choose_by_images(Settings(), GREY_64)
    assert (settings.variant, settings.in_channels) == ("small", 1)
    assert note == "variant small: the longest side of any image is 64 px, at most 64; 1 channel: all images are grey"
    settings, note = choose_by_images(Settings(), COLOUR_65)
    assert (settings.variant, settings.in_channels) == ("batchnorm", 3)
    assert note == (
        "variant batchnorm: the longest side of any image is 65 px, more than 64; 3 channels: not all images are grey"
    )


@pytest.mark.parametrize("images", [GREY_64, COLOUR_65])
def test_what_is_given_is_not_chosen(images) -> None:
    given = Settings(variant="paper", in_channels=3)
    assert choose_by_images(given, images) == (given, "")
    settings, note = choose_by_images(Settings(variant="paper"), images)
    assert (settings.variant, settings.in_channels) == ("paper", 1 if images.is_grey else 3)
    assert "variant" not in note
    own = Settings(architecture='{"in_channels": 3, "hidden": [8]}')
    assert choose_by_images(own, images) == (own, "")


def test_only_the_images_decide_not_their_size_in_training() -> None:
    assert choose_by_images(Settings(image_size=128), GREY_64)[0].variant == "small"
    with pytest.raises(SettingsError, match="image_size is 50, but the smallest image 'batchnorm' can take is 67"):
        choose_by_images(Settings(image_size=50), COLOUR_65)


def test_a_recipe_with_a_size_of_its_own_is_for_the_reference_network() -> None:
    settings, note = choose_by_images(Settings(recipe="article"), GREY_64)
    assert settings.variant == "batchnorm"
    assert note.startswith("variant batchnorm: the recipe article has images of 227 px; ")
    assert choose_by_images(Settings(recipe="paper"), GREY_64)[0].variant == "small"


def test_digits_are_small_and_grey_and_the_run_says_so(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["train", "set:digits", "--out", "run", "--epochs", "1", "--device", "cpu"]) == 0
    err = capsys.readouterr().err
    assert "variant small: the longest side of any image is 32 px, at most 64; 1 channel: all images are grey\n" in err
    assert "small at 32 px" in err
    saved = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (saved["variant"], saved["in_channels"]) == (None, None), "with other images, they choose anew"
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    for net in (saved["resolved"]["architecture"], config["architecture"]):
        assert (net["variant"], net["in_channels"], net["image_size"]) == ("small", 1, 32)


@pytest.fixture(scope="module")
def grey_run(tmp_path_factory):
    """A run on small grey images that was stopped after its first step, and then resumed to its end."""
    root = tmp_path_factory.mktemp("grey")
    for label in CLASSES:
        (root / "images" / label).mkdir(parents=True)
        for number in range(12):
            grey = coloured_image(label, number).convert("L").convert("RGB")
            grey.save(root / "images" / label / f"{number}.png")
    session = Session.start(root / "images", root / "run", QUICK)
    next(iter(session.reports()))
    session.save()
    return train(resume=root / "run", verbose=False)


def test_a_resumed_run_keeps_what_was_chosen(grey_run) -> None:
    net = saved_architecture(grey_run.folder)
    assert net is not None
    assert (net.variant, net.in_channels) == ("small", 1)


@pytest.mark.parametrize("part", [".", "model", "model/model.safetensors", "checkpoint"])
def test_with_weights_of_a_run_the_network_is_that_of_the_run(grey_run, image_folder, tmp_path, part) -> None:
    weights = grey_run.folder / part
    if part == "checkpoint":
        weights = weights / grey_run.newest_checkpoint / "model.safetensors"
    training = Session.start(image_folder, tmp_path / "run", replace(QUICK, init=str(weights))).training
    net = training.plan.architecture
    assert (net.variant, net.in_channels) == ("small", 1), "though these images are in colour"
    assert training.note == "variant small: as in --init; 1 channel: as in --init"


def test_with_weights_of_batchnorm_small_images_do_not_choose_another(grey_run, tmp_path) -> None:
    """Such a command worked before the images chose."""
    images = grey_run.settings()["data"]
    settings = replace(QUICK, image_size=67)
    first = train(
        images, out=tmp_path / "a", settings=replace(settings, variant="batchnorm", in_channels=3), verbose=False
    )
    again = replace(settings, init=str(first.folder))
    net = Session.start(images, tmp_path / "b", again).training.plan.architecture
    assert (net.variant, net.in_channels) == ("batchnorm", 3)


def test_a_file_that_records_no_network_is_for_batchnorm_in_colour(tmp_path) -> None:
    save_file(AlexNet("small").state_dict(), tmp_path / "theirs.safetensors")
    settings, note = choose_by_init(Settings(init=str(tmp_path / "theirs.safetensors")))
    assert (settings.variant, settings.in_channels) == ("batchnorm", 3)
    assert note == "variant batchnorm: not recorded in --init; 3 channels: not recorded in --init"
    assert choose_by_init(Settings(init="torchvision"))[0].variant == "batchnorm"
    given = Settings(init="torchvision", variant="torchvision", in_channels=3)
    assert choose_by_init(given) == (given, "")
    assert choose_by_init(Settings()) == (Settings(), "")


def test_a_damaged_record_of_the_network_is_named(grey_run, tmp_path) -> None:
    run = shutil.copytree(grey_run.folder, tmp_path / "run")
    (run / "settings.json").write_text("{}")
    weights = run / "checkpoint" / grey_run.newest_checkpoint / "model.safetensors"
    with pytest.raises(ArtifactError, match=r"cannot read the architecture in '.*settings.json': resolved"):
        saved_architecture(weights)
