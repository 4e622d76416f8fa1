"""The data path of ``alexnet`` against torchvision's, in one run.

    python -m benchmarks.data DATA [--rounds 3] [--large 60]

DATA is a folder of class folders. There are three comparisons. Each side runs in its own process, in turns, with one
worker per core. Medians over the rounds and their ratios are printed:

1. prepare: decode and resize every image once, against ``DataLoader(ImageFolder)`` with torchvision's evaluation
   transform (decode, resize to 256, centre crop), for DATA and for ``--large`` JPEGs of 12 megapixels, which are made
   first from images of DATA.
2. batches: a warm epoch of training batches at 224 px, cropped, mirrored and normalised, from a prepared store, against
   ``DataLoader(ImageFolder)`` with ``RandomResizedCrop``, flip, ``ToTensor`` and ``Normalize``.
3. memory: the memory of a process after the same number of batches from a store, and from one four times as large.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import training_batches
from alexnet.data.batches.examples import Examples, examples
from alexnet.data.sources.open import open_source
from alexnet.data.store.cache import clear
from alexnet.data.store.pool import Pool, Prepared
from alexnet.data.store.store import prepare
from alexnet.data.store.verified import Verified
from alexnet.errors import DataError
from alexnet.images.decoding import decode
from alexnet.images.preprocessing import MEAN, STD
from alexnet.images.tensors import normalise
from alexnet.training.machine.runtime import detect, keep_memory

N_WORKERS = os.cpu_count() or 1
BATCH = 64


def usual_loader(
    data: Path, *steps: object, batch_size: int = BATCH, shuffle: bool
) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Return a usual ``DataLoader``."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    train = data / "train"
    folder = datasets.ImageFolder(str(train if train.is_dir() else data), transforms.Compose(steps))
    loader: Iterable[tuple[torch.Tensor, torch.Tensor]] = DataLoader(
        folder, batch_size, shuffle=shuffle, num_workers=N_WORKERS
    )
    return loader


def prepare_usual(data: Path) -> float:
    """Return images/s of torchvision's evaluation transform."""
    from torchvision import transforms

    steps = transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()
    return _rate(usual_loader(data, *steps, batch_size=8, shuffle=False))


def prepare_ours(data: Path) -> float:
    """Return images/s of preparing a store, with writing it to the disk."""
    clear()
    train = data / "train"
    source = open_source(train if train.is_dir() else data)
    began = time.perf_counter()
    prepared = prepare(source)
    return len(prepared.rows) / (time.perf_counter() - began)


def batches_usual(data: Path) -> float:
    """Return images/s of a second epoch of torchvision's training transform, from its second batch on."""
    from torchvision import transforms

    steps = transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()
    loader = usual_loader(data, *steps, transforms.Normalize(MEAN, STD), shuffle=True)
    _rate(loader)
    return _rate(loader)


def batches_ours(data: Path) -> float:
    """Return images/s of a second epoch of ours, normalised as in training, from its second batch on."""
    if detect().device.type == "cpu":
        keep_memory()
    train = _examples(data)
    _epoch(train)
    return _epoch(train)


