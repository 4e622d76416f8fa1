import csv
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet import AlexNet, cli
from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.examples import Examples
from alexnet.images.preprocessing import MEAN, STD
from alexnet.network.value.architecture import REFERENCE_LAYERS, Architecture
from alexnet.network.value.variants import VARIANTS
from alexnet.training.choices.recipe import change
from alexnet.training.choices.recipes import MODERN
from alexnet.training.finder import LRCurve, Trial, find_lr, save_plot
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.optimizer import make_optimizer
from alexnet.training.learning.reports import StepReport
from alexnet.training.learning.state import Training
from alexnet.training.learning.step import Step
from alexnet.training.machine.runtime import detect
from alexnet.training.plan import Plan

LAYERS = tuple(replace(layer, channels=layer.channels // 8) for layer in REFERENCE_LAYERS)
NET = Architecture(layers=LAYERS, hidden=(64,), n_classes=2, image_size=67)
QUICK = ("--variant", "batchnorm", "--image-size", "67", "--batch-size", "16", "--device", "cpu")


def make_training(*, lr: float = 0.02, n_epochs: int = 1, contrast: int = 150) -> Training:
    """Bright against dark images; all alike without contrast."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 48)
    pixels = rng.integers(0, 100, (48, 32, 32, 3)) * bool(contrast) + contrast * labels[:, None, None, None]
    data = Examples(pixels.astype(np.uint8), np.arange(48), labels)
    recipe = replace(change(MODERN, batch_size=16, lr=lr), augmentation=Augmentation(area=(0.5, 1.0)))
    runtime = detect("cpu", "fp32")
    torch.manual_seed(0)
    model = AlexNet(NET)
    runtime.place(model)
    step = Step(network=model, optimizer=make_optimizer(model, recipe, runtime), runtime=runtime, recipe=recipe)
    return Training(
        model=model, step=step, plan=Plan(recipe=recipe, architecture=NET, n_examples=48, n_epochs=n_epochs),
        train=data, val=data, classes=("dark", "bright"), colours=None, mean=MEAN, std=STD, runtime=runtime, seed=0,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Two take longer over so little work where others want the second core, and round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return list(find_lr(make_training()))


@pytest.fixture(scope="module")
def curve(trials: list[Trial]) -> LRCurve:
    return LRCurve.of(trials, 2)


def curve_of(*smoothed: float) -> LRCurve:
    """Thirty trials of the first loss, and these after them."""
    losses = (smoothed[0],) * 30 + smoothed
    return LRCurve(tuple(1e-5 * 10 ** (i / 10) for i in range(len(losses))), losses, losses, math.log(2))


def test_the_suggested_rate_learns_better_than_much_lower_and_higher_ones(curve) -> None:
    assert curve.suggested is not None

    def loss_at(lr: float) -> float:
        """The last loss of the sixth epoch."""
        steps = (
            report.loss for report in fit_steps(make_training(lr=lr, n_epochs=6)) if isinstance(report, StepReport)
        )
        return list(steps)[-1]

    suggested, low, high = (loss_at(share * curve.suggested) for share in (1, 1 / 30, 30))
    assert suggested < low
    assert suggested < high


def test_rates_rise_in_equal_factors_over_further_epochs(trials) -> None:
    assert trials[0].lr == pytest.approx(1e-5)
    factors = [b.lr / a.lr for a, b in pairwise(trials)]
    assert factors == pytest.approx([10 ** (5 / 99)] * len(factors))
    assert len(trials) > 48 // 16, "an epoch has three steps"
    assert trials[0].smoothed == pytest.approx(trials[0].loss)
    (*_, last) = find_lr(make_training(), n_steps=4, lowest=1e-4, highest=1e-3)
    assert last.lr == pytest.approx(1e-3)


def test_the_same_seed_finds_the_same(trials) -> None:
    again = list(find_lr(make_training()))
    assert again == trials


def test_images_are_as_large_as_training_begins() -> None:
    training = make_training()
    training.plan.architecture = replace(NET, image_size=99)
    training.plan.recipe = replace(training.plan.recipe, sizes=((0.5, 0.81),))
    seen = set()
    training.model.register_forward_pre_hook(lambda _, inputs: seen.add(inputs[0].shape[-1]))
    assert len(list(find_lr(training, n_steps=2))) == 2
    assert seen == {67}


def test_it_ends_where_the_loss_runs_away() -> None:
    trials = list(find_lr(make_training(), n_steps=40, lowest=1e-3, highest=1e6))
    assert len(trials) < 40
    smoothed = [trial.smoothed for trial in trials]
    too_much = [loss > 4 * best for loss, best in zip(smoothed, accumulate(smoothed, min), strict=True)]
    assert too_much == [False] * (len(trials) - 1) + [True]


def test_it_ends_before_a_loss_that_is_nan() -> None:
    training = make_training()
    steps = find_lr(training)
    assert math.isfinite(next(steps).loss)
    with torch.no_grad():
        training.model.fc6.linear.weight.fill_(math.inf)
    assert list(steps) == []
    assert LRCurve.of([], 2).suggested is None


def test_where_nothing_can_be_learnt_nothing_is_suggested() -> None:
    blank = LRCurve.of(find_lr(make_training(contrast=0), n_steps=40), 2)
    assert blank.suggested is None


@pytest.mark.parametrize(
    ("curve", "at"),
    [
        (curve_of(0.7, 0.6, 0.4, 0.3, 0.2, 0.5), 32),
        (curve_of(0.7, 0.6, 0.65, 0.4, 0.68, 0.3, 0.2, 0.5), 34),
        (curve_of(0.7, 0.695, 0.69, 0.695, 0.8), None),
        (curve_of(0.9, 0.8, 0.7, 0.69, 0.8), None),
        (curve_of(0.7, 0.8, 2.0, 3.0), None),
    ],
    ids=["falls", "falls by fits and starts", "hardly falls", "falls to chance", "rises"],
)
def test_the_rule(curve, at) -> None:
    assert curve.suggested == (None if at is None else curve.lrs[at])


def test_noise_is_nothing_learnt() -> None:
    """Batches of a few images differ by more than a network learns at first."""
    rng = np.random.default_rng(0)
    mean, trials = 0.0, []
    for number in range(100):
        loss = float(rng.normal(0.69, 0.1))
        mean = 0.9 * mean + 0.1 * loss
        trials.append(Trial(1e-5 * 10 ** (number / 20), loss, mean / (1 - 0.9 ** (number + 1))))
    assert min(trial.smoothed for trial in trials[10:]) < 0.98 * 0.69
    assert LRCurve.of(trials, 2).suggested is None


def test_what_was_measured_is_written_and_drawn(curve, tmp_path) -> None:
    folder = tmp_path / "runs" / "lr"
    assert save_plot(curve, folder) == folder / "lr.png"
    assert {file.name for file in folder.iterdir()} == {"lr.csv", "lr.png"}
    with (folder / "lr.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["lr", "loss", "smoothed"]
    read = [tuple(map(float, row)) for row in rows]
    assert read == list(zip(curve.lrs, curve.losses, curve.smoothed, strict=True))
    with Image.open(folder / "lr.png") as image:
        assert image.width >= 800
        assert len(image.convert("RGB").getcolors(1 << 20)) > 3


def test_a_finding_of_nothing_is_drawn_too(tmp_path) -> None:
    for number, nothing in enumerate((LRCurve.of([], 2), curve_of(0.7, 0.8, 2.0))):
        assert save_plot(nothing, tmp_path / str(number)).is_file()


# The command


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VARIANTS, "batchnorm", replace(VARIANTS["batchnorm"], layers=LAYERS, hidden=(64,)))


def alexnet(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.mark.usefixtures("small")
def test_the_command_prints_one_line_and_trains_nothing(image_folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert alexnet("train", image_folder, "--find-lr", *QUICK) == 0
    out, err = capsys.readouterr()
    found = re.fullmatch(r"suggested learning rate: (\S+) \(for batches of 16\); try: --lr \1 --batch-size 16\n", out)
    assert found
    assert 1e-4 < float(found[1]) <= 0.1
    assert str(Path("runs", "photos-lr", "lr.png")) in err
    assert {file.name for file in (tmp_path / "runs" / "photos-lr").iterdir()} == {"lr.csv", "lr.png"}
    assert [file.name for file in (tmp_path / "runs").iterdir()] == ["photos-lr"]


@pytest.mark.usefixtures("small")
def test_where_nothing_is_learned_the_command_says_so(image_folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("alexnet.training.finder.find_lr", lambda _: iter(()))
    out = tmp_path / "out"
    assert alexnet("train", image_folder, "--find-lr", "--out", out, *QUICK) == 1
    said, err = capsys.readouterr()
    assert said == ("no learning rate suggested: the loss fell at none of them; check the images and their labels\n")
    assert str(out / "lr.png") in err


def test_what_cannot_be_measured_is_refused_in_one_line(image_folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()

    def refused(*arguments: object) -> str:
        assert alexnet("train", *arguments, "--find-lr") == 1
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("error: ")
        return line

    assert "--resume" in refused("--resume", "runs/photos")
    assert "not an empty folder" in refused(image_folder, "--out", "full")
    assert "no folder 'nowhere'" in refused("nowhere")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "without torchrun" in refused(image_folder)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "thesis.tex"]
