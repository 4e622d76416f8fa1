"""Seconds until a network recognises a share of images that it has never seen: ``alexnet train`` and the usual way.

    python -m benchmarks.time_to_accuracy DATA [--target 0.75] [--seeds 0 1 2] [--epochs 40] [--limit-minutes 120]

DATA is a folder with ``train``, ``val`` and ``test``. Both sides train the default network from nothing, on the same
machine, each in a process of its own, in turns, a seed after the other:

- ours: the recipe ``modern`` as ``alexnet train`` runs it, for ``--epochs``, in a new folder and with an empty
  cache: preparing all images, validating, averaging and saving are on its clock. Scored is the averaged network.
- usual: torchvision's reference recipe for AlexNet: SGD with lr 0.01, momentum 0.9 and weight decay 1e-4, batches of
  128, fp32, ``RandomResizedCrop``, flip, normalisation, a ``DataLoader`` with a worker a core, two at least. The
  learning rate falls along a cosine over as many epochs. It neither validates nor saves.

After every epoch the network is judged on ``test`` in float32, by one function for both, while the clocks stand still.
The images are whole, resized to a square; usual is also judged in torchvision's way, on the centre of images
resized to 8/7 of that, and the better of its two scores counts. A side that does not arrive within its epochs and
``--limit-minutes`` (when those are over it is judged a last time) is reported as ``> N s``: a bound, as is the ratio.

The recipe of ours was chosen on ``val``. Here ``test`` is read for one thing only: to find the moment.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.data.sources.open import open_source
from alexnet.images.tensors import normalise
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.reports import EpochReport, StepReport
from alexnet.training.machine.runtime import detect
from alexnet.training.session import Session
from benchmarks.training import describe, synchronise, usual_loader, usual_network, usual_step

USUAL_BATCH, JUDGING_BATCH = 128, 64
SIDES = ("usual", "ours")


@dataclass
class Clock:
    """Seconds that a side has trained; stands still while it is judged."""

    began: float = field(default_factory=time.perf_counter)
    stood: float = 0.0

    @property
    def seconds(self) -> float:
        """What it shows."""
        return time.perf_counter() - self.began - self.stood

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it stand still."""
        since = time.perf_counter()
        yield
        self.stood += time.perf_counter() - since


@dataclass(frozen=True)
class Standing:
    """A network after a step, or after an epoch."""

    network: nn.Module
    epoch: int
    is_epoch: bool


@dataclass(frozen=True)
class Run:
    """How one side did with one seed.

    Attributes:
        seconds: until it arrived; where it did not, until it was given up.
        arrived: whether it reached the target.
        curve: (seconds, share of ``test`` recognised) after each epoch.
    """

    seconds: float
    arrived: bool
    curve: list[tuple[float, float]]

    def __str__(self) -> str:
        best = max((top1 for _, top1 in self.curve), default=0.0)
        if self.arrived:
            return f"{self.seconds:.0f} s, epoch {len(self.curve)} ({best:.3f})"
        return f"> {self.seconds:.0f} s (best {best:.3f})"


def usual(data: Path, size: int, seed: int, n_epochs: int) -> Generator[Standing]:
    """Train in torchvision's way."""
    torch.manual_seed(seed)
    loader = usual_loader(data, size, USUAL_BATCH)
    model, optimizer = usual_network(len(loader.dataset.classes), detect().device)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs * len(loader))
    for epoch in range(1, n_epochs + 1):
        model.train()
        for images, labels in loader:
            usual_step(model, optimizer, images, labels)
            schedule.step()
            yield Standing(model, epoch, is_epoch=False)
        yield Standing(model, epoch, is_epoch=True)


def ours(data: Path, size: int, seed: int, n_epochs: int) -> Generator[Standing]:
    """Train like ``alexnet train``, in a folder and with a cache that are thrown away."""
    with tempfile.TemporaryDirectory(prefix="alexnet-benchmark-") as folder:
        os.environ["ALEXNET_CACHE"] = str(Path(folder, "cache"))
        settings = Settings(image_size=size, epochs=n_epochs, seed=seed)
        session = Session.start(data, Path(folder, "run"), settings)
        with closing(session.reports()) as reports:  # type: ignore[type-var]
            for report in reports:
                if isinstance(report, StepReport | EpochReport):
                    yield Standing(session.training.eval_model, report.epoch, isinstance(report, EpochReport))


