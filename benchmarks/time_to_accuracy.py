"""Seconds until a network reaches a test accuracy: ``alexnet train`` against the usual way.

    python -m benchmarks.time_to_accuracy DATA [--target 0.75] [--seeds 0 1 2] [--limit-minutes 120]

DATA is a folder with ``train``, ``val`` and ``test``. Both sides train the default network from random weights on the
same machine, each in its own process, in turns, one seed after the other, for the number of epochs and at the image
size that suit each best:

- ours: the recipe ``modern`` of ``alexnet train``, in a new folder and with an empty cache. The time includes preparing
  all images, validation, averaging and saving. The averaged network is evaluated.
- usual: torchvision's reference recipe for AlexNet: SGD with lr 0.01, momentum 0.9 and weight decay 1e-4, batches of
  128, fp32, ``RandomResizedCrop``, flip, normalisation, a ``DataLoader`` with one worker per core, at least two. The
  learning rate follows a cosine. It neither validates nor saves.

After every epoch the network is evaluated on ``test`` in float32, by the same function for both; this time does not
count. Images are resized to a square. Usual is also evaluated in torchvision's way, on the centre crop of images
resized to 8/7 of that, and the better score counts. A side that does not reach the target within ``--epochs`` and
``--limit-minutes`` (it is then evaluated a last time) is reported as ``> N s``: a bound, and the ratio is one too.

The recipe ``modern`` was chosen on ``val``. Here ``test`` is used only to measure the time.
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

USUAL_BATCH, EVALUATION_BATCH = 128, 64
SIDES = ("usual", "ours")


@dataclass
class Clock:
    """Seconds of training; paused during evaluation."""

    began: float = field(default_factory=time.perf_counter)
    paused_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the start, without pauses."""
        return time.perf_counter() - self.began - self.paused_seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the clock."""
        since = time.perf_counter()
        yield
        self.paused_seconds += time.perf_counter() - since


@dataclass(frozen=True)
class Snapshot:
    """A network after a step or an epoch."""

    network: nn.Module
    epoch: int
    is_epoch: bool


@dataclass(frozen=True)
class Run:
    """The result of one side with one seed.

    Attributes:
        seconds: seconds until the target was reached, or until the end.
        reached: whether the target was reached.
        curve: (seconds, top-1 on ``test``) after each epoch.
    """

    seconds: float
    reached: bool
    curve: list[tuple[float, float]]

    def __str__(self) -> str:
        best = max((top1 for _, top1 in self.curve), default=0.0)
        if self.reached:
            return f"{self.seconds:.0f} s, epoch {len(self.curve)} ({best:.3f})"
        return f"> {self.seconds:.0f} s (best {best:.3f})"


def usual(data: Path, size: int, seed: int, n_epochs: int) -> Generator[Snapshot]:
    """Train with torchvision's recipe."""
    torch.manual_seed(seed)
    loader = usual_loader(data, size, USUAL_BATCH)
    model, optimizer = usual_network(len(loader.dataset.classes), detect().device)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs * len(loader))
    for epoch in range(1, n_epochs + 1):
        model.train()
        for images, labels in loader:
            usual_step(model, optimizer, images, labels)
            schedule.step()
            yield Snapshot(model, epoch, is_epoch=False)
        yield Snapshot(model, epoch, is_epoch=True)


def ours(data: Path, size: int, seed: int, n_epochs: int) -> Generator[Snapshot]:
    """Train like ``alexnet train``, in a temporary folder and with a temporary cache."""
    with tempfile.TemporaryDirectory(prefix="alexnet-benchmark-") as folder:
        os.environ["ALEXNET_CACHE"] = str(Path(folder, "cache"))
        settings = Settings(image_size=size, epochs=n_epochs, seed=seed)
        session = Session.start(data, Path(folder, "run"), settings)
        with closing(session.reports()) as reports:  # type: ignore[type-var]
            for report in reports:
                if isinstance(report, StepReport | EpochReport):
                    yield Snapshot(session.training.eval_model, report.epoch, isinstance(report, EpochReport))


@dataclass(frozen=True)
class Test:
    """The test images, preprocessed in one or more ways: ``(N, 3, size, size)`` uint8 each."""

    inputs: list[Tensor]
    labels: Tensor

    @classmethod
    def of(cls, data: Path, size: int, side: str) -> "Test":
        """Read and preprocess the test images for a side."""
        from torchvision import datasets, transforms

        resized = [[transforms.Resize((size, size))]]
        if side == "usual":
            resized.append([transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)])
        transform_list = [transforms.Compose([*steps, transforms.PILToTensor()]) for steps in resized]
        folder, classes = datasets.ImageFolder(str(data / "test")), open_source(data).classes
        made = [
            ([transform(image) for transform in transform_list], classes.index(folder.classes[number]))
            for image, number in folder
        ]
        images = [torch.stack(each) for each in zip(*(images for images, _ in made), strict=True)]
        return cls(images, torch.tensor([label for _, label in made]))

    def top1(self, network: nn.Module) -> float:
        """Return the top-1 accuracy in [0, 1], the best over the ways of preprocessing."""
        network.eval()
        device = next(network.parameters()).device
        n_right = []
        with torch.inference_mode():
            for images in self.inputs:
                parts = [
                    network(normalise(part.to(device))).argmax(1).cpu()
                    for part in torch.split(images, EVALUATION_BATCH)
                ]
                n_right.append(int((torch.cat(parts) == self.labels).sum()))
        return max(n_right) / len(self.labels)


