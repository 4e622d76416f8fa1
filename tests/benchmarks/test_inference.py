"""``python -m benchmarks.inference``: every side runs, and the numbers are what they say."""

import json
import math
import time
from importlib import import_module
from pathlib import Path

import pytest
import torch

from alexnet.model.opening import load_artifact
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Conv

ROOT = Path(__file__).parents[2]
SIDES = [
    "torch",
    "torchvision",
    *(f"{engine} {name}" for engine in ("ONNX Runtime", "OpenVINO") for name in ("fp32", "int8", "shrunk int8")),
]


@pytest.fixture
def part(monkeypatch):
    """Import a module of the benchmarks by name."""
    monkeypatch.syspath_prepend(ROOT)
    n_threads = torch.get_num_threads()
    yield lambda name: import_module(f"benchmarks.{name}")
    torch.set_num_threads(n_threads)


@pytest.mark.soak
def test_every_side_runs(part, trained_run, image_folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(part("floor"), "N_NUMBERS", 1 << 20)
    monkeypatch.setattr(part("floor"), "PRODUCT_SIDE", 256)
    inference = part("inference")
    monkeypatch.setattr(inference, "n_cores", lambda: 2)
    words = [str(trained_run), str(image_folder), "--rounds", "1", "--batch", "3", "--exports", str(tmp_path / "made")]
    inference.main([*words, "--out", str(tmp_path / "report.json")])
    report = json.loads((tmp_path / "report.json").read_text())
    places = {(each["n_threads"], each["from_files"], each["batch"]) for each in report["results"]}
    assert places == {(threads, files, batch) for threads in (1, 2) for files in (False, True) for batch in (1, 3)}
    for place in places:
        at = [each for each in report["results"] if (each["n_threads"], each["from_files"], each["batch"]) == place]
        assert [each["side"] for each in at] == SIDES
        assert all(len(each["wall"]) == len(each["cpu"]) == 1 and each["wall"][0] > 0 for each in at)
    assert report["bytes"]["int8"] < report["bytes"]["fp32"]
    assert report["machine"]["versions"].keys() >= {"torch", "torchvision", "onnxruntime", "openvino"}
    out = capsys.readouterr().out
    assert out.count("\n| an image |") == 4
    assert "times torch" in out

    # The same exports, and whole processes.
    before = {each: each.stat().st_mtime_ns for each in (tmp_path / "made").iterdir()}
    inference.main([*words, "--process", "--out", str(tmp_path / "report.json")])
    found = json.loads((tmp_path / "report.json").read_text())["processes"]
    assert list(found) == ["int8", "fp32", "only importing"]
    assert all(each["cpu"] > 0 for each in found.values())
    assert {each: each.stat().st_mtime_ns for each in (tmp_path / "made").iterdir()} == before


@pytest.fixture
def results(part):
    """Made-up results of one place: torch takes 20 ms, then 24; the others a tenth of a millisecond less each."""
    result = part("inference").Result
    return [
        result(side, 1, False, batch, (20.0 - number, 24.0 - number), (20.0 - number, 24.0 - number))
        for batch in (1, 64)
        for number, side in enumerate(SIDES)
    ]


def test_ratios_are_of_the_same_round(part, results) -> None:
    slow, fast = results[0], results[5]
    median, least, most = fast.times_faster_than(slow)
    assert (least, most) == (24 / 19, 20 / 15)
    assert median == pytest.approx((least + most) / 2)
    assert slow.times_faster_than(slow) == (1, 1, 1)


def test_a_table_has_a_line_for_each_side_and_floor(part, results) -> None:
    lines = part("inference").table(results, {"floor": {1: 1.5, 64: 0.5}, "reading": {1: 1.25}}).splitlines()
    assert len({line.count("|") for line in lines}) == 1, "as many columns everywhere"
    assert lines[2] == "| torch | 22.0 | 22.0 | **1.00** (1.00 to 1.00) | 22.0 | 22.0 | **1.00** (1.00 to 1.00) |"
    assert [line.split(" |")[0][2:] for line in lines[2:]] == [*SIDES, "floor", "reading"]
    assert lines[-2].split("|")[2:8] == [" 1.5 ", " ", " ", " 0.5 ", " ", " "]
    assert lines[-1].split("|")[2:8] == [" 1.2 ", " ", " ", " ", " ", " "]


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["avx2"], [("int8", 1, 2.2), ("shrunk int8", 1, 3.5), ("int8", 64, 2.7)]),
        (["avx2", "avx512_vnni"], [("int8", 1, 3.5)]),
        (["avx_vnni"], [("int8", 1, 3.5)]),
        (["avx512_bf16"], [("int8", 1, 3.5)]),
    ],
)
def test_the_faster_engine_is_beside_what_is_wanted(part, results, flags, wanted) -> None:
    found = part("inference").targets(results, {"flags": flags}, 64)
    assert [(each["what"], each["batch"], each["at_least"]) for each in found] == wanted
    assert {each["engine"] for each in found} == {"OpenVINO"}, "it is later in the list, so it is faster"
    assert found[0]["ratio"] == pytest.approx((20 / 14 + 24 / 18) / 2, abs=0.005)


