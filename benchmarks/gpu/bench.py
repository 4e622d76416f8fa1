"""What all parts share: their scale, the time that is left, the images, and the speed of steps."""

import gc
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from alexnet.training.choices.settings import Settings
from benchmarks.gpu.images import make_archive, make_folder
from benchmarks.training import PRODUCT_SIDES, synchronise

Result = dict[str, Any]
TRASHNET, CIFAR = "trashnet5", "cifar10*.zip"


class SkippedError(Exception):
    """A part cannot run; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What differs between a full run and ``--smoke``.

    Attributes:
        image_size: side of the images in pixels; None for the recipe's.
        network: changes to every network, as fields of ``Settings``.
        batch_sizes: images per step to measure; the first one is also that of inference.
        seconds: how long each speed is measured.
        n_warm_up: steps before it is measured.
        n_stored: images on the device while a speed is measured; those of the data are repeated.
        product_sides: sides of the matrices that are multiplied.
        n_seeds: the most seeds of CIFAR-10, of the time to accuracy and of the sweep.
        epochs: of every training; None for the recipe's.
        ours_epochs: epochs planned by ``modern`` for the time to accuracy.
        usual_epochs: epochs planned by torchvision's recipe for it.
        sweep_epochs: epochs of each training of the sweep.
        target: top-1 on ``test`` that the time to accuracy is measured to.
    """

    image_size: int | None = None
    network: dict[str, Any] = field(default_factory=dict)
    batch_sizes: tuple[int, ...] = (256, 128, 512, 1024)
    seconds: float = 3.0
    n_warm_up: int = 8
    n_stored: int = 25_600
    product_sides: tuple[int, ...] = PRODUCT_SIDES
    n_seeds: tuple[int, int, int] = (3, 10, 2)
    epochs: int | None = None
    ours_epochs: int = 16
    usual_epochs: int = 20
    sweep_epochs: int = 16
    target: float = 0.75

    def settings(self, **changes: Any) -> Settings:
        """Return settings at this scale; ``changes`` come last."""
        at_scale: Result = {**self.network, "image_size": self.image_size, "epochs": self.epochs}
        return Settings(**(at_scale | changes))


SMOKE = Scale(
    image_size=67,
    network={"width": 0.125, "hidden": (64, 64)},
    batch_sizes=(8,),
    seconds=0.1,
    n_warm_up=1,
    n_stored=32,
    product_sides=(256,),
    n_seeds=(1, 1, 1),
    epochs=1,
    ours_epochs=1,
    usual_epochs=1,
    sweep_epochs=1,
    target=0.01,
)


@dataclass
class Bench:
    """One run of the benchmarks.

    Attributes:
        scale: how large everything is.
        data: the folder with the sets of images; None if there is none.
        work: a temporary folder.
        smoke: whether only the code is tried, with made-up images.
        deadline: when the current part must end, on the clock of ``time.monotonic``.
    """

    scale: Scale
    data: Path | None
    work: Path
    smoke: bool
    deadline: float = 0.0

    @property
    def left(self) -> float:
        """Seconds that the current part has left."""
        return self.deadline - time.monotonic()

    def trashnet(self, *, may_be_made: bool = False) -> Path:
        """Return the folder of trashnet5; where it is missing, made-up images if these will do.

        Raises:
            SkippedError: it is missing.
        """
        folder = self.data / TRASHNET if self.data and not self.smoke else None
        if folder is not None and folder.is_dir():
            return folder
        if not (self.smoke or may_be_made):
            raise SkippedError(f"there is no folder {TRASHNET!r} in DATA")
        return make_folder(self.work / TRASHNET, n_train=8 if self.smoke else 300)

    def cifar(self) -> Path:
        """Return the archive of CIFAR-10.

        Raises:
            SkippedError: it is missing.
        """
        if self.smoke:
            return make_archive(self.work / "cifar10.zip")
        archives = sorted(self.data.glob(CIFAR)) if self.data else []
        if not archives:
            raise SkippedError(f"there is no archive {CIFAR!r} in DATA")
        return archives[0]


def note(text: str) -> None:
    """Print progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def free_memory() -> None:
    """Free the memory of networks and images that are no longer used."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def rate(events: Iterator[bool], n_images: int, seconds: float, n_warm_up: int) -> float:
    """Return images/s, measured for some seconds.

    Args:
        events: True after a step, False after something whose time does not count.
        n_images: images per step.
        seconds: how long to measure; at least one step.
        n_warm_up: steps before that.
    """
    n_steps, counted = 0, 0.0
    began = time.perf_counter()
    for is_step in events:
        synchronise()
        now = time.perf_counter()
        n_steps += is_step
        if is_step and n_steps > n_warm_up:
            counted += now - began
            if counted >= seconds:
                break
        began = time.perf_counter()
    return n_images * (n_steps - n_warm_up) / counted