def measure(name: str, chosen: argparse.Namespace) -> Run:
    """Train one side with one seed until it reaches the target or the limit."""
    data, seed = chosen.data, chosen.seeds[0]
    size, n_epochs = (getattr(chosen, f"{name}_{what}") for what in ("size", "epochs"))
    test = Test.of(data, size, name)
    curve: list[tuple[float, float]] = []
    clock = Clock()
    train = {"usual": usual, "ours": ours}[name]
    with closing(train(data, size, seed, n_epochs)) as snapshots:
        for snapshot in snapshots:
            is_late = clock.seconds > 60 * chosen.limit_minutes
            if not snapshot.is_epoch and not is_late:
                continue
            synchronise()
            with clock.paused():
                seconds, top1 = clock.seconds, test.top1(snapshot.network)
            curve.append((round(seconds, 1), round(top1, 4)))
            print(
                f"{name}, seed {seed}: epoch {snapshot.epoch}, {seconds:.0f} s, {top1:.3f}", file=sys.stderr, flush=True
            )
            if top1 >= chosen.target or is_late:
                return Run(seconds, top1 >= chosen.target, curve)
    return Run(clock.seconds, False, curve)


def measure_in_process(name: str, seed: int, chosen: argparse.Namespace) -> Run:
    """Do the same in another process."""
    command = [sys.executable, "-m", "benchmarks.time_to_accuracy", str(chosen.data), "--side", name]
    for option in ("target", "limit_minutes", *(f"{side}_{what}" for side in SIDES for what in ("epochs", "size"))):
        command += [f"--{option.replace('_', '-')}", str(getattr(chosen, option))]
    done = subprocess.run([*command, "--seeds", str(seed)], check=True, stdout=subprocess.PIPE, text=True)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def report(runs: dict[str, list[Run]]) -> None:
    """Print medians, spread and ratio. If a run did not reach the target, they are bounds."""
    for name, of_side in runs.items():
        seconds = [run.seconds for run in of_side]
        n_reached = sum(run.reached for run in of_side)
        bound = "" if n_reached == len(of_side) else "> "
        spread = f"(from {min(seconds):.0f} to {max(seconds):.0f} s; {n_reached} of {len(of_side)} reached)"
        print(f"median:  {name} {bound}{statistics.median(seconds):.0f} s {spread}")
    if not all(run.reached for run in runs["ours"]):
        print("ratio:   none, since ours did not always reach the target")
        return
    ratios = [usual.seconds / ours.seconds for usual, ours in zip(runs["usual"], runs["ours"], strict=True)]
    bound = "" if all(run.reached for run in runs["usual"]) else ">= "
    print(f"ratio:   {bound}{statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--target", type=float, default=0.75, help="top-1 on test to reach, in [0, 1]")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--limit-minutes", type=float, default=120, help="of training, for each side and seed")
    for side, n_epochs, size in (("usual", 16, 224), ("ours", 8, 99)):
        parser.add_argument(f"--{side}-epochs", type=int, default=n_epochs, help="planned by this side")
        parser.add_argument(f"--{side}-size", type=int, default=size, help="side of its images, at the end of training")
    parser.add_argument("--curve", type=Path, help="append a line of JSON for each side and seed to this file")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser


def main() -> None:
    """Run the comparison; or one side of it, in its own process."""
    parser = _options()
    chosen = parser.parse_args()
    chosen.data = chosen.data.resolve()
    if chosen.side:
        print(json.dumps(vars(measure(chosen.side, chosen))))
        return
    for name in ("train", "val", "test"):
        if not (chosen.data / name).is_dir():
            parser.error(f"{chosen.data} has no folder {name!r}; all of train, val and test are needed")

    print(describe(detect()))
    plans = (
        f"{name} {getattr(chosen, f'{name}_epochs')} epochs at {getattr(chosen, f'{name}_size')} px" for name in SIDES
    )
    print(f"seconds until top-1 on test is {chosen.target:g}; {', '.join(plans)}", flush=True)
    _read_once(chosen.data)
    runs: dict[str, list[Run]] = {name: [] for name in SIDES}
    for seed in chosen.seeds:
        for name, of_side in runs.items():
            run = measure_in_process(name, seed, chosen)
            of_side.append(run)
            print(f"seed {seed}:  {name:5}  {run}", flush=True)
            if chosen.curve:
                _append(chosen.curve, {"side": name, "seed": seed, **vars(run)})
    report(runs)


def _read_once(data: Path) -> None:
    """Read all images into the system's file cache, so that the first side does not wait for the disk."""
    for path in data.rglob("*"):
        if path.is_file():
            path.read_bytes()


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
