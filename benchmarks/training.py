"""Training throughput of ``alexnet``, against the usual way, its own step without images, and the matrix product.

    python -m benchmarks.training DATA [--size 224] [--batch 128] [--steps 8] [--rounds 3]

DATA is a folder of class folders, or of ``train``, ``val`` and ``test`` with class folders. There are five sides. Each
runs in its own process, as for a user. They take turns, and each warms up first:

- usual: the default network in fp32, contiguous; torchvision's ``ImageFolder``, ``RandomResizedCrop``, flip and
  normalisation; a ``DataLoader`` with one worker per core, but at least two; ``torch.optim.SGD``.
- ours: the loop of ``alexnet train`` with the recipe ``modern``, every step at the full size, from a prepared store.
  Validation between epochs does not count.
- in memory: the same steps, with averaging, on one normalised batch on the device.
- SGD: the same in memory, with SGD for all weights instead of Muon for the convolutions.
- matrix product: ``torch.matmul`` of large square matrices in the precision of ours.

Printed are medians over the rounds, and medians, minima and maxima of the ratios in each round: ours to usual, ours
to in memory, what a step with Muon costs of one with SGD, and the step in memory to the matrix product. For the last,
a step counts three products for each product in the forward pass (forward, and backward to weights and inputs), but
two for conv1, whose inputs are images. The time of everything else in a step (norms, pooling, the optimiser) counts,
but not its operations.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data.batches.augment import augment_batch
from alexnet.data.batches.batches import training_batches
from alexnet.data.parallel import n_cores
from alexnet.data.source import Source
from alexnet.data.sources.open import open_source
from alexnet.data.split import split
from alexnet.data.store.store import Store, prepare, store_size
from alexnet.images.preprocessing import MEAN, STD
from alexnet.network.module.model import AlexNet
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.changes import resolve
from alexnet.network.value.variants import Variant
from alexnet.training.assembly import assemble
from alexnet.training.choices.recipe import OptimizerName
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.average import STEPS_BETWEEN
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.reports import StepReport
from alexnet.training.learning.state import Training
from alexnet.training.machine.runtime import Runtime, detect

N_WARM_UP = 2
N_WORKERS = max(2, n_cores())
PRODUCT_SIDES, LONG_ENOUGH = (2048, 4096, 8192, 16384), 0.25
PAPER_IMAGES = 90 * 1_280_000


def usual_loader(data: Path, size: int, batch: int) -> Any:
    """Return a usual ``DataLoader`` of normalised training images and labels; full batches only."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    steps = [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    transform = transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])
    train = data / "train"
    folder = datasets.ImageFolder(str(train if train.is_dir() else data), transform)
    return DataLoader(
        folder,
        batch,
        shuffle=True,
        num_workers=N_WORKERS,
        drop_last=True,
        persistent_workers=True,
        pin_memory=torch.cuda.is_available(),
    )


def usual_network(
    n_classes: int, device: torch.device, variant: Variant = "batchnorm"
) -> tuple[AlexNet, torch.optim.SGD]:
    """Return a network with its own random weights, and torchvision's reference optimiser for AlexNet."""
    model = AlexNet(variant, n_classes=n_classes).to(device)
    return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)


