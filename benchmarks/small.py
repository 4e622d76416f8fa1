"""Compare ``small`` on small images with ``batchnorm``, for which they are upscaled.

    python -m benchmarks.small cifar10_jpeg.zip [--images 4000] [--test-images 2000] [--epochs 10] [--seeds 0]

DATA is a zip archive of a folder with ``train`` and ``test``, each with class folders. ``--images`` and
``--test-images`` are taken from these, the same number from each class, the first by name. ``alexnet.train`` trains
both networks on them for ``--epochs``, one seed after the other: ``small`` at 32 px, the choice of ``alexnet train``
for such images, and ``batchnorm`` at 128 px. Images/s are the median over epochs of training, without validation.
"""

import argparse
import json
import statistics
import tempfile
import zipfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from alexnet.evaluation.scoring import evaluate
from alexnet.files.paths import natural_key
from alexnet.training.choices.settings import Settings
from alexnet.training.machine.runtime import detect
from alexnet.training.session import train
from benchmarks.training import describe

SIDES = {"small": Settings(variant="small"), "batchnorm": Settings(variant="batchnorm", image_size=128)}


@dataclass(frozen=True)
class Score:
    """The result of one network with one seed."""

    seconds: float
    images_per_second: float
    val_top1: float
    test_top1: float


def extract(archive: Path, folder: Path, n_train: int, n_test: int) -> None:
    """Unpack the first images of every class, so that ``train`` and ``test`` have as many as asked for."""
    by_class: dict[tuple[str, str], list[str]] = defaultdict(list)
    with zipfile.ZipFile(archive) as images:
        for name in sorted(images.namelist(), key=natural_key):
            split, label = PurePosixPath(name).parts[-3:-1] if name.count("/") > 1 else ("", "")
            if split in ("train", "test") and not name.endswith("/"):
                by_class[split, label].append(name)
        n_classes = len({label for _, label in by_class})
        for (split, label), names in by_class.items():
            target = folder / split / label
            target.mkdir(parents=True)
            for name in names[: (n_train if split == "train" else n_test) // n_classes]:
                (target / PurePosixPath(name).name).write_bytes(images.read(name))


def measure(data: Path, side: str, epochs: int, seed: int, out: Path) -> Score:
    """Train one network and evaluate it."""
    run = train(data, out=out, settings=replace(SIDES[side], epochs=epochs, seed=seed))
    lines = run.metrics()
    return Score(
        seconds=sum(line["seconds"] for line in lines),
        images_per_second=statistics.median(line["images_per_second"] for line in lines),
        val_top1=lines[-1]["val_top1"],
        test_top1=evaluate(out, data, split="test").scores.top1,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--test-images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    print(describe(detect()))
    scores: dict[str, list[Score]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="alexnet-benchmark-") as folder:
        data = Path(folder, "images")
        extract(arguments.data, data, arguments.images, arguments.test_images)
        for seed in arguments.seeds:
            for side in SIDES:
                score = measure(data, side, arguments.epochs, seed, Path(folder, f"{side}-{seed}"))
                scores[side].append(score)
                print(f"seed {seed} {side}: {json.dumps(score.__dict__)}", flush=True)
    for side, each in scores.items():
        tests = [score.test_top1 for score in each]
        print(
            f"{side}: {statistics.mean(score.images_per_second for score in each):.0f} images/s, "
            f"{statistics.mean(score.seconds for score in each):.0f} s, test top-1 {statistics.mean(tests):.3f} "
            f"({min(tests):.3f} to {max(tests):.3f})"
        )


if __name__ == "__main__":
    main()