@dataclass(frozen=True)
class Test:
    """The images to judge by, made ready in one or more ways: ``(N, 3, size, size)`` uint8 each."""

    ways: list[Tensor]
    labels: Tensor

    @classmethod
    def of(cls, data: Path, size: int, side: str) -> "Test":
        """Read the test images as a side is judged on them."""
        from torchvision import datasets, transforms

        resized = [[transforms.Resize((size, size))]]
        if side == "usual":
            resized.append([transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)])
        ways = [transforms.Compose([*steps, transforms.PILToTensor()]) for steps in resized]
        folder, classes = datasets.ImageFolder(str(data / "test")), open_source(data).classes
        made = [([way(image) for way in ways], classes.index(folder.classes[number])) for image, number in folder]
        images = [torch.stack(each) for each in zip(*(images for images, _ in made), strict=True)]
        return cls(images, torch.tensor([label for _, label in made]))

    def top1(self, network: nn.Module) -> float:
        """Return the share that is recognised, in [0, 1]; of the way in which that are most."""
        network.eval()
        device = next(network.parameters()).device
        n_right = []
        with torch.inference_mode():
            for images in self.ways:
                parts = [
                    network(normalise(part.to(device))).argmax(1).cpu() for part in torch.split(images, JUDGING_BATCH)
                ]
                n_right.append(int((torch.cat(parts) == self.labels).sum()))
        return max(n_right) / len(self.labels)


def race(name: str, chosen: argparse.Namespace) -> Run:
    """Train one side with one seed until it arrives or is given up."""
    data, size, seed = chosen.data, chosen.size, chosen.seeds[0]
    test = Test.of(data, size, name)
    curve: list[tuple[float, float]] = []
    clock = Clock()
    train = {"usual": usual, "ours": ours}[name]
    with closing(train(data, size, seed, chosen.epochs)) as standings:
        for standing in standings:
            is_late = clock.seconds > 60 * chosen.limit_minutes
            if not standing.is_epoch and not is_late:
                continue
            synchronise()
            with clock.stopped():
                seconds, top1 = clock.seconds, test.top1(standing.network)
            curve.append((round(seconds, 1), round(top1, 4)))
            print(
                f"{name}, seed {seed}: epoch {standing.epoch}, {seconds:.0f} s, {top1:.3f}", file=sys.stderr, flush=True
            )
            if top1 >= chosen.target or is_late:
                return Run(seconds, top1 >= chosen.target, curve)
    return Run(clock.seconds, False, curve)


def race_apart(name: str, seed: int, chosen: argparse.Namespace) -> Run:
    """Do the same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.time_to_accuracy", str(chosen.data), "--side", name]
    for option in ("target", "limit_minutes", "epochs", "size"):
        command += [f"--{option.replace('_', '-')}", str(getattr(chosen, option))]
    done = subprocess.run([*command, "--seeds", str(seed)], check=True, stdout=subprocess.PIPE, text=True)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def report(runs: dict[str, list[Run]]) -> None:
    """Print medians, spread and ratio. What has not arrived makes a bound of what follows from it."""
    for name, of_side in runs.items():
        seconds = [run.seconds for run in of_side]
        n_arrived = sum(run.arrived for run in of_side)
        bound = "" if n_arrived == len(of_side) else "> "
        spread = f"(from {min(seconds):.0f} to {max(seconds):.0f} s; {n_arrived} of {len(of_side)} arrived)"
        print(f"median:  {name} {bound}{statistics.median(seconds):.0f} s {spread}")
    if not all(run.arrived for run in runs["ours"]):
        print("ratio:   none, since ours did not always arrive")
        return
    ratios = [theirs.seconds / own.seconds for theirs, own in zip(runs["usual"], runs["ours"], strict=True)]
    bound = "" if all(run.arrived for run in runs["usual"]) else ">= "
    print(f"ratio:   {bound}{statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", type=float, default=0.75, help="share of test to recognise, in [0, 1]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit-minutes", type=float, default=120, help="of training, for each side and seed")
    parser.add_argument("--epochs", type=int, default=40, help="planned by either side")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels, at the end of training")
    parser.add_argument("--curve", type=Path, help="append a line of JSON for each side and seed to this file")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Run the comparison, or one side of it in a process of its own."""
    parser = _options()
    chosen = parser.parse_args()
    chosen.data = chosen.data.resolve()
    if chosen.side:
        print(json.dumps(vars(race(chosen.side, chosen))))
        return
    for name in ("train", "val", "test"):
        if not (chosen.data / name).is_dir():
            parser.error(f"{chosen.data} has no folder {name!r}; all of train, val and test are needed")

    print(describe(detect()))
    print(f"seconds until top-1 on test is {chosen.target:g}; {chosen.size} px", flush=True)
    _read_once(chosen.data)
    runs: dict[str, list[Run]] = {name: [] for name in SIDES}
    for seed in chosen.seeds:
        for name, of_side in runs.items():
            run = race_apart(name, seed, chosen)
            of_side.append(run)
            print(f"seed {seed}:  {name:5}  {run}", flush=True)
            if chosen.curve:
                _append(chosen.curve, {"side": name, "seed": seed, **vars(run)})
    report(runs)


def _read_once(data: Path) -> None:
    """Put all images into the system's file cache: the side that goes first would wait for the disk alone."""
    for path in data.rglob("*"):
        if path.is_file():
            path.read_bytes()


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
