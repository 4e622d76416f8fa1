"""``python -m benchmarks.gpu`` on a machine without a GPU: every part runs, and no result is lost."""

import json
import subprocess
import sys
import time
import zipfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from alexnet.training.choices.recipes import MODERN, RECIPES

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gpu(monkeypatch):
    """Import a module of the benchmarks by name."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: import_module(f"benchmarks.gpu.{name}")


@pytest.fixture
def bench(gpu, tmp_path):
    module = gpu("bench")
    return module.Bench(module.SMOKE, None, tmp_path, smoke=False)


@pytest.mark.slow
def test_every_part_runs_on_a_cpu(tmp_path) -> None:
    out, began = tmp_path / "report.json", time.monotonic()
    command = [sys.executable, "-m", "benchmarks.gpu", "--smoke", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert json.loads(out.read_text(encoding="utf-8")) == report
    parts = report["parts"]
    assert list(parts) == ["tests", "throughput", "inference", "cifar", "trashnet", "sweep"]
    assert [name for name, part in parts.items() if "not_run" in part] == []
    assert parts["tests"]["passed"] + parts["tests"]["skipped"] >= 6
    assert parts["tests"]["failed"] == 0
    assert {(each["variant"], each["mode"]) for each in parts["throughput"]["rates"]} == {
        (variant, mode)
        for variant in ("batchnorm", "paper")
        for mode in ("on the device", "streamed", "step alone", "usual")
    }
    assert len(parts["inference"]["rates"]) == 6
    assert [run["is_finished"] for run in parts["cifar"]["runs"]] == [True, True]
    assert len(parts["trashnet"]["ratios"]) == 1
    assert len(parts["sweep"]["means"]) == 11
    assert time.monotonic() - began < 240, "with two more processes beside it"


def test_what_was_measured_is_kept_and_what_was_not_has_a_reason(gpu, bench, tmp_path, monkeypatch) -> None:
    main, out = gpu("__main__"), tmp_path / "report.json"
    seen = []

    def slow(bench):
        seen.append(bench.left)
        yield {"n": 1}
        assert json.loads(out.read_text(encoding="utf-8"))["parts"]["slow"] == {"n": 1}, "written at once"
        yield {"n": 2}
        raise RuntimeError("out of memory")

    def quick(bench):
        seen.append(bench.left)
        yield {"n": 3}

    def without_data(bench):
        bench.trashnet()
        yield {}

    monkeypatch.setattr(main, "PARTS", {"slow": (slow, 1), "quick": (quick, 3), "data": (without_data, 4)})
    report = main.run_parts(bench, ["slow", "quick", "data"], time.monotonic() + 80, out)
    assert seen == pytest.approx([80 / 8, 80 * 3 / 7], abs=3), "of the time that is left"
    parts = report["parts"]
    assert (parts["slow"]["n"], parts["slow"]["error"]) == (2, "RuntimeError: out of memory")
    assert parts["quick"]["n"] == 3
    assert parts["data"]["not_run"] == "there is no folder 'trashnet5' in DATA"
    late = main.run_parts(bench, ["quick"], time.monotonic() + 1, None)
    assert "its share of the time that is left is 1.0 s" in late["parts"]["quick"]["not_run"]
    assert len(seen) == 2


def test_the_sweep_changes_one_number_at_a_time(gpu) -> None:
    sweep, scale = gpu("sweep"), gpu("bench").SMOKE
    as_it_is, _ = sweep.changed(scale, "as it is", 1.0, 0)
    for name, factors in sweep.SWEPT.items():
        for factor in factors:
            settings, value = sweep.changed(scale, name, factor, 0)
            recipes = [asdict(each.resolved_recipe) for each in (as_it_is, settings)]
            networks = [asdict(each.network()) for each in (as_it_is, settings)]
            different = {key for a, b in (recipes, networks) for key in a if a[key] != b[key]}
            assert different == {name.partition(".")[0]}
            assert value is not None
    assert sweep.changed(scale, "augmentation.area", 2, 0)[1] == (2 * MODERN.augmentation.area[0], 1.0)
    assert RECIPES["modern"] is MODERN


def test_gains_are_over_the_same_seeds(gpu) -> None:
    runs = [
        {"changed": changed, "factor": 2.0, "seed": seed, "val_top1": top1, "val_loss": 1.0}
        for changed, seed, top1 in (("as it is", 0, 0.5), ("lr", 0, 0.6), ("as it is", 1, 0.9), ("ema", 1, 0.8))
    ]
    means = {each["changed"]: each for each in gpu("sweep")._means(runs)}
    assert (means["as it is"]["val_top1"], means["as it is"]["n_seeds"]) == (0.7, 2)
    assert (means["lr"]["val_top1_gain"], means["ema"]["val_top1_gain"]) == (0.1, -0.1)


def test_a_run_that_the_end_of_the_time_stopped_does_not_count(gpu) -> None:
    def run(side, seed, seconds, *, is_reached=True, is_stopped=False):
        return {
            "side": side,
            "seed": seed,
            "seconds": seconds,
            "is_reached": is_reached,
            "is_stopped": is_stopped,
        }

    runs = [run("ours", 0, 2.0), run("usual", 0, 8.0), run("ours", 1, 3.0)]
    summary = gpu("accuracy")._summary([*runs, run("usual", 1, 1.0, is_reached=False, is_stopped=True)])
    assert summary["ratios"] == [4.0]
    assert (summary["median_seconds"], summary["ratio_is_bound"]) == ({"usual": 8.0, "ours": 2.5}, False)
    bound = gpu("accuracy")._summary([*runs, run("usual", 1, 9.0, is_reached=False)])
    assert (bound["median_ratio"], bound["ratio_is_bound"]) == (3.5, True)


def test_packed_images_are_smaller_and_keep_their_places(gpu, tmp_path, monkeypatch) -> None:
    images, pack = gpu("images"), gpu("pack")
    data, packed = tmp_path / "data", tmp_path / "packed"
    images.make_folder(data / "trashnet5", n_train=2, sides=(512, 384))
    images.make_archive(data / "cifar10_all.zip")
    monkeypatch.setattr(pack, "N_TRAIN", 30)
    pack.pack(data, packed)
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*.jpg")) for folder in (data, packed)]
    assert [name for name in names[0] if name.parts[0] == "trashnet5"] == names[1]
    with Image.open(packed / names[1][0]) as image:
        assert image.size == (256, 192)
    with zipfile.ZipFile(packed / "cifar10_part.zip") as archive:
        of_red = [name for name in archive.namelist() if name.startswith("cifar10/train/red/")]
    assert len(of_red) == 10, "30 of three classes"
    with pytest.raises(FileExistsError):
        pack.pack(data, packed)
    monkeypatch.setattr(pack, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match="more than 0"):
        pack.pack(data, tmp_path / "again")
