"""yolov5 #11034: options that are accepted and do nothing. Here each one changes something, or is refused."""

import json
import math
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from alexnet import AlexNet, Settings, load, train
from alexnet.network.value.variants import VARIANTS

NET = VARIANTS["batchnorm"]
TINY = replace(NET, layers=tuple(replace(layer, channels=16) for layer in NET.layers), hidden=(24,))
BASE = {"variant": "batchnorm", "epochs": 2, "image_size": 80, "batch_size": 16, "device": "cpu", "precision": "fp32"}

# What is learned differs: options whose every use must change the weights. That says only that they are not forgotten;
# what they do is asserted by the tests named beside them.
LEARNS_OTHERWISE = {
    "recipe": ("paper", "training/choices/test_recipe.py::test_the_papers_recipe_is_that_of_its_section_5"),
    "variant": ("small", "network/value/test_variants.py::test_small_takes_the_images_of_mnist_and_cifar"),
    "architecture": ("mine.json", "network/value/test_variants.py::test_a_file_with_a_custom_network"),
    "width": (0.5, "network/value/test_variants.py::test_width_scales_all_channels_to_steps"),
    "hidden": ((20, 10), "network/value/test_variants.py::test_changes_by_name"),
    "dropout": (
        0.1,
        "network/module/test_dropout.py::test_a_share_is_dropped_and_the_rest_scaled_so_that_the_mean_stays",
    ),
    "norm": ("group", "network/value/test_variants.py::test_norms_by_name"),
    "norm_place": ("after", "network/value/test_variants.py::test_the_place_of_norms"),
    "activation": ("tanh", "network/value/test_variants.py::test_changes_by_name"),
    "pool": ("average", "network/value/test_variants.py::test_pools_by_name"),
    "groups": (2, "network/value/test_variants.py::test_groups_split_the_papers_layers"),
    "epochs": (3, "training/test_plan.py::test_a_number_of_epochs_is_that_many_equal_parts"),
    "image_size": (96, "training/test_plan.py::test_the_last_epoch_is_at_the_size_of_use"),
    "in_channels": (1, "data/batches/test_batches.py::test_luminance_for_networks_of_one_channel"),
    "resize": ("pad", "images/test_preprocessing.py::test_pad_keeps_everything_and_fills_with_the_mean"),
    "max_pixels": (1000, "images/test_decoding.py::test_the_limit_on_pixels_can_be_changed"),
    "optimizer": ("sgd", "training/learning/test_muon.py::test_the_optimizer_sgd_is_torchs_to_the_bit"),
    "batch_size": (8, "training/choices/test_recipe.py::test_a_batch_size_that_is_given_follows_nothing"),
    "accumulate": (2, "training/learning/test_step.py::test_in_parts_a_step_learns_the_same"),
    "lr": (
        0.003,
        "training/choices/test_settings.py::test_the_learning_rate_that_is_given_is_for_the_batch_that_is_used",
    ),
    "weight_decay": (
        0.05,
        "training/learning/test_freezing.py::test_weight_decay_is_the_same_wherever_weights_come_from",
    ),
    "label_smoothing": (0.3, "training/learning/test_step.py::test_label_smoothing_spreads_a_share_over_all_classes"),
    "clip_norm": (0.01, "training/learning/test_step.py::test_a_gradient_that_is_too_long_is_shortened"),
    "ema": (0.5, "training/learning/test_average.py::test_what_was_before_is_forgotten_by_the_share_of_training_done"),
    "balance": ("sampler", "data/batches/test_batches.py::test_a_balanced_order_shows_classes_about_equally_often"),
    "init": ("weights.safetensors", "training/test_session.py::test_weights_to_begin_with_are_asked_for_once"),
    "flip": ("off", "data/batches/test_batches.py::test_half_of_the_images_are_mirrored"),
    "crop": ("whole", "data/batches/test_batches.py::test_a_whole_crop_without_a_flip_is_the_image"),
    "colour_shift": (0.1, "data/batches/test_augment.py::test_colours_shift_along_their_principal_components"),
    "trivial_augment": ("on", "data/batches/test_augment.py::test_trivial_augment_transforms_each_image_by_itself"),
    "turn": (
        "on",
        "data/batches/test_augment.py::test_images_are_rotated_by_each_quarter_turn_equally_often",
    ),
    "erasing": (1.0, "data/batches/test_augment.py::test_every_augmentation_changes_images_and_depends_on_the_seed"),
    "mixup": (0.5, "data/batches/test_augment.py::test_each_image_is_mixed_with_the_one_before_it"),
    "cutmix": (1.0, "data/batches/test_augment.py::test_each_image_is_mixed_with_the_one_before_it"),
    "seed": (1, "data/batches/test_batches.py::test_batches_depend_on_seed_epoch_and_step"),
    "split_seed": (1, "training/test_session.py::test_networks_of_other_seeds_can_share_a_split"),
    "precision": ("bf16", "training/machine/test_runtime.py::test_what_is_asked_for_is_given"),
}
# What others do is asserted by these tests.
DOES_SOMETHING_ELSE = {
    "time_limit": "training/test_session.py::test_a_time_limit_chooses_a_size_and_ends_the_run",
    "data_dir": "training/test_session.py::test_the_folder_of_named_sets_is_kept_whole",
    "patience": "training/test_session.py::test_out_of_patience_it_ends_and_keeps_the_best_epoch",
    "freeze": "training/test_session.py::test_weights_to_begin_with_are_asked_for_once",
    "init_key": "training/test_recorded.py::test_the_weights_it_began_with_are_written_down_with_their_key",
    "init_take": "training/learning/test_freezing.py::test_of_what_does_not_fit_the_settings_say_what_is_taken",
    "init_pixels": "training/learning/test_freezing.py::test_of_what_does_not_fit_the_settings_say_what_is_taken",
    "compile": "training/test_options.py::test_compiling_is_asked_of_torch",
    "device": "training/machine/test_runtime.py::test_devices_that_are_not_here_are_refused",
    "checkpoint_minutes": "training/test_options.py::test_checkpoints_are_as_frequent_as_asked_for",
    "track": "training/run/test_trackers.py::test_weights_and_biases_logs_the_run_and_each_epoch",
}
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def unequal_images(tmp_path_factory):
    """Three classes of unequal size; wide images with something at their left end, and two of a larger size."""
    root = tmp_path_factory.mktemp("unequal")
    rng = np.random.default_rng(0)
    for channel, (label, n) in enumerate({"a": 30, "b": 14, "c": 8}.items()):
        (root / label).mkdir()
        for number in range(n):
            size = (40, 60) if number == 3 else (24, 36)
            pixels = rng.integers(0, 120, (*size, 3))
            pixels[..., channel] += 60
            pixels[: size[0] // 2, : size[1] // 3] += 70
            Image.fromarray(pixels.astype(np.uint8)).save(root / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def weights_after(unequal_images, tmp_path_factory):
    """A function that trains with some settings and returns the weights."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(7)
    save_file(AlexNet(replace(TINY, n_classes=3)).state_dict(), folder / "weights.safetensors")

    def weights(**changes):
        if "init" in changes:
            changes["init"] = str(folder / changes["init"])
        if "architecture" in changes:
            (folder / changes["architecture"]).write_text(json.dumps(replace(TINY, hidden=(8,)).to_json()))
            changes["architecture"] = str(folder / changes["architecture"])
        settings = Settings(**{**BASE, **changes})
        out = folder / f"run {len(list(folder.iterdir()))}"
        return load_file(
            train(unequal_images, out=out, settings=settings, verbose=False).model_folder / "model.safetensors"
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "batchnorm", TINY)
        weights.base = weights()
        yield weights


def differ(a, b) -> bool:
    return a.keys() != b.keys() or any(not torch.equal(a[name], b[name]) for name in a)


def test_no_option_is_forgotten() -> None:
    assert {field.name for field in fields(Settings)} == LEARNS_OTHERWISE.keys() | DOES_SOMETHING_ELSE.keys()


def test_nothing_changed_changes_nothing(weights_after) -> None:
    assert not differ(weights_after(), weights_after.base)


@pytest.mark.parametrize(
    "test", sorted({*(test for _, test in LEARNS_OTHERWISE.values()), *DOES_SOMETHING_ELSE.values()})
)
def test_what_an_option_does_is_a_test_of_its_own(test) -> None:
    file, name = test.split("::")
    assert f"\ndef {name}(" in (TESTS / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LEARNS_OTHERWISE)
def test_every_option_changes_what_is_learned(name, weights_after) -> None:
    value, _ = LEARNS_OTHERWISE[name]
    assert differ(weights_after(**{name: value}), weights_after.base)


@pytest.mark.parametrize("balance", ["loss", "sampler"])
def test_both_ways_to_balance_are_ways_of_their_own(balance, weights_after) -> None:
    other = {"loss": "sampler", "sampler": "none"}[balance]
    assert differ(weights_after(balance=balance), weights_after(balance=other))


@pytest.mark.parametrize("balance", ["loss", "sampler"])
@pytest.mark.parametrize("empty", ["0", "z"])
def test_a_class_without_images_has_no_weight(balance, empty, unequal_images, tmp_path, monkeypatch) -> None:
    """The first one, or the last one, of which counts by class know nothing."""
    monkeypatch.setitem(VARIANTS, "batchnorm", TINY)
    shutil.copytree(unequal_images, tmp_path / "photos")
    (tmp_path / "photos" / empty).mkdir()
    settings = Settings(**BASE, balance=balance)
    run = train(tmp_path / "photos", out=tmp_path / "run", settings=settings, verbose=False)
    assert all(math.isfinite(line["train_loss"]) for line in run.metrics())
    assert load(run.folder).classes == tuple(sorted(["a", "b", "c", empty]))


def test_checkpoints_are_as_frequent_as_asked_for(unequal_images, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(VARIANTS, "batchnorm", TINY)
    saved = []
    monkeypatch.setattr("alexnet.training.session.save_checkpoint", lambda *arguments: saved.append(arguments))
    for minutes, n in ((1e-9, 6), (60.0, 1)):
        saved.clear()
        settings = Settings(**BASE, checkpoint_minutes=minutes)
        train(unequal_images, out=tmp_path / f"{minutes}", settings=settings, verbose=False)
        assert len(saved) >= n if minutes < 1 else len(saved) == n


def test_compiling_is_asked_of_torch(unequal_images, tmp_path, monkeypatch) -> None:
    """What compiling gives is a slow test of its own; here, that it is asked for, and only then."""
    monkeypatch.setitem(VARIANTS, "batchnorm", TINY)
    asked = []
    monkeypatch.setattr(torch, "compile", lambda network: asked.append(network) or network)
    for switch, n in (("off", 0), ("auto", int(torch.cuda.is_available())), ("on", 1)):
        asked.clear()
        train(unequal_images, out=tmp_path / switch, settings=Settings(**BASE, compile=switch), verbose=False)
        assert len(asked) == n


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(unequal_images, tmp_path, monkeypatch) -> None:
    # A compiled network draws random numbers of its own, so its dropout is another.
    monkeypatch.setitem(VARIANTS, "batchnorm", replace(TINY, dropout=0.0))
    losses = []
    for switch in ("off", "on"):
        run = train(unequal_images, out=tmp_path / switch, settings=Settings(**BASE, compile=switch), verbose=False)
        losses.append([line["train_loss"] for line in run.metrics()])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_what_follows_from_the_options_is_written_down(weights_after, unequal_images, tmp_path) -> None:
    settings = Settings(**BASE, mixup=0.3, weight_decay=0.01, ema=0.2)
    run = train(unequal_images, out=tmp_path / "run", settings=settings, verbose=False)
    recipe = json.loads((run.folder / "settings.json").read_text())["resolved"]["recipe"]
    assert (recipe["augmentation"]["mixup"], recipe["weight_decay"], recipe["ema"]) == (0.3, 0.01, 0.2)