def usual_step(model: AlexNet, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """Take a usual training step on one batch of the loader."""
    device = next(model.parameters()).device
    images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def synchronise() -> None:
    """Wait until the device has finished, before reading a clock."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def usual(data: Path, size: int, batch: int, n_steps: int) -> float:
    """Return images/s of a usual training loop."""

    def steps() -> Iterator[bool]:
        model, optimizer = usual_network(len(open_source(data).classes), detect().device)
        loader = usual_loader(data, size, batch)
        while True:
            for images, labels in loader:
                usual_step(model, optimizer, images, labels)
                yield True

    return _rate(steps(), batch, n_steps)


def ours(data: Path, size: int, batch: int, n_steps: int) -> float:
    """Return images/s of the training loop of ``alexnet train``."""
    reports = fit_steps(_training(data, size, batch, n_steps))
    return _rate((isinstance(report, StepReport) for report in reports), batch, n_steps)


def in_memory(data: Path, size: int, batch: int, n_steps: int, optimizer: OptimizerName = "muon") -> float:
    """Return images/s of the same steps, always on the same batch."""

    def steps() -> Iterator[bool]:
        training = _training(data, size, batch, n_steps, optimizer)
        images, targets = one_batch(training, size, batch)
        training.step.network.train()
        for number in range(1, N_WARM_UP + n_steps + 1):
            with training.runtime.threads():
                training.step.take(images, targets, seed=number).item()
            if training.average is not None and number % STEPS_BETWEEN == 0:
                training.average.update(training.model, number - STEPS_BETWEEN, number)
            yield True

    return _rate(steps(), batch, n_steps)


def matrix_product(data: Path, size: int, batch: int, n_steps: int) -> float:
    """Return the operations per second of multiplying square matrices."""
    return product_rate(detect())


def in_memory_sgd(data: Path, size: int, batch: int, n_steps: int) -> float:
    """Return images/s of ``in_memory`` with SGD for all weights."""
    return in_memory(data, size, batch, n_steps, "sgd")


def product_rate(runtime: Runtime, sides: Iterable[int] = PRODUCT_SIDES) -> float:
    """Return the operations per second of multiplying square matrices, the best over several sizes."""
    dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    rates = []
    for side in sides:
        a, b = (torch.randn(side, side, device=runtime.device, dtype=dtype) for _ in range(2))
        seconds = []
        for _ in range(2 + 5):
            synchronise()
            began = time.perf_counter()
            torch.matmul(a, b)
            synchronise()
            seconds.append(time.perf_counter() - began)
        best = min(seconds[2:])
        rates.append(2 * side**3 / best)
        if best > LONG_ENOUGH:
            break
    return max(rates)


Side = Callable[[Path, int, int, int], float]
SIDES: dict[str, Side] = {
    "usual": usual,
    "ours": ours,
    "in memory": in_memory,
    "SGD": in_memory_sgd,
    "matrix product": matrix_product,
}


def flops(size: int, n_classes: int) -> int:
    """Return the multiplications and additions of a training step, per image."""
    return flops_of(resolve(n_classes=n_classes, image_size=size))


def flops_of(net: Architecture) -> int:
    """Return the same for any network."""
    return 2 * (3 * net.n_mult_adds - next(net.operations()).n_mult_adds)


def _images(data: Path, size: int) -> tuple[Source, Store]:
    source = open_source(data)
    store = prepare(source, store_size(size))
    return split(source, store, seed=0), store


def _training(data: Path, size: int, batch: int, n_steps: int, optimizer: OptimizerName = "muon") -> Training:
    """Return the training of ``alexnet train``, planned for equal steps: one image size and full batches."""
    source, store = _images(data, size)
    training = assemble(source, store, Settings(image_size=size, batch_size=batch, optimizer=optimizer), detect())
    n_full = len(training.train) // batch
    training.plan = replace(
        training.plan,
        recipe=replace(training.plan.recipe, sizes=()),
        n_examples=n_full * batch,
        n_epochs=(N_WARM_UP + n_steps) // n_full + 1,
    )
    return training


def one_batch(training: Training, size: int, batch: int) -> tuple[Tensor, Tensor]:
    """Return a batch on the device, ready for the network."""
    how, runtime = training.plan.recipe.augmentation, training.runtime
    batches = training_batches(
        training.train,
        batch_size=batch,
        size=size,
        augmentation=how,
        seed=0,
        epoch=0,
        stop=1,
        on_device=runtime.crops_on_device,
    )
    n_classes, mean, std = len(training.classes), training.mean, training.std
    with runtime.autocast():
        moved = runtime.move_batch(next(batches))
        return augment_batch(
            moved,
            how,
            seed=0,
            n_classes=n_classes,
            colours=training.colours,
            mean=mean,
            std=std,
            mean_image=training.mean_image,
        )


def _rate(events: Iterable[bool], batch: int, n_steps: int) -> float:
    """Return images/s. An event is True after a step, and False after something whose time does not count."""
    seconds: list[float] = []
    began = time.perf_counter()
    for is_step in events:
        synchronise()
        now = time.perf_counter()
        if is_step:
            seconds.append(now - began)
        began = now
        if len(seconds) == N_WARM_UP + n_steps:
            break
    return batch * n_steps / sum(seconds[N_WARM_UP:])


def describe(runtime: Runtime) -> str:
    """Return versions and machine, for the head of a table of results."""
    device = torch.cuda.get_device_name(runtime.device) if runtime.device.type == "cuda" else str(runtime.device)
    capability = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, {capability}, {n_cores()} cores, {device}, {runtime.precision}"


def compare(rounds: int) -> dict[str, list[float]]:
    """Run all sides in turns, each in its own process; return their measurements."""
    figures: dict[str, list[float]] = {name: [] for name in SIDES}
    for number in range(1, rounds + 1):
        for name, list_ in figures.items():
            command = [sys.executable, "-m", "benchmarks.training", *sys.argv[1:], "--side", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            list_.append(float(json.loads(done.stdout.splitlines()[-1])))
        print(f"round {number}: {_line({name: list_[-1] for name, list_ in figures.items()})}", flush=True)
    return figures


def _line(figures: dict[str, float]) -> str:
    *rates, product = figures.items()
    return ", ".join(f"{name} {rate:.1f}" for name, rate in rates) + f"; {product[0]} {product[1] / 1e9:.0f} GFLOP/s"


def _range(values: list[float], form: str) -> str:
    return f"from {min(values):{form}} to {max(values):{form}}"


def report(figures: dict[str, list[float]], flops_per_image: int, *, is_cuda: bool) -> None:
    """Print the medians and the ratios."""
    medians = {name: statistics.median(list_) for name, list_ in figures.items()}
    usual, ours, memory, sgd, product = (figures[name] for name in SIDES)
    ratios = [a / b for a, b in zip(ours, usual, strict=True)]
    data = [a / b for a, b in zip(ours, memory, strict=True)]
    costs = [b / a for a, b in zip(memory, sgd, strict=True)]
    shares = [rate * flops_per_image / most for rate, most in zip(memory, product, strict=True)]
    print(f"median:  {_line(medians)}")
    print(f"ratio:   {statistics.median(ratios):.2f} ({_range(ratios, '.2f')})")
    print(f"data:    ours is {statistics.median(data):.1%} of the step in memory ({_range(data, '.1%')})")
    print(f"muon:    a step costs {statistics.median(costs):.2f} of one with SGD ({_range(costs, '.2f')})")
    print(
        f"step:    {medians['in memory'] * flops_per_image / 1e9:.0f} GFLOP/s, {statistics.median(shares):.1%} of the "
        f"matrix product's {medians['matrix product'] / 1e9:.0f} GFLOP/s ({_range(shares, '.1%')})"
    )
    if is_cuda:
        hours = PAPER_IMAGES / medians["ours"] / 3600
        print(f"paper:   90 epochs of 1.28 million images take {hours:.1f} hours at the rate of ours")


def main() -> None:
    """Run the comparison; or one side of it, in its own process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.side:
        print(json.dumps(SIDES[chosen.side](chosen.data, chosen.size, chosen.batch, chosen.steps)))
        return

    source, _ = _images(chosen.data, chosen.size)
    n_train = len(source.in_split("train"))
    if n_train < chosen.batch:
        parser.error(f"{chosen.data} has {n_train} training images, fewer than a batch of {chosen.batch}")
    runtime = detect()
    print(describe(runtime))
    print(f"{chosen.size} px, batch {chosen.batch}, {chosen.steps} steps a round; images a second:", flush=True)
    figures = compare(chosen.rounds)
    report(figures, flops(chosen.size, len(source.classes)), is_cuda=runtime.device.type == "cuda")


if __name__ == "__main__":
    main()
