"""What the temperature, ten views, and the mean of several networks are worth.

    python -m benchmarks.averaging RUN RUN... [--data DATA]

The runs are of the same data and split, such as those of other seeds on data with a ``test`` folder. Printed are, on
``test`` and with 95% intervals for pairs: the calibration error of each network without and with its temperature, ten
views of it against one, and the mean of all networks, with one view each, against it.
"""

import argparse

import numpy as np

from alexnet.evaluation.comparison import compare_outputs
from alexnet.evaluation.outputs import Outputs, mean_of
from alexnet.evaluation.scores.calibration import calibration_error
from alexnet.evaluation.scoring import evaluate


def line(name: str, better: Outputs, than: Outputs) -> str:
    """Return the comparison of two outputs as one line."""
    found = compare_outputs(better, than)
    return (
        f"{name}: top-1 {found.top1:+.3f} ({found.top1_interval.low:+.3f} to {found.top1_interval.high:+.3f}), "
        f"loss {found.loss:+.3f} ({found.loss_interval.low:+.3f} to {found.loss_interval.high:+.3f}), "
        f"McNemar p {found.p_value:.2g}"
    )


def calibration(name: str, outputs: Outputs) -> str:
    """Return the calibration error without and with the temperature as one line."""
    before, after = outputs.uncalibrated, outputs.log_probabilities
    assert before is not None
    errors = (calibration_error(np.exp(each), outputs.labels) for each in (before, after))
    same = bool((before.argmax(axis=1) == outputs.predicted).all())
    without, with_it = errors
    return (
        f"{name}: calibration error {without:.4f} without, {with_it:.4f} with {outputs.temperature:.3f}; same: {same}"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--data")
    chosen = parser.parse_args()
    one = [evaluate(run, chosen.data, split="test").outputs for run in chosen.runs]
    ten = [evaluate(run, chosen.data, split="test", views=10).outputs for run in chosen.runs]
    mean = mean_of(one)
    for run, single, views in zip(chosen.runs, one, ten, strict=True):
        print(f"{run}: {len(single.names)} images, top-1 {single.is_right.mean():.3f}")
        print(calibration("  one view", single))
        print(calibration("  ten views", views))
        print(line("  ten views against one", views, single))
        print(line("  mean of all against it", mean, single))
    print(f"mean of {len(one)} networks: top-1 {mean.is_right.mean():.3f}")


if __name__ == "__main__":
    main()
