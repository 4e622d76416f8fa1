"""How fast ``alexnet evaluate`` is: images from the store, against the engine alone on images in memory.

    python -m benchmarks.evaluation DATA [--images 10000] [--variant batchnorm] [--size 224] [--rounds 5]

DATA is anything that ``alexnet evaluate`` reads; its images are repeated until there are ``--images`` of them. Both
sides run in this process, in turns, with an untrained network: what it predicts does not matter here. The first side
computes the logits of one batch in memory again and again. The second computes all logits as ``evaluate`` does before
it scores them: images are read from the prepared store, resized to the network's size, and predicted. Printed are the
median rates, the median, least and largest ratio of the rounds, and by how much more memory all images take than a
tenth of them.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet.data.batches.examples import Examples, examples
from alexnet.data.parallel import untracked
from alexnet.data.sources.open import open_source
from alexnet.data.store.store import prepare, store_size
from alexnet.evaluation.predicting import BATCH_SIZE, logits_of
from alexnet.images.preprocessing import Preprocessing, mean_and_std
from alexnet.inference.engines.torch_engine import TorchEngine
from alexnet.model.artifact import Artifact, save_artifact
from alexnet.network.module.model import AlexNet
from alexnet.training.machine.runtime import detect
from benchmarks.training import describe


def engine(variant: str, size: int, n_channels: int) -> TorchEngine:
    """Return an engine with an untrained network of ten classes."""
    torch.manual_seed(0)
    model = AlexNet(variant, n_classes=10, image_size=size, in_channels=n_channels).eval()  # type: ignore[arg-type]
    mean, std = mean_and_std(n_channels)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Artifact(
            folder=Path(folder, "model"),
            architecture=model.architecture,
            classes=tuple("abcdefghij"),
            preprocessing=Preprocessing(store_size=store_size(size), mean=mean, std=std),
            provenance={},
        )
        save_artifact(artifact, model.state_dict(), "")
        return TorchEngine(artifact)


def stored(data: str, size: int, n_images: int) -> Examples:
    """Return ``n_images`` images of the store, the same ones several times if there are not as many."""
    source = open_source(data)
    store = prepare(source, store_size(size))
    found = examples(store, source, None, source.classes)
    repeat = np.arange(n_images) % len(found)
    names = (found.names * (n_images // len(found) + 1))[:n_images]
    return replace(found, rows=found.rows[repeat], labels=found.labels[repeat], names=names)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(data: str, variant: str, size: int, n_images: int, n_rounds: int) -> dict[str, Any]:
    """Measure both sides in turns."""
    found, network = stored(data, size, n_images), engine(variant, size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, size, size, 3), dtype=np.uint8)
    n_batches = len(found) // BATCH_SIZE

    def alone() -> None:
        for _ in range(n_batches):
            network.logits(pixels)

    network.logits(pixels)
    logits_of(network, found.sample(len(found) // 10), size, 1, untracked)
    of_tenth = _peak_mib()
    rounds = []
    for _ in range(n_rounds):
        alone_rate = n_batches * BATCH_SIZE / seconds(alone)
        rate = len(found) / seconds(lambda: logits_of(network, found, size, 1, untracked))
        rounds.append((rate, alone_rate))
    ratios = [rate / alone_rate for rate, alone_rate in rounds]
    return {
        "evaluate_images_per_second": round(statistics.median(rate for rate, _ in rounds), 1),
        "engine_images_per_second": round(statistics.median(rate for _, rate in rounds), 1),
        "ratio": [round(each, 3) for each in (statistics.median(ratios), min(ratios), max(ratios))],
        "grown_mib": round(_peak_mib() - of_tenth, 1),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--variant", default="batchnorm")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    result = measure(chosen.data, chosen.variant, chosen.size, chosen.images, chosen.rounds)
    print(describe(detect(precision="fp32")))
    print(json.dumps({"variant": chosen.variant, "image_size": chosen.size, **result}))


if __name__ == "__main__":
    main()
