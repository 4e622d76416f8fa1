"""yolov5 #11034: options that are accepted and do nothing. Here each one changes something, or is refused."""

import json
import math
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from alexnet import AlexNet, Settings, load, train
from alexnet.network.value.variants import VARIANTS

NET = VARIANTS["batchnorm"]
TINY = replace(NET, layers=tuple(replace(layer, channels=16) for layer in NET.layers), hidden=(24,))
BASE = {"epochs": 2, "image_size": 80, "batch_size": 16, "device": "cpu", "precision": "fp32"}

# What is learned differs: options whose every use must change the weights.
LEARNS_OTHERWISE = {
    "recipe": "paper",
    "variant": "small",
    "architecture": "mine.json",
    "width": 0.5,
    "hidden": (20, 10),
    "dropout": 0.1,
    "norm": "group",
    "norm_place": "after",
    "activation": "tanh",
    "pool": "average",
    "groups": 2,
    "epochs": 3,
    "image_size": 96,
    "in_channels": 1,
    "resize": "pad",
    "max_pixels": 1000,
    "batch_size": 8,
    "accumulate": 2,
    "lr": 0.003,
    "weight_decay": 0.05,
    "label_smoothing": 0.3,
    "clip_norm": 0.01,
    "ema": 0.5,
    "balance": "sampler",
    "init": "weights.safetensors",
    "flip": "off",
    "crop": "whole",
    "colour_shift": 0.1,
    "trivial_augment": "on",
    "turn": "on",
    "erasing": 1.0,
    "mixup": 0.5,
    "cutmix": 1.0,
    "seed": 1,
    "precision": "bf16",
}
# What else they change is asserted by the tests named here.
DOES_SOMETHING_ELSE = {
    "time_limit": "test_session.py: test_a_time_limit_chooses_a_size_and_ends_the_run",
    "data_dir": "test_session.py: test_the_folder_of_named_sets_is_kept_whole",
    "patience": "test_session.py: test_out_of_patience_it_ends_and_keeps_the_best_epoch",
    "freeze": "test_initial.py: what is frozen stays as it was",
    "init_key": "test_recorded.py: test_the_weights_it_began_with_are_written_down_with_their_key",
    "init_take": "test_initial.py: test_of_what_does_not_fit_the_settings_say_what_is_taken",
    "init_pixels": "the same",
    "compile": "below",
    "device": "test_runtime.py: what is not here is refused",
    "checkpoint_minutes": "below",
    "track": "test_trackers.py",
}


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


@pytest.mark.parametrize("name", LEARNS_OTHERWISE)
def test_every_option_changes_what_is_learned(name, weights_after) -> None:
    assert differ(weights_after(**{name: LEARNS_OTHERWISE[name]}), weights_after.base)


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
