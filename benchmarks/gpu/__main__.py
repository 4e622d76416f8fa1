"""Everything that a machine with a GPU should measure, in one command of at most eight minutes.

    python -m benchmarks.gpu [DATA] [--parts tests throughput inference] [--seconds 470] [--out FILE] [--smoke]
    python -m benchmarks.gpu DATA --pack FOLDER

DATA is a folder with ``trashnet5`` and ``cifar10*.zip``; ``--pack`` writes a smaller one, to be brought to a machine
without a network. The parts run in this order:

- tests: the tests marked ``gpu``.
- throughput: images/s of training at 224 px, beside torchvision's loop, as shares of the matrix product, and the hours
  that the paper's 90 epochs would take. Without DATA the images are made up.
- inference: images/s in batches of 256.
- cifar: CIFAR-10 to its end with the recipes ``article`` and ``modern``, three seeds.
- trashnet: seconds until top-1 on ``test`` is 0.75, with ``modern`` and with torchvision's recipe, ten seeds.
- sweep: the five most important numbers of ``modern``, one at a time, on ``val``, two seeds.

Each part has a share of the time; what it does not use is left for the next ones. A part whose time is up is skipped,
with a reason. Progress is printed on standard error, and one JSON object at the end on standard output. ``--out`` is
written after each measurement, so that a killed run keeps what it had. ``--smoke`` tries every part in a tiny form.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from alexnet.files.atomic import write_atomically
from alexnet.training.machine.runtime import detect
from benchmarks.gpu.accuracy import cifar, trashnet
from benchmarks.gpu.bench import SMOKE, Bench, Result, Scale, SkippedError, free_memory, note
from benchmarks.gpu.checks import checks
from benchmarks.gpu.pack import pack
from benchmarks.gpu.sweep import sweep
from benchmarks.gpu.throughput import inference, throughput
from benchmarks.training import describe

# Each part, and its share of the time.
PARTS: dict[str, tuple[Callable[[Bench], Iterator[Result]], float]] = {
    "tests": (checks, 45),
    "throughput": (throughput, 110),
    "inference": (inference, 20),
    "cifar": (cifar, 120),
    "trashnet": (trashnet, 120),
    "sweep": (sweep, 55),
}
LEAST_SECONDS = 3.0


def run_parts(bench: Bench, names: list[str], deadline: float, out: Path | None) -> Result:
    """Run the parts and return the report; write it after each measurement."""
    report: Result = {"machine": describe(detect()), "smoke": bench.smoke, "parts": {}}
    for place, name in enumerate(names):
        part, share = PARTS[name]
        began = time.monotonic()
        bench.deadline = began + (deadline - began) * share / sum(PARTS[each][1] for each in names[place:])
        note(f"{name}: {bench.left:.0f} s")
        result: Result = {}
        try:
            if bench.left < LEAST_SECONDS and not bench.smoke:
                raise SkippedError(f"its share of the time that is left is {bench.left:.1f} s")
            for result in part(bench):
                report["parts"][name] = result
                _write(report, out)
        except SkippedError as reason:
            result = {**result, "not_run": str(reason)}
        except Exception as error:  # the other parts can still run
            traceback.print_exc()
            result = {**result, "error": f"{type(error).__name__}: {error}"}
        report["parts"][name] = {**result, "seconds": round(time.monotonic() - began, 1)}
        _write(report, out)
        free_memory()
    return report


def _write(report: Result, out: Path | None) -> None:
    if out is not None:
        write_atomically(out, json.dumps(report, indent=2) + "\n")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder with the sets of images")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=470, help="for all parts together")
    parser.add_argument("--out", type=Path, help="write the JSON object to this file too, after each measurement")
    parser.add_argument("--smoke", action="store_true", help="try every part in a tiny form, on a CPU too")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="write smaller sets of images there, and end")
    return parser


def main() -> None:
    """Run the parts; exit with 1 if one failed."""
    began = time.monotonic()
    parser = _options()
    chosen = parser.parse_args()
    if chosen.pack:
        if chosen.data is None:
            parser.error("--pack needs DATA, the folder with the sets of images")
        pack(chosen.data, chosen.pack)
        return
    with tempfile.TemporaryDirectory(prefix="alexnet-benchmark-") as work:
        os.environ["ALEXNET_CACHE"] = str(Path(work, "cache"))
        data = chosen.data.resolve() if chosen.data else None
        bench = Bench(SMOKE if chosen.smoke else Scale(), data, Path(work), chosen.smoke)
        with contextlib.redirect_stdout(sys.stderr):
            names = [name for name in PARTS if name in chosen.parts]
            report = run_parts(bench, names, began + chosen.seconds, chosen.out)
    print(json.dumps(report))
    sys.exit(any("error" in part for part in report["parts"].values()))


if __name__ == "__main__":
    main()
