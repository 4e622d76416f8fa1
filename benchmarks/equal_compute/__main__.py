"""Many short trainings of AlexNet at equal compute: what each number of the recipe ``modern`` is worth.

    python -m benchmarks.equal_compute DATA [--table first|second] [--seconds 300] [--workers 14] [--out FILE]
    python -m benchmarks.equal_compute --smoke [--table first|second]

DATA is a folder with ``trashnet5`` and ``cifar10*.zip``: the one that ``benchmarks.gpu --pack`` writes, or the whole
sets. All arms of a budget have the same modelled CPU seconds of one slow core with AVX2: see ``cost.py``. Arms of
CIFAR-10 have equal epochs instead. They are trained on images on the GPU, by several processes that share it, and
evaluated on images held out from ``train`` and ``val``: 400 of trashnet5, 3,000 of CIFAR-10, others with each seed.
``test`` is never read.

This is an experiment, not a part of the package. Both tables ran on one H100 (torch 2.11.0, 14 workers, November 2026);
docs/experiments.md has the results and what was decided. They ran with a script of which this is the readable form, the
same but for random numbers and crops, which are now those of the package. CIFAR-10 had 20,000 training images in the
first table, and 17,000, as now, in the second.

Printed are, for each arm, its epochs and steps, and loss and top-1 of each seed. Progress is printed on standard error.
``--out`` gets a line of JSON for each training when it ends, so a run that the end of its time stops keeps what it had.
``--smoke`` tries all arms in a tiny form, with made-up images.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.equal_compute.arm import Arm
from benchmarks.equal_compute.tables import TABLES, Trial
from benchmarks.equal_compute.workers import Result, run
from benchmarks.gpu.bench import TRASHNET, note
from benchmarks.gpu.images import make_archive, make_folder


def tiny(trials: list[Trial]) -> list[Trial]:
    """Return every different arm once, with an eighth of the width, small batches and two epochs of few images."""
    arms: dict[Arm, tuple[str, int]] = {}
    for name, seed, arm in trials:
        arms.setdefault(replace(arm, width=arm.width / 8, batch_size=8, seconds=0.0, epochs=2.0), (name, seed))
    return [(name, seed, arm) for arm, (name, seed) in arms.items()]


def _print_table(results: list[Result]) -> None:
    by_arm: dict[str, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda each: each["seed"]):
        if "error" not in result:
            by_arm[result["arm"]].append(result)
    print(f"{'arm':18} {'epochs':>6} {'steps':>6}  loss and top-1 of each seed")
    for name, some in by_arm.items():
        scores = "; ".join(f"{each['seed']}: {each['loss']:.3f} {each['top1']:.4f}" for each in some)
        print(f"{name:18} {some[0]['epochs']:6.1f} {some[0]['steps']:6}  {scores}")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder with the sets of images")
    parser.add_argument("--table", choices=TABLES, default="first")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--workers", type=int, default=14, help="processes that share the GPU")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new file for the results, as lines of JSON")
    parser.add_argument("--smoke", action="store_true", help="try all arms in a tiny form, on a CPU too")
    return parser


def main() -> None:
    """Run a table and print it; exit with 1 if an arm failed or the time ended."""
    parser = _options()
    chosen = parser.parse_args()
    if chosen.data is None and not chosen.smoke:
        parser.error("give DATA, the folder with the sets of images, or --smoke")
    trials = list(TABLES[chosen.table]())
    results: list[Result] = []
    with ExitStack() as stack:
        data = chosen.data
        if chosen.smoke:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alexnet-benchmark-")))
            make_folder(data / TRASHNET, n_train=8)
            make_archive(data / "cifar10.zip")
            trials = tiny(trials)
        file = stack.enter_context(chosen.out.open("x", encoding="utf-8")) if chosen.out else None
        n_workers = 1 if chosen.smoke else chosen.workers
        for result in run(trials, data, n_workers, chosen.seconds):
            results.append(result)
            note(f"{len(results)} of {len(trials)}: {json.dumps(result)}")
            if file:
                file.write(json.dumps(result) + "\n")
                file.flush()
    _print_table(results)
    n_failed, n_missing = sum("error" in each for each in results), len(trials) - len(results)
    if n_failed or n_missing:
        note(f"{n_failed} failed; {n_missing} not finished when the time was up or the processes ended")
    sys.exit(bool(n_failed or n_missing))


if __name__ == "__main__":
    main()
