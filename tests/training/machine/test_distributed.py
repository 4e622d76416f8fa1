"""Several processes, for real: talking over gloo, started by torchrun or with the environment that it gives them."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from alexnet.data.batches.examples import Shard
from alexnet.errors import SettingsError
from alexnet.training.machine.distributed import Group, init_distributed

from ...conftest import make_image_folder
from ...forked import start, start_group, wait_for

SMALL = str(Path(__file__).parents[1] / "small.py")
SAME = ("--image-size", "67", "--batch-size", "14", "--precision", "fp32", "--epochs", "3", "--device", "cpu")
QUICK = ("--variant", "batchnorm", *SAME)
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


def launch(n: int, *arguments: object, cwd: Path) -> tuple[str, str]:
    """Run ``alexnet`` with a small network in ``n`` processes; return all they say on stdout and on stderr."""
    return run_script(n, SMALL, *arguments, cwd=cwd)


def run_script(n: int, *arguments: object, cwd: Path) -> tuple[str, str]:
    """Run a Python script in ``n`` processes that end well."""
    processes = [start(*arguments, cwd=cwd)] if n == 1 else start_group(n, *arguments, cwd=cwd)
    said = wait_for(processes)
    assert [each.returncode for each in processes] == [0] * n, "".join(err for _, err in said)
    return "".join(out for out, _ in said), "".join(err for _, err in said)


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def recipe_of(run: Path) -> dict:
    return json.loads((run / "settings.json").read_text())["resolved"]["recipe"]


@pytest.fixture(scope="module")
def odd_images(tmp_path_factory) -> Path:
    """57 training and 15 val images, so that neither batches nor val can be halved."""
    root = tmp_path_factory.mktemp("odd")
    make_image_folder(root / "train", n_each=19)
    make_image_folder(root / "val", n_each=5)
    return root


@pytest.fixture(scope="module")
def one(odd_images, tmp_path_factory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    launch(1, "train", odd_images, *QUICK, "--out", folder / "one", cwd=folder)
    return folder / "one"


def assert_same_learning(one: Path, two: Path) -> None:
    """pytorch/vision #4559: validation counts every image once, though 15 cannot be halved."""
    assert recipe_of(one) == recipe_of(two)
    # With Muon, and without dropout: then small maps are pooled and fed to fc6 as one matrix.
    assert (recipe_of(two)["optimizer"], recipe_of(two)["dropout"]) == ("muon", 0.0)
    assert [line["epoch"] for line in metrics(two)] == [1, 2, 3]
    for ours, theirs in zip(metrics(one), metrics(two), strict=True):
        assert theirs["train_loss"] == pytest.approx(ours["train_loss"], rel=1e-4)
        assert theirs["val_loss"] == pytest.approx(ours["val_loss"], rel=1e-4)
        assert theirs["val_top1"] == ours["val_top1"], "the same images, each counted once"
    weights, same = (load_file(run / "model" / "model.safetensors") for run in (one, two))
    assert weights.keys() == same.keys()


