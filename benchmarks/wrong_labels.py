"""How well ``alexnet evaluate --errors`` finds wrong labels.

    python -m benchmarks.wrong_labels RUN [DATA] [--share 0.05] [--seeds 20]

The network of RUN predicts the ``test`` images of its data, or of DATA. Then a share of their labels is flipped to
another class, at random, and the images are sorted as in ``errors.csv``: the lowest probability of the label first.
Printed is how many of the flipped labels are in the first tenth of the file: the mean, least and largest share over the
seeds.
"""

import argparse
import statistics

import numpy as np

from alexnet.evaluation.outputs import Outputs
from alexnet.evaluation.scoring import evaluate


def found(outputs: Outputs, share: float, seed: int) -> float:
    """Flip a share of the labels, and return which share of these is in the first tenth."""
    rng = np.random.default_rng(seed)
    n, n_classes = outputs.log_probabilities.shape
    flipped = rng.choice(n, max(1, round(share * n)), replace=False)
    labels = outputs.labels.copy()
    labels[flipped] = (labels[flipped] + rng.integers(1, n_classes, len(flipped))) % n_classes
    own = np.take_along_axis(outputs.log_probabilities, labels[:, None], axis=1)[:, 0]
    first = np.argsort(own, kind="stable")[: round(n / 10)]
    return float(np.isin(flipped, first).mean())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data", nargs="?")
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=20)
    chosen = parser.parse_args()
    outputs = evaluate(chosen.run, chosen.data).outputs
    shares = [found(outputs, chosen.share, seed) for seed in range(chosen.seeds)]
    n, top1 = len(outputs.names), outputs.is_right.mean()
    print(f"{n} images, top-1 {top1:.3f}, {round(chosen.share * n)} labels flipped, {chosen.seeds} seeds")
    print(f"in the first tenth: {statistics.mean(shares):.3f} of them ({min(shares):.3f} to {max(shares):.3f})")


if __name__ == "__main__":
    main()
