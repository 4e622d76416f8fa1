"""What only a GPU can show: these tests are marked ``gpu``, and ``python -m benchmarks.gpu`` runs them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alexnet import Settings, evaluate, load, train
from alexnet.data.batches.augment import augment_batch
from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import training_batches
from alexnet.data.batches.crops import crop_on_device
from alexnet.data.batches.examples import Examples
from alexnet.images.preprocessing import MEAN, STD
from alexnet.inference.engines import torch_engine
from alexnet.inference.engines.torch_engine import TorchEngine
from alexnet.training.learning.reports import EpochReport
from alexnet.training.machine.runtime import detect
from alexnet.training.session import Session

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")]
NARROW = {"image_size": 67, "batch_size": 16, "width": 0.125, "hidden": (64, 64)}
HOW = {"batch_size": 16, "size": 48, "seed": 1, "epoch": 0, "on_device": True}


@pytest.fixture(scope="module")
def noise() -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    return Examples(pixels, np.arange(40), np.arange(40) % 3)


@pytest.fixture(scope="module")
def gpu_run(image_folder, tmp_path_factory):
    return train(
        image_folder, out=tmp_path_factory.mktemp("gpu") / "run", settings=Settings(epochs=20, **NARROW), verbose=False
    )


def test_the_gpu_is_chosen() -> None:
    runtime = detect()
    assert runtime.device.type == "cuda"
    assert runtime.precision == ("bf16" if torch.cuda.get_device_capability()[0] >= 8 else "fp32")
    assert runtime.has_room_for(1)
    assert not runtime.has_room_for(2**50)


def test_images_streamed_to_the_gpu_are_those_that_are_kept_on_it(noise) -> None:
    runtime = detect()
    streamed = training_batches(noise, augmentation=Augmentation(), **HOW)
    kept = training_batches(noise.on(runtime.device), augmentation=Augmentation(), **HOW)
    for a, b in zip(map(runtime.move_batch, streamed), kept, strict=True):
        assert b.images.is_cuda
        assert torch.equal(a.images, b.images)
        cropped = crop_on_device(a.images, a.windows, a.size)
        on_cpu = crop_on_device(a.images.cpu(), a.windows, a.size)
        assert (cropped.cpu().int() - on_cpu.int()).abs().max() <= 1, "float16 and float32 round differently"


def test_every_augmentation_runs_on_the_gpu(noise) -> None:
    runtime, colours = detect(), noise.colours()
    for name, value in (
        ("turn", True),
        ("colour_shift", 0.1),
        ("trivial_augment", True),
        ("erasing", 1.0),
        ("mixup", 0.2),
        ("cutmix", 1.0),
    ):
        how = replace(Augmentation(), **{name: value})
        batch = runtime.move_batch(next(training_batches(noise, augmentation=how, **HOW)))
        with runtime.autocast():
            images, targets = augment_batch(batch, how, seed=0, n_classes=3, colours=colours, mean=MEAN, std=STD)
        assert (images.device, len(images), len(targets)) == (runtime.device, 16, 16)
        assert torch.isfinite(images).all(), name


def test_a_run_learns_and_predicts_the_same_on_a_cpu(gpu_run, image_folder, monkeypatch) -> None:
    assert gpu_run.settings()["resolved"]["device"].startswith("cuda")
    assert evaluate(gpu_run.folder, image_folder, split="val").scores.top1 > 0.9
    assert gpu_run.metrics()[-1]["val_top1"] > 0.9
    artifact = load(gpu_run.folder).artifact
    images = np.random.default_rng(0).integers(0, 256, (8, 67, 67, 3), dtype=np.uint8)
    on_gpu = TorchEngine(artifact).logits(images)
    monkeypatch.setattr(torch_engine.torch.cuda, "is_available", lambda: False)
    on_cpu = TorchEngine(artifact).logits(images)
    assert np.abs(on_gpu - on_cpu).max() < 0.01 * np.abs(on_cpu).max()


@pytest.mark.parametrize("changes", [{"accumulate": 2}, {"variant": "paper", "recipe": "paper"}])
def test_a_stopped_run_is_resumed(image_folder, tmp_path, changes) -> None:
    session = Session.start(image_folder, tmp_path / "run", Settings(epochs=2, **NARROW, **changes))
    for report in session.reports():
        if isinstance(report, EpochReport):
            session.training.stop.signal = 15
    assert not session.run.is_finished
    resumed = Session.resume(tmp_path / "run")
    for tensor in (*resumed.training.model.state_dict().values(), *momenta(resumed)):
        assert tensor.is_cuda
    epochs = [report for report in resumed.reports() if isinstance(report, EpochReport)]
    assert epochs[-1].epoch == 2
    assert resumed.run.is_finished


def momenta(session) -> list[torch.Tensor]:
    states = session.training.step.optimizer.state.values()
    return [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
