"""Images/s of training and of inference, as shares of the matrix product."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from alexnet.data.batches.examples import Examples
from alexnet.data.sources.open import open_source
from alexnet.images.decoding import Pixels
from alexnet.images.preprocessing import MEAN, STD, Preprocessing
from alexnet.images.tensors import normalise, to_tensor
from alexnet.inference.engines.torch_engine import TorchEngine
from alexnet.model.artifact import Artifact, save_artifact
from alexnet.network.module.model import AlexNet
from alexnet.network.value.variants import Variant
from alexnet.training.assembly import prepare_training
from alexnet.training.choices.recipe import RecipeName
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.reports import StepReport
from alexnet.training.learning.state import Training
from alexnet.training.machine.runtime import Runtime, detect
from benchmarks.gpu.bench import Bench, Result, free_memory, note, rate
from benchmarks.training import (
    PAPER_IMAGES,
    flops_of,
    one_batch,
    product_rate,
    usual_loader,
    usual_network,
    usual_step,
)

SIZE, N_CLASSES = 224, 1000
# Plenty, so that a training does not end while it is measured.
MANY_EPOCHS = 1_000_000
SIDES: tuple[tuple[Variant, RecipeName], ...] = (("batchnorm", "modern"), ("paper", "paper"))
Mode = Literal["on the device", "streamed", "step alone", "usual"]
MODES: tuple[Mode, ...] = ("on the device", "streamed", "step alone", "usual")


def throughput(bench: Bench) -> Iterator[Result]:
    """Measure images/s of training for both variants.

    ``on the device``: the loop of ``alexnet train`` with the images on the device. ``streamed``: with the images in the
    store, each batch copied to the device. ``step alone``: its step, always on one normalised batch. ``usual``:
    torchvision's reference loop in float32. Each image is repeated, so that the end of an epoch hardly counts.
    """
    runtime, data, scale = detect(), bench.trashnet(may_be_made=True), bench.scale
    size = scale.image_size or SIZE
    most = product_rate(runtime, scale.product_sides)
    result: Result = {
        "image_size": size,
        "precision": runtime.precision,
        "matrix_product_tflops": round(most / 1e12, 1),
        "rates": [],
        "skipped": [],
    }
    for batch, (mode, (variant, recipe)) in product(scale.batch_sizes, product(MODES, SIDES)):
        if batch != scale.batch_sizes[0] and mode in ("streamed", "usual"):
            continue
        measured: Result = {"variant": variant, "mode": mode, "batch_size": batch}
        if bench.left < 2 * scale.seconds:
            result["skipped"].append(measured)
            continue
        found, flops = _train_rate(bench, data, variant, recipe, mode, batch)
        measured["images_per_second"] = round(found, 1)
        measured["share_of_product"] = round(found * flops / most, 4)
        measured["hours_of_the_paper"] = round(PAPER_IMAGES / found / 3600, 3)
        note(f"training {measured}")
        result["rates"].append(measured)
        free_memory()
        yield result
    yield result


def _train_rate(
    bench: Bench, data: Path, variant: Variant, recipe: RecipeName, mode: Mode, batch: int
) -> tuple[float, int]:
    """Return images/s, and the operations of a step per image."""
    size = bench.scale.image_size or SIZE
    if mode == "usual":
        model, optimizer = usual_network(len(open_source(data).classes), detect().device, variant)
        architecture = replace(model.architecture, image_size=size)
        events = _usual_steps(bench, data, model, optimizer, batch)
    else:
        training = _training(bench, data, variant, recipe, batch, on_device=mode == "on the device")
        architecture = training.plan.architecture
        reports = fit_steps(training)
        steps = (isinstance(report, StepReport) for report in reports)
        events = _same_steps(training, size, batch) if mode == "step alone" else steps
    with closing(events):
        found = rate(events, batch, bench.scale.seconds, bench.scale.n_warm_up)
    return found, flops_of(architecture)


def _training(
    bench: Bench, data: Path, variant: Variant, recipe: RecipeName, batch: int, *, on_device: bool
) -> Training:
    """Return a training of ``alexnet train`` in equal steps: one image size, full batches, many images."""
    size = bench.scale.image_size or SIZE
    settings = bench.scale.settings(variant=variant, recipe=recipe, image_size=size, batch_size=batch, epochs=1)
    _, _, training = prepare_training(data, settings, began=0.0)
    training.train = repeated(training.train, training.runtime, bench.scale.n_stored, on_device=on_device)
    plan = training.plan
    n_full = len(training.train) // batch * batch
    equal = replace(plan.recipe, sizes=())
    training.plan = replace(plan, recipe=equal, n_examples=n_full, n_epochs=MANY_EPOCHS)
    return training


def repeated(train: Examples, runtime: Runtime, n: int, *, on_device: bool) -> Examples:
    """Return at least ``n`` examples: each image several times, so that the end of an epoch hardly counts."""
    times = -(-n // len(train))
    rows, labels = np.tile(train.rows, times), np.tile(train.labels, times)
    resident = None
    if on_device:
        once = train.resident if train.resident is not None else train.on(runtime.device).resident
        assert once is not None
        # Laid out as before: with the channels last.
        resident = once.permute(0, 2, 3, 1).repeat(times, 1, 1, 1).permute(0, 3, 1, 2)
    return replace(train, rows=rows, labels=labels, names=train.names * times, resident=resident)


def _same_steps(training: Training, size: int, batch: int) -> Generator[bool]:
    images, targets = one_batch(training, size, batch)
    training.step.network.train()
    while True:
        training.step.take(images, targets, seed=0).item()
        yield True


def _usual_steps(
    bench: Bench, data: Path, model: AlexNet, optimizer: torch.optim.Optimizer, batch: int
) -> Generator[bool]:
    loader = usual_loader(data, bench.scale.image_size or SIZE, batch)
    # Repeated like ours; the loader asks for the number of samples when it is iterated.
    loader.dataset.samples = loader.dataset.samples * -(-bench.scale.n_stored // len(loader.dataset))
    while True:
        for images, labels in loader:
            usual_step(model, optimizer, images, labels)
            yield True


def inference(bench: Bench) -> Iterator[Result]:
    """Measure images/s of inference: of the engine that ``predict`` and ``evaluate`` use, and of the bare network.

    The engine takes uint8 images of the host and returns logits there, in float32. The network takes normalised
    images on the device and leaves the logits there, in float32 and in bfloat16.
    """
    size, batch = bench.scale.image_size or SIZE, bench.scale.batch_sizes[0]
    device = detect().device
    result: Result = {"image_size": size, "batch_size": batch, "rates": []}
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    for variant, _ in SIDES:
        settings = bench.scale.settings(variant=variant)
        network = settings.network(n_classes=N_CLASSES, image_size=size)
        torch.manual_seed(0)
        model = AlexNet(network).eval()
        with tempfile.TemporaryDirectory(dir=bench.work) as folder:
            how = Preprocessing(store_size=256, mean=MEAN, std=STD, resize="squash")
            classes = tuple(map(str, range(N_CLASSES)))
            artifact = Artifact(
                folder=Path(folder, "model"), architecture=network, classes=classes, preprocessing=how, provenance={}
            )
            save_artifact(artifact, model.state_dict(), "")
            engine = TorchEngine(artifact)
        images = normalise(to_tensor(pixels).to(device), MEAN, STD)
        sides = {
            "engine, fp32": _engine_batches(engine, pixels),
            "network, fp32": _network_batches(model.to(device), images, torch.float32),
            "network, bf16": _network_batches(model.to(device), images, torch.bfloat16),
        }
        for side, events in sides.items():
            if bench.left < bench.scale.seconds:
                continue
            found = rate(events, batch, bench.scale.seconds, bench.scale.n_warm_up)
            result["rates"].append({"variant": variant, "side": side, "images_per_second": round(found, 1)})
            note(f"inference {result['rates'][-1]}")
            yield result
        free_memory()
    yield result


def _engine_batches(engine: TorchEngine, pixels: Pixels) -> Iterator[bool]:
    while True:
        engine.logits(pixels)
        yield True


def _network_batches(model: AlexNet, images: Tensor, dtype: torch.dtype) -> Iterator[bool]:
    model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    kind, is_bf16 = images.device.type, dtype == torch.bfloat16
    while True:
        # Entered anew each time: a generator that waits would leave them on for others.
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=is_bf16):
            model(images)
        yield True