def memory(data: Path, times: int) -> float:
    """Return the megabytes of a process after 4 / ``times`` epochs of a store ``times`` as large as that of DATA."""
    few = _examples(data)
    side = few.pixels.shape[1]
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(Path(folder), side)
        for turn in range(times):
            for row in few.rows:
                pool.append([Prepared(few.pixels[row], f"{turn:016x}{row:016x}", "0" * 32, None, False)])
        command = [sys.executable, "-m", "benchmarks.data", str(data), "--pool", folder]
        more = ["--side-px", str(side), "--epochs", str(4 // times)]
        done = subprocess.run([*command, *more], check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _resident(folder: Path, side: int, n_epochs: int) -> float:
    """Return the resident megabytes of this process after ``n_epochs`` over a pool."""
    keep_memory()
    mapped = Pool(folder, side).open()
    pixels = Verified(mapped, lambda row: DataError(f"row {row} is damaged"))
    rows = np.arange(len(pixels))
    for _ in range(n_epochs):
        _epoch(Examples(pixels, rows, rows, forget=mapped.forget))
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _examples(data: Path) -> Examples:
    train = data / "train"
    source = open_source(train if train.is_dir() else data)
    return examples(prepare(source), source, None, source.classes)


def _epoch(data: Examples) -> float:
    runtime = detect()
    batches = training_batches(data, batch_size=BATCH, size=224, augmentation=Augmentation(), seed=0, epoch=0)
    with runtime.autocast():
        return _rate((normalise(batch.images), batch.labels) for batch in batches)


def _rate(batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Return images/s from the second batch on, when the workers have started."""
    left = iter(batches)
    next(left)
    began, n = time.perf_counter(), 0
    for images, _ in left:
        n += len(images)
    return n / (time.perf_counter() - began)


def make_large(data: Path, folder: Path, n: int) -> None:
    """Make ``n`` JPEGs of 4000x3000 pixels from images of DATA, with noise like a camera's."""
    source = open_source(data)
    images = source.images[:: max(1, len(source.images) // n)][:n]
    rng = np.random.default_rng(0)
    for number, image in enumerate(images):
        ((_, read),) = source.reader.each([image.path])
        large = np.asarray(Image.fromarray(decode(read())).resize((4000, 3000), Image.Resampling.BICUBIC))
        grain = rng.integers(-4, 5, large.shape[:2], dtype=np.int16)[..., None]
        label = folder / image.label
        label.mkdir(exist_ok=True)
        noisy = Image.fromarray((large + grain).clip(0, 255).astype(np.uint8))
        noisy.save(label / f"{number}.jpg", quality=90)


SIDES: dict[str, Callable[[Path], float]] = {
    "prepare_usual": prepare_usual,
    "prepare_ours": prepare_ours,
    "batches_usual": batches_usual,
    "batches_ours": batches_ours,
}


def compare(what: str, data: Path, rounds: int) -> None:
    """Run both sides in turns and print their rates."""
    rates: dict[str, list[float]] = {"usual": [], "ours": []}
    for _ in range(rounds):
        for name, list_ in rates.items():
            command = [sys.executable, "-m", "benchmarks.data", str(data), "--side", f"{what}_{name}"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            list_.append(float(json.loads(done.stdout.splitlines()[-1])))
    ratios = [ours / usual for usual, ours in zip(rates["usual"], rates["ours"], strict=True)]
    print(
        f"{what:8} {data.name:12} usual {statistics.median(rates['usual']):7.0f} images/s   "
        f"ours {statistics.median(rates['ours']):7.0f}   ratio {statistics.median(ratios):.2f} "
        f"(from {min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main() -> None:
    """Run the comparisons; or one side of one, in its own process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=60)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--pool", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--side-px", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.pool:
        print(json.dumps(_resident(chosen.pool, chosen.side_px, chosen.epochs)))
        return
    if chosen.side:
        print(json.dumps(SIDES[chosen.side](chosen.data)))
        return

    print(f"torch {torch.__version__}, {platform.machine()}, {N_WORKERS} cores and workers, {detect()}")
    data = chosen.data.resolve()
    cache = tempfile.mkdtemp(prefix="alexnet-benchmark-")
    os.environ["ALEXNET_CACHE"] = cache
    try:
        large = Path(cache, "12 megapixel")
        large.mkdir()
        make_large(data, large, chosen.large)
        compare("prepare", data, chosen.rounds)
        compare("prepare", large, chosen.rounds)
        compare("batches", data, chosen.rounds)
        once, four_times = (statistics.median(memory(data, times) for _ in range(chosen.rounds)) for times in (1, 4))
        print(f"memory   {once:.0f} MB, with a store four times as large {four_times:.0f} MB: {four_times / once:.3f}")
    finally:
        shutil.rmtree(cache, ignore_errors=True)


if __name__ == "__main__":
    main()
