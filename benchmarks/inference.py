"""How fast a saved model predicts with each engine, beside torchvision's alexnet and the least that the machine allows.

    python -m benchmarks.inference MODEL [DATA] [--size N] [--batch 64] [--rounds 5] [--exports FOLDER] [--out FILE]
    python -m benchmarks.inference MODEL [DATA] --process

MODEL is a run folder or a model folder. DATA are labelled images; the run's own where not given. The model is exported
by ``alexnet.export`` in fp32, int8 and shrunk int8 (kept anyway where it falls short, since speed is measured here),
into a temporary folder or into ``--exports``, whose files are used again. ``--size`` measures the network at another
image size than its own.

All sides run in this process, in turns, in every round: torch (the network as ``alexnet predict`` of a run runs it),
torchvision's alexnet with random weights, and the three exports in ONNX Runtime and in OpenVINO. Each side predicts one
image, and a batch of them; from pixels in memory, and from JPEG files to probabilities (torchvision by its usual
transform); with one thread, and with all. Printed are medians of wall time and CPU time an image, and the median, least
and largest ratio of torch's CPU time to a side's in the same round. A floor stands below each table: see ``floor.py``.

``--process`` measures whole processes instead: the CPU time of ``alexnet predict`` for one image, beside that of
importing NumPy, Pillow and ONNX Runtime.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

# As the command line does, before torch is imported: threads that spin while they wait would count as work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image

from alexnet.data.parallel import n_cores
from alexnet.exporting.export import export
from alexnet.files.atomic import write_atomically
from alexnet.images.preprocessing import MEAN, STD
from alexnet.inference.classifier import Classifier
from alexnet.inference.engines.engine import EngineName, open_engine
from alexnet.inference.inputs import expand
from alexnet.model.artifact import CONFIG, Artifact
from alexnet.model.opening import load_artifact
from benchmarks.floor import Rates, describe, floor, has_fast_int8, machine, measure_rates, reading_floor

PACKAGES = ("alexnet", "torch", "torchvision", "onnxruntime", "openvino", "numpy", "pillow")
FP32, INT8, SHRUNK = "fp32", "int8", "shrunk int8"
ENGINES: dict[EngineName, str] = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
TORCH = "torch"
# A turn predicts one image this many times.
N_ONE = 10
# CPU seconds of a whole process.
MOST_SECONDS = {INT8: 0.8, FP32: 1.5}


@dataclass(frozen=True)
class Side:
    """One way to predict. Both functions take the number of images."""

    name: str
    from_pixels: Callable[[int], object]
    from_files: Callable[[int], object]


@dataclass(frozen=True)
class Result:
    """What one side took, in milliseconds an image, in each round."""

    side: str
    n_threads: int
    from_files: bool
    batch: int
    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    def times_faster_than(self, other: "Result") -> tuple[float, float, float]:
        """Return the median, least and largest ratio of the other's CPU time to this one's."""
        ratios = [theirs / own for theirs, own in zip(other.cpu, self.cpu, strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)


def torchvision_side(paths: Sequence[Path], size: int, n_classes: int, threads: ThreadPoolExecutor) -> Side:
    """Return torchvision's alexnet with random weights, and its usual transform."""
    from torchvision import models, transforms

    steps = [transforms.Resize(size * 256 // 224), transforms.CenterCrop(size), transforms.ToTensor()]
    transform = transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])
    model = models.alexnet(num_classes=n_classes).eval()

    def read(path: Path) -> torch.Tensor:
        with Image.open(path) as image:
            tensor: torch.Tensor = transform(image.convert("RGB"))
        return tensor

    def predict(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return torch.softmax(model(images), dim=1)

    ready = torch.stack([*threads.map(read, paths)])
    return Side(
        "torchvision",
        lambda n: predict(ready[:n]),
        lambda n: predict(torch.stack([*threads.map(read, paths[:n])])),
    )


def our_side(
    name: str, model: Path, engine: EngineName, paths: Sequence[Path], threads: ThreadPoolExecutor, n_threads: int
) -> Side:
    """Return a saved model with an engine of ``n_threads``; as many threads decode."""
    artifact = load_artifact(model)
    classifier = Classifier(artifact, engine=engine)
    classifier.members[0].engine = open_engine(artifact, engine, n_threads=n_threads)

    def read(path: Path) -> tuple[Any, ...]:
        return classifier.decode(path.read_bytes(), str(path))

    pixels = np.stack([each for (each,) in threads.map(read, paths)])
    return Side(
        name,
        lambda n: classifier.engine.logits(pixels[:n]),
        lambda n: classifier.predict_decoded([*threads.map(read, paths[:n])], 5),
    )


def all_sides(
    model: Path, exports: dict[str, Path], paths: Sequence[Path], threads: ThreadPoolExecutor, n_threads: int
) -> Iterator[Side]:
    """Yield all sides, opened for a number of threads."""
    artifact = load_artifact(model)
    yield our_side(TORCH, model, "torch", paths, threads, n_threads)
    yield torchvision_side(paths, artifact.architecture.image_size, len(artifact.classes), threads)
    for engine, title in ENGINES.items():
        for precision, path in exports.items():
            yield our_side(f"{title} {precision}", path, engine, paths, threads, n_threads)


def measure(sides: Sequence[Side], n_threads: int, batches: Sequence[int], n_rounds: int) -> list[Result]:
    """Measure all sides in turns."""
    torch.set_num_threads(n_threads)
    works: dict[tuple[bool, int, str], Callable[[], object]] = {
        (from_files, batch, side.name): partial(side.from_files if from_files else side.from_pixels, batch)
        for from_files in (False, True)
        for batch in batches
        for side in sides
    }
    found: dict[tuple[bool, int, str], list[tuple[float, float]]] = {key: [] for key in works}
    for number in range(n_rounds + 1):
        for (from_files, batch, name), work in works.items():
            took = milliseconds(work, batch)
            if number:  # the first round is warm-up
                found[from_files, batch, name].append(took)
        print(f"threads: {n_threads}, round {number} of {n_rounds}", file=sys.stderr, flush=True)
    return [
        Result(name, n_threads, from_files, batch, *(tuple(each) for each in zip(*times, strict=True)))
        for (from_files, batch, name), times in found.items()
    ]


def milliseconds(work: Callable[[], object], batch: int) -> tuple[float, float]:
    """Return the wall time and the CPU time of something, an image."""
    n = N_ONE if batch == 1 else 1
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(n):
        work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return 1000 * wall / (n * batch), 1000 * cpu / (n * batch)


def table(results: Sequence[Result], floors: dict[str, dict[int, float]]) -> str:
    """Return the results with one number of threads, from pixels or from files, as a table in Markdown.

    Args:
        results: of all sides and batches.
        floors: milliseconds an image by the name of a floor and the batch; NaN where there is none.
    """
    batches = sorted({result.batch for result in results})
    by_place = {(result.side, result.batch): result for result in results}
    heads = [f"{n} at a time: wall, ms | CPU, ms | times torch" for n in batches]
    lines = [f"| an image | {' | '.join(heads)} |", f"|---|{'---|---|---|' * len(batches)}"]
    for side in dict.fromkeys(result.side for result in results):
        cells = []
        for batch in batches:
            result = by_place[side, batch]
            median, least, most = result.times_faster_than(by_place[TORCH, batch])
            medians = f"{statistics.median(result.wall):.1f} | {statistics.median(result.cpu):.1f}"
            cells.append(f"{medians} | **{median:.2f}** ({least:.2f} to {most:.2f})")
        lines.append(f"| {side} | {' | '.join(cells)} |")
    for name, times in floors.items():
        cells = [f"{times[batch]:.1f} | | " if batch in times else "| | " for batch in batches]
        lines.append(f"| {name} | {'| '.join(cells)}|")
    return "\n".join(lines)


def targets(results: Sequence[Result], facts: dict[str, Any], batch: int) -> list[dict[str, Any]]:
    """Return how much faster than torch the better engine is, beside what it must be: one thread, from pixels."""
    wanted = [(INT8, 1, 3.5)] if has_fast_int8(facts) else [(INT8, 1, 2.2), (SHRUNK, 1, 3.5), (INT8, batch, 2.7)]
    by_place = {
        (result.side, result.batch): result for result in results if result.n_threads == 1 and not result.from_files
    }
    found = []
    for precision, n, least in wanted:
        ratios = {
            title: by_place[f"{title} {precision}", n].times_faster_than(by_place[TORCH, n])[0]
            for title in ENGINES.values()
        }
        best = max(ratios, key=ratios.__getitem__)
        found.append(
            {"what": precision, "batch": n, "engine": best, "ratio": round(ratios[best], 2), "at_least": least}
        )
    return found


def exported(model: Path, data: Path | None, folder: Path) -> dict[str, Path]:
    """Export a model in each precision; an export of it that lies in the folder already is used again."""
    artifact = load_artifact(model)
    found = {precision: folder / f"{precision.replace(' ', '-')}.onnx" for precision in (FP32, INT8, SHRUNK)}
    for precision, path in found.items():
        if not path.exists() or not is_export_of(path, artifact):
            print(f"exporting {path.name}", file=sys.stderr, flush=True)
            export(
                model,
                "onnx",
                precision="fp32" if precision == FP32 else "int8",
                shrink=precision == SHRUNK,
                calibrate=data,
                out=path,
                force=True,
            )
    return found


def is_export_of(path: Path, artifact: Artifact) -> bool:
    """Return whether a file is an export of a model: of the same training, for the same size."""
    export = load_artifact(path)
    return (export.architecture, export.classes, export.seen) == (
        artifact.architecture,
        artifact.classes,
        artifact.seen,
    )


def at_size(artifact: Artifact, size: int, folder: Path) -> Path:
    """Return a copy of a model for images of another size. Its weights fit any size."""
    copy = shutil.copytree(artifact.folder, folder / f"at {size} px")
    config = json.loads((copy / CONFIG).read_text(encoding="utf-8"))
    config["architecture"]["image_size"] = size
    (copy / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    return copy


def some_images(data: Path, n: int) -> list[Path]:
    """Return ``n`` images of a folder, from all over it; the same ones several times if there are fewer."""
    found = [each for each in expand(data) if isinstance(each, Path) and each.suffix.lower() in (".jpg", ".jpeg")]
    return list(islice(cycle(found[:: max(1, len(found) // n)]), n))


def compare(
    model: Path, exports: dict[str, Path], paths: Sequence[Path], batches: Sequence[int], n_rounds: int
) -> tuple[list[Result], dict[int, Rates]]:
    """Measure everything, with one thread and with all."""
    results: list[Result] = []
    rates: dict[int, Rates] = {}
    for n_threads in sorted({1, n_cores()}):
        rates[n_threads] = measure_rates(n_threads)
        with ThreadPoolExecutor(n_threads) as threads:
            sides = list(all_sides(model, exports, paths, threads, n_threads))
            results += measure(sides, n_threads, batches, n_rounds)
        rates[n_threads] = rates[n_threads].best(measure_rates(n_threads))
    return results, rates


def report(
    model: Path,
    exports: dict[str, Path],
    results: Sequence[Result],
    rates: dict[int, Rates],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Print the tables and the targets; return all as JSON."""
    net = load_artifact(model).architecture
    batches = sorted({result.batch for result in results})
    sizes = {precision: path.stat().st_size for precision, path in exports.items()}
    print(describe(facts))
    print(f"{net.variant} at {net.image_size} px, {net.n_parameters:,} parameters, {net.n_mult_adds:,} multiply-adds")
    print("; ".join(f"{precision}: {n_bytes / 1e6:.1f} MB" for precision, n_bytes in sizes.items()))
    for n_threads, rate in rates.items():
        floors = {"floor, fp32": {batch: 1000 * floor(net, rate, batch) for batch in batches}}
        for precision, n_bytes in sizes.items():
            floors[f"reading {precision} once"] = {1: 1000 * reading_floor(n_bytes, rate)}
        for from_files in (False, True):
            chosen = [each for each in results if (each.n_threads, each.from_files) == (n_threads, from_files)]
            what = "from JPEG files to probabilities" if from_files else "from pixels in memory"
            count = "1 thread" if n_threads == 1 else f"{n_threads} threads"
            print(f"\n{what}, {count}\n\n{table(chosen, {} if from_files else floors)}")
        read, done = rate.bytes_read / 1e9, 2 * rate.mult_adds / 1e9
        print(f"\nmeasured: {read:.1f} GB/s read, {done:.0f} GFLOP/s of the matrix product")
    found = targets(results, facts, batches[-1])
    print()
    for each in found:
        is_reached = "reached" if each["ratio"] >= each["at_least"] else "missed"
        images = "one image" if each["batch"] == 1 else f"{each['batch']} images"
        print(
            f"{each['what']}, {images}: {each['ratio']:.2f} times torch ({each['engine']}), "
            f"at least {each['at_least']}: {is_reached}"
        )
    return {
        "machine": facts,
        "image_size": net.image_size,
        "bytes": sizes,
        "rates": {n_threads: asdict(rate) for n_threads, rate in rates.items()},
        "results": [asdict(result) for result in results],
        "targets": found,
    }


def processes(exports: dict[str, Path], image: Path, n_rounds: int, facts: dict[str, Any]) -> dict[str, Any]:
    """Print and return the CPU time and wall time of whole processes, in turns."""
    commands: dict[str, tuple[str, ...]] = {
        precision: ("-m", "alexnet", "predict", str(exports[precision]), str(image)) for precision in MOST_SECONDS
    }
    commands["only importing"] = ("-c", "import numpy, PIL, onnxruntime")
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(n_rounds):
        for name, words in commands.items():
            took[name].append(process_seconds(words))
    print(describe(facts))
    found = {}
    for name, times in took.items():
        cpu, wall = (statistics.median(each) for each in zip(*times, strict=True))
        most = MOST_SECONDS.get(name)
        limit = "" if most is None else f", at most {most}: {'reached' if cpu <= most else 'missed'}"
        print(f"{name}: {cpu:.2f} s of CPU time, {wall:.2f} s of wall time{limit}")
        found[name] = {"cpu": cpu, "wall": wall, "at_most": most, "times": times}
    return {"machine": facts, "processes": found}


def process_seconds(words: Sequence[str]) -> tuple[float, float]:
    """Run Python with some words; return the CPU time and the wall time of the process."""
    usual = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")}
    usual["ORT_DISABLE_TELEMETRY"] = "1"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], env=usual, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--size", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--exports", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE")
    parser.add_argument("--process", action="store_true")
    chosen = parser.parse_args(arguments)
    facts = machine(PACKAGES)
    artifact = load_artifact(chosen.model)
    data = chosen.data or Path(str(artifact.provenance.get("data", "")))
    paths = some_images(data, chosen.batch)
    if not paths:
        parser.error(f"there are no JPEG files in {str(data)!r}; give DATA")
    with tempfile.TemporaryDirectory(prefix="alexnet-benchmark-") as temporary:
        folder = chosen.exports or Path(temporary)
        folder.mkdir(exist_ok=True)
        model = chosen.model if chosen.size is None else at_size(artifact, chosen.size, Path(temporary))
        # A copy of the model has no run, and with it no images to calibrate on.
        exports = exported(model, chosen.data if chosen.size is None else data, folder)
        if chosen.process:
            found = processes(exports, paths[0], chosen.rounds, facts)
        else:
            results, rates = compare(model, exports, paths, (1, chosen.batch), chosen.rounds)
            found = report(model, exports, results, rates, facts)
    if chosen.out:
        write_atomically(chosen.out, json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