def test_the_floor_is_the_longer_of_reading_and_arithmetic(part) -> None:
    floor = part("floor")
    net = Architecture(layers=(Conv(channels=4, kernel=3),), hidden=(8,), grid=1, n_classes=3, image_size=67)
    rates = floor.Rates
    assert floor.floor(net, rates(1.0, math.inf), 1) == 4 * net.n_parameters
    assert floor.floor(net, rates(1.0, math.inf), 8) == 4 * net.n_parameters / 8, "read once for all of them"
    for batch in (1, 8):
        assert floor.floor(net, rates(math.inf, 1.0), batch) == net.n_mult_adds
    both = floor.floor(net, rates(1.0, 1.0), 1)
    assert max(4 * net.n_parameters, net.n_mult_adds) < both < 4 * net.n_parameters + net.n_mult_adds


def test_the_better_rates_count(part) -> None:
    floor = part("floor")
    assert floor.Rates(1.0, 4.0).best(floor.Rates(2.0, 3.0)) == floor.Rates(2.0, 4.0)


def test_a_machine_is_named(part, monkeypatch) -> None:
    floor = part("floor")
    said = {"model name": "Fast CPU", "flags": "sse avx2 fma avx_vnni"}
    monkeypatch.setattr(floor, "_cpuinfo", lambda: said)
    facts = floor.machine(["torch", "not-installed"])
    assert (facts["cpu"], facts["flags"]) == ("Fast CPU", ["avx2", "fma", "avx_vnni"])
    assert list(facts["versions"]) == ["torch"]
    assert floor.has_fast_int8(facts)
    assert floor.describe(facts).startswith("Fast CPU, ")
    monkeypatch.setattr(floor, "_cpuinfo", dict)
    facts = floor.machine([])
    assert facts["cpu"]
    assert not floor.has_fast_int8(facts)


def test_time_is_of_one_image(part) -> None:
    calls = []
    wall, cpu = part("inference").milliseconds(lambda: (calls.append(1), time.sleep(0.01)), 1)
    assert len(calls) == part("inference").N_ONE
    assert wall >= 10
    assert cpu < wall, "sleeping is no work"
    wall, _ = part("inference").milliseconds(lambda: time.sleep(0.02), 4)
    assert wall >= 5


def test_images_are_from_all_over_a_folder(part, trained_run, image_folder, tmp_path) -> None:
    some_images = part("inference").some_images
    assert {path.parent.name for path in some_images(image_folder, 6)} == {"blue", "green", "red"}
    assert len(some_images(image_folder / "red", 100)) == 100, "the same ones again"
    assert some_images(tmp_path, 3) == []
    with pytest.raises(SystemExit, match="2"):
        part("inference").main([str(trained_run), str(tmp_path)])


def test_a_model_is_measured_at_another_size(part, trained_run, tmp_path) -> None:
    before = load_artifact(trained_run)
    copy = part("inference").at_size(before, 99, tmp_path)
    assert load_artifact(copy).architecture.image_size == 99
    assert load_artifact(trained_run).architecture.image_size == before.architecture.image_size == 67
