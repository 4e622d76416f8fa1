"""Training throughput of ``alexnet`` against the usual way, in one run.

    python -m benchmarks.training DATA [--size 224] [--batch 128] [--steps 8] [--rounds 3]

The usual way: the same network in fp32, contiguous; torchvision's ``ImageFolder``, ``RandomResizedCrop``, flip,
normalisation; ``DataLoader(num_workers=2)``; ``torch.optim.SGD``. Ours: what ``alexnet train`` runs. Both include the
pictures: ours come out of the store, theirs are decoded by two workers. DATA is a folder of class folders.

Each side runs in a process of its own, as it would for a user, and they take turns; each process warms up first. The
medians over the rounds and their ratio are printed.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.data.augment import vary
from alexnet.data.batches import examples, training_batches
from alexnet.data.preprocessing import MEAN, STD
from alexnet.data.sources import open_source
from alexnet.data.split import split
from alexnet.data.store import prepare
from alexnet.network.model import AlexNet
from alexnet.training.loop import make_optimizer, take_step
from alexnet.training.recipe import MODERN
from alexnet.training.runtime import detect, keep_memory

N_WARM_UP = 2


def usual_batches(data: Path, size: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield normalised pictures and labels without end, the way tutorials do."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    steps = [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    transform = transforms.Compose([*steps, transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    train = data / "train"
    folder = datasets.ImageFolder(str(train if train.is_dir() else data), transform)
    loader = DataLoader(folder, batch, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True)
    for _ in itertools.count():
        yield from loader


def usual(data: Path, size: int, batch: int, n_steps: int) -> float:
    """Return pictures a second of a plain training loop."""
    model = AlexNet(n_classes=len(open_source(data).classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def step(pictures: Tensor, labels: Tensor) -> None:
        loss = F.cross_entropy(model(pictures), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return _timed(usual_batches(data, size, batch), step, batch, n_steps)


def ours(data: Path, size: int, batch: int, n_steps: int) -> float:
    """Return pictures a second of the same steps as ``alexnet train`` takes them."""
    source = open_source(data)
    store = prepare(source)
    source = split(source, store, seed=0)
    train = examples(store, source, "train", source.classes)
    runtime = detect()
    if runtime.device.type == "cpu":
        keep_memory()
    model = AlexNet(n_classes=len(source.classes))
    runtime.place(model)
    optimizer = make_optimizer(model, MODERN, runtime)
    n_classes, how = len(source.classes), MODERN.augmentation

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        n_full = len(train) // batch
        for epoch in itertools.count():
            yield from training_batches(
                train, batch_size=batch, size=size, augmentation=how, seed=0, epoch=epoch, stop=n_full
            )

    def step(pictures: Tensor, labels: Tensor) -> None:
        pictures, labels = runtime.move(pictures), runtime.move(labels)
        with runtime.autocast():
            pictures, targets = vary(pictures, labels, how, n_classes=n_classes, colours=None, mean=MEAN, std=STD)
        take_step(model, optimizer, runtime, pictures, targets, MODERN.label_smoothing)

    return _timed(batches(), step, batch, n_steps)


def _timed(
    batches: Iterator[tuple[Tensor, Tensor]], step: Callable[[Tensor, Tensor], None], batch: int, n_steps: int
) -> float:
    for pictures, labels in itertools.islice(batches, N_WARM_UP):
        step(pictures, labels)
    began = time.perf_counter()
    for pictures, labels in itertools.islice(batches, n_steps):
        step(pictures, labels)
    return n_steps * batch / (time.perf_counter() - began)


SIDES = {"usual": usual, "ours": ours}


def main() -> None:
    """Run the comparison, or one side of it in a process of its own."""
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

    source = open_source(chosen.data)
    n_train = len(split(source, prepare(source), seed=0).in_split("train"))
    if n_train < chosen.batch:
        parser.error(f"{chosen.data} has {n_train} training pictures, fewer than a batch of {chosen.batch}")
    print(f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores, {detect()}")
    print(f"{chosen.size} px, batch {chosen.batch}, {chosen.steps} steps a round; pictures a second:")
    figures: dict[str, list[float]] = {name: [] for name in SIDES}
    for number in range(1, chosen.rounds + 1):
        for name, list_ in figures.items():
            command = [sys.executable, "-m", "benchmarks.training", *sys.argv[1:], "--side", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            list_.append(float(json.loads(done.stdout.splitlines()[-1])))
        print(f"round {number}: usual {figures['usual'][-1]:.1f}, ours {figures['ours'][-1]:.1f}", flush=True)
    medians = {name: statistics.median(list_) for name, list_ in figures.items()}
    ratios = [ours / usual for usual, ours in zip(figures["usual"], figures["ours"], strict=True)]
    print(f"median:  usual {medians['usual']:.1f}, ours {medians['ours']:.1f}")
    print(f"ratio:   {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
