"""``python -m benchmarks.equal_compute``: the tables are those of the record, and every arm runs on a CPU."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from queue import Queue

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture
def part(monkeypatch):
    """Import a module of the experiment by name."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: import_module(f"benchmarks.equal_compute.{name}")


@pytest.mark.slow
def test_every_arm_runs_on_a_cpu(tmp_path) -> None:
    out = tmp_path / "results.jsonl"
    command = [sys.executable, "-m", "benchmarks.equal_compute", "--smoke", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(results) == len({result["arm"] for result in results}) == 77, "all that differ"
    assert all(math.isfinite(result["loss"]) for result in results)
    assert {(result["epochs"], result["steps"]) for result in results} == {(2.0, 4), (2.0, 8)}
    printed = done.stdout.splitlines()
    assert len(printed) == 1 + len(results)
    assert "epochs" in printed[0]
    assert any(line.startswith("M/base ") for line in printed)


# The steps that the arms took on the H100.
@pytest.mark.parametrize(("table", "name", "seed", "n_train", "n_steps"), [
    ("first", "S/modern", 0, 1588, 221),
    ("first", "S/sgd", 0, 1588, 291),
    ("first", "S/base", 0, 1588, 247),
    ("first", "S/drop.2", 0, 1588, 214),
    ("first", "S/batch32", 0, 1588, 390),
    ("first", "S/grow.7", 0, 1588, 434),
    ("first", "S/width.5", 0, 1588, 1016),
    ("first", "M/base", 0, 1588, 1030),
    ("first", "M/s83,128", 0, 1588, 762),
    ("first", "C/b128", 0, 20_000, 1872),
    ("second", "XS/67", 3, 1588, 140),
    ("second", "L/s160d.2a.35", 3, 1588, 1687),
    ("second", "M/b256", 3, 1588, 280),
    ("second", "C/up40e18", 3, 17_000, 4770),
])  # fmt: skip
def test_arms_take_the_steps_of_the_record(part, table, name, seed, n_train, n_steps) -> None:
    arms = {(name, seed): arm for name, seed, arm in part("tables").TABLES[table]()}
    assert part("cost").n_steps(arms[name, seed], n_train) == n_steps


def test_the_tables_have_the_arms_of_the_record(part) -> None:
    tables = {name: list(table()) for name, table in part("tables").TABLES.items()}
    assert {name: len(trials) for name, trials in tables.items()} == {"first": 368, "second": 62}
    for trials in tables.values():
        assert len({(name, seed) for name, seed, _ in trials}) == len(trials)
        assert all(sum(share for _, share in arm.sizes) == pytest.approx(1) for _, _, arm in trials)


@pytest.mark.parametrize(("variant", "size"), [("batchnorm", 99), ("small", 32)])
def test_a_network_keeps_its_predictions_when_it_grows(part, variant, size) -> None:
    arm = part("arm").Arm(variant=variant, width=0.125, grow=0.5, sizes=((size, 1.0),))
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    images = part("images").Images(pixels, torch.arange(4), 4)
    half = part("network").build(arm, 0.0625, images, size)
    full = part("network").widened(half, arm, images)
    inputs = part("images").whole(pixels, size)
    with torch.no_grad():
        before, after = half.eval()(inputs), full.eval()(inputs)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    weight = full.conv2.conv.weight
    assert len(weight) == 2 * len(half.conv2.conv.weight)
    assert not torch.allclose(weight[:, 0], weight[:, 1]), "else both would learn the same"


def test_an_image_is_trained_on_or_held_out(part, tmp_path) -> None:
    rng = np.random.default_rng(0)
    for split, n in (("train", 5), ("val", 3), ("test", 2)):
        for label in ("glass", "paper"):
            folder = tmp_path / "trashnet5" / split / label
            folder.mkdir(parents=True)
            for number in range(n):
                Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.jpg")
    images = part("images").load(tmp_path, "trashnet5", "cpu")
    assert (len(images), images.n_classes) == (16, 2), "without test"
    sums = []
    for seed in (0, 1):
        train, held_out = images.hold_out("trashnet5", seed)
        assert (len(train), len(held_out)) == (12, 4)
        sums.append({int(each.long().sum()) for each in held_out.pixels})
        assert sums[-1].isdisjoint(int(each.long().sum()) for each in train.pixels)
    assert sums[0] != sums[1]
    with pytest.raises(FileNotFoundError, match="cifar10"):
        part("images").load(tmp_path, "cifar10", "cpu")


def test_what_fails_is_a_result_and_the_rest_goes_on(part, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    import_module("benchmarks.gpu.images").make_archive(tmp_path / "cifar10.zip")
    arm = part("arm").Arm(images="cifar10", variant="small", width=0.125, batch_size=8, epochs=0.5, sizes=((20, 1.0),))
    todo, results = Queue(), Queue()
    for each in (("bad", 0, replace(arm, sizes=((2, 1.0),))), ("good", 1, arm), None):
        todo.put(each)
    part("workers")._work(todo, results, tmp_path, ["cifar10"])
    bad, good = results.get(), results.get()
    assert bad["arm"] == "bad"
    assert "too small" in bad["error"]
    assert good["seed"] == 1
    assert math.isfinite(good["loss"])