@pytest.mark.slow  # test_two_machines_learn_what_one_learns, which CI runs, uses torchrun too
def test_two_processes_of_torchrun_learn_what_one_learns(odd_images, one, tmp_path) -> None:
    command = [*TORCHRUN, "--standalone", "--nproc-per-node", "2", SMALL, "train", odd_images, *QUICK]
    done = subprocess.run([*command, "--out", tmp_path / "two"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_same_learning(one, tmp_path / "two")
    assert done.stdout.count("trained ") == 1, "one of them speaks"
    assert "2 processes" in done.stderr
    assert done.stderr.count("train, ") == 1
    assert "Warning" not in done.stderr


def test_two_processes_learn_what_one_learns_of_augmented_images(odd_images, tmp_path) -> None:
    options = (odd_images, *QUICK, "--mixup", "0.2", "--cutmix", "1", "--erasing", "0.5", "--balance", "loss")
    launch(1, "train", *options, "--out", tmp_path / "one", cwd=tmp_path)
    launch(2, "train", *options, "--out", tmp_path / "two", cwd=tmp_path)
    assert_same_learning(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_the_recipe_of_2012(odd_images, tmp_path) -> None:
    """Crops for 32 images at a time reach over the parts of a batch, and the mean image is summed in two parts."""
    options = (odd_images, *QUICK, "--recipe", "original")
    for n in (1, 2):
        launch(n, "train", *options, "--out", tmp_path / str(n), cwd=tmp_path)
    one, two = tmp_path / "1", tmp_path / "2"
    assert [line["train_loss"] for line in metrics(two)] == pytest.approx(
        [line["train_loss"] for line in metrics(one)], rel=1e-4
    )
    weights, same = (load_file(run / "model" / "model.safetensors") for run in (one, two))
    assert torch.equal(weights["mean_image"], same["mean_image"])
    for name, each in weights.items():
        assert torch.allclose(each, same[name], rtol=1e-3, atol=1e-4), name


def test_two_processes_choose_the_same_network(odd_images, tmp_path) -> None:
    options = (odd_images, "--image-size", "32", *SAME[2:])
    launch(1, "train", *options, "--out", tmp_path / "one", cwd=tmp_path)
    _, err = launch(2, "train", *options, "--out", tmp_path / "two", cwd=tmp_path)
    assert err.count("variant small: ") == 1, "one of them speaks"
    assert_same_learning(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(("precision", "n_parts"), [("fp32", 1), pytest.param("bf16", 2, marks=pytest.mark.slow)])
def test_several_processes_resume_together_to_the_bit(odd_images, tmp_path, precision, n_parts) -> None:
    options = (*QUICK, "--precision", precision, "--accumulate", str(n_parts))
    launch(2, "train", odd_images, *options, "--out", tmp_path / "whole", cwd=tmp_path)
    script = tmp_path / "stop.py"
    script.write_text(f"""
import runpy
from alexnet import Settings
from alexnet.network.value.variants import VARIANTS
from alexnet.training.session import Session
VARIANTS["batchnorm"] = runpy.run_path({SMALL!r})["SMALL"]
settings = Settings(variant="batchnorm", image_size=67, batch_size=14, precision={precision!r}, epochs=3, device="cpu",
                    accumulate={n_parts})
session = Session.start({str(odd_images)!r}, {str(tmp_path / "cut")!r}, settings)
for number, _ in enumerate(session.reports(), start=1):
    if number == 6 and session.training.group.rank == 1:
        session.training.stop.signal = 15  # one of them is asked; both stop, after the same step
assert session.training.stop.agreed
""")
    run_script(2, script, cwd=tmp_path)
    assert not (tmp_path / "cut" / "model").exists()
    launch(2, "train", "--resume", tmp_path / "cut", cwd=tmp_path)
    assert recipe_of(tmp_path / "cut")["optimizer"] == "muon"
    whole, cut = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_several_processes_compute_in_one_precision(tmp_path) -> None:
    script = tmp_path / "connect.py"
    script.write_text("""
import os
from alexnet import Settings
from alexnet.training.machine import runtime
from alexnet.training.assembly import init_runtime
runtime._cpu_has_bf16 = lambda: os.environ["RANK"] == "0"  # two machines that are not alike
runtime._cpu_prefers_bf16 = lambda: True
here, group = init_runtime(Settings(device="cpu"))
assert here.precision == "fp32", here
group.close()
""")
    run_script(2, script, cwd=tmp_path)


# With time-outs short enough for a test.
SHORT_TIMEOUT = """
import time, torch
from datetime import timedelta
from alexnet.errors import SettingsError
from alexnet.training.machine import distributed
distributed.RENDEZVOUS_TIMEOUT = timedelta(seconds=2)
"""


@pytest.mark.parametrize(
    ("rank", "address", "reason"),
    [
        ("0", "127.0.0.1", "1/2 clients joined"),
        ("1", "127.0.0.1", "timed out"),
        ("1", None, "environment variable MASTER_ADDR expected, but not set"),
    ],
)
def test_a_process_that_cannot_connect_ends_with_an_error(tmp_path, rank, address, reason) -> None:
    """Its launcher may have died, which would have ended it: as an orphan it would wait for twelve hours."""
    script = tmp_path / "connect.py"
    script.write_text(f"""{SHORT_TIMEOUT}
try:
    distributed.init_distributed(torch.device("cpu"))
except SettingsError as error:
    print(error)
""")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    place = {} if address is None else {"MASTER_ADDR": address, "MASTER_PORT": port}
    out, _ = start(script, cwd=tmp_path, WORLD_SIZE="2", RANK=rank, **place).communicate()
    (line,) = out.splitlines()
    assert line.startswith(f"process {rank} of 2 cannot connect to the others at {':'.join(place.values()) or '?:?'}: ")
    assert reason in line
    assert "check that all were started" in line
    assert len(line) < 300


def test_connected_processes_wait_longer_than_the_rendezvous(tmp_path) -> None:
    script = tmp_path / "wait.py"
    script.write_text(f"""{SHORT_TIMEOUT}
group = distributed.init_distributed(torch.device("cpu"))
for wait in (group.all_gather, lambda _: group.close()):
    if group.rank == 0:
        time.sleep(4)
    wait(0)
""")
    run_script(2, script, cwd=tmp_path)


def test_a_last_batch_with_fewer_images_than_processes(odd_images, tmp_path) -> None:
    """57 images in batches of 11 leave 2 for 3 processes: one of them has none."""
    options = (odd_images, "--image-size", "67", "--batch-size", "11", "--precision", "fp32", "--epochs", "1")
    launch(1, "train", *options, "--device", "cpu", "--out", tmp_path / "one", cwd=tmp_path)
    launch(3, "train", *options, "--device", "cpu", "--out", tmp_path / "three", cwd=tmp_path)
    (one,), (three,) = metrics(tmp_path / "one"), metrics(tmp_path / "three")
    assert three["train_loss"] == pytest.approx(one["train_loss"], rel=1e-4)
    assert three["val_top1"] == one["val_top1"]


@pytest.fixture
def two_machines():
    """Two network namespaces joined by a virtual cable: names, addresses and interfaces of two hosts."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and the ip command to make network namespaces")
    hosts = [("alexnet-a", "10.213.7.1", "alexnet-va"), ("alexnet-b", "10.213.7.2", "alexnet-vb")]

    def ip(words: str) -> None:
        done = subprocess.run(["ip", *words.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine does not allow network namespaces: {done.stderr.strip()}")

    try:
        for name, _, _ in hosts:
            ip(f"netns add {name}")
        ip(f"link add {hosts[0][2]} type veth peer name {hosts[1][2]}")
        for name, address, interface in hosts:
            ip(f"link set {interface} netns {name}")
            ip(f"-n {name} addr add {address}/24 dev {interface}")
            ip(f"-n {name} link set {interface} up")
            ip(f"-n {name} link set lo up")
        yield hosts
    finally:
        for name, _, _ in hosts:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.mark.soak
def test_two_machines_learn_what_one_learns(odd_images, one, tmp_path, two_machines) -> None:
    processes = []
    for rank, (host, _, interface) in enumerate(two_machines):
        group = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(rank),
                 "--master-addr", two_machines[0][1], "--master-port", "29517"]  # fmt: skip
        command = ["ip", "netns", "exec", host, *TORCHRUN, *group, SMALL, "train", odd_images, *QUICK]
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": interface,
                       "ALEXNET_CACHE": str(tmp_path / f"cache of {host}")}  # fmt: skip
        # Each machine has a disk of its own: the run is written by the first, in its own working folder.
        (tmp_path / host).mkdir()
        processes.append(
            subprocess.Popen([*command, "--out", "run"], cwd=tmp_path / host, env=environment, stderr=subprocess.PIPE)
        )
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err.decode()
    assert_same_learning(one, tmp_path / "alexnet-a" / "run")
    assert not (tmp_path / "alexnet-b" / "run").exists(), "only the first one writes"


def test_alone_it_is_a_group_of_one() -> None:
    group = init_distributed(torch.device("cpu"))
    assert group == Group()
    assert group.is_main
    assert group.shard == Shard()
    assert group.all_reduce(1.5, True) == (1.5, True)
    assert group.broadcast("x") == "x"
    assert group.all_gather("x") == ["x"]
    with group.local_main_first():
        pass


def test_devices_that_cannot_be_shared_are_refused(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="several processes cannot train on mps"):
        init_distributed(torch.device("mps"))
