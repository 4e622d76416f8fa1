"""Every experiment of the clone, end to end, at the scale smoke."""

import re
import shutil

import pytest

from alexnet.cli import run as alexnet
from alexnet.errors import DataError, InstallError, SettingsError
from alexnet.reproduction.plan.catalogue import ROOT, load_experiments
from alexnet.reproduction.reproduce import reproduce

NAMES = (
    "relu", "norm", "pools", "columns", "crops", "dropout", "decay", "views", "depth", "kernels", "beyond", "imagenet",
)  # fmt: skip


def test_each_experiment_says_what_it_is() -> None:
    experiments = load_experiments()
    assert tuple(experiments) == NAMES
    for name in NAMES:
        text = (ROOT / "experiments" / f"{name}.py").read_text(encoding="utf-8")
        for word in ("Claim:", "Source:", "Command: alexnet reproduce", "Time:", "Result:"):
            assert f"\n{word}" in text, (name, word)


def test_arms_and_claims_fit_together() -> None:
    for each in load_experiments().values():
        for scale, arms in each.arms.items():
            names = [arm.name for arm in arms]
            assert len(set(names)) == len(names)
            assert each.seeds[scale]
            assert each.seconds[scale] > 0
        # What only some scales can show has a claim all the same; but each arm of a claim is in one of them.
        known = {arm.name for arms in each.arms.values() for arm in arms}
        assert {claim.arm for claim in each.claims} | {claim.without for claim in each.claims} <= known
        if each.choice is not None:
            assert set(each.choice.arms) <= known


def test_gpu_fits_into_ten_minutes() -> None:
    assert sum(each.seconds["gpu"] for each in load_experiments().values()) <= 600


def test_all_of_it_runs_and_a_second_call_computes_nothing(tmp_path, capsys) -> None:
    assert alexnet(["reproduce", "--scale", "smoke", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"written to {tmp_path / 'paper.md'}\n"
    text = (tmp_path / "paper.md").read_text(encoding="utf-8")
    for each in load_experiments().values():
        assert f"\n## {each.title}\n" in text
        assert f"{each.name}: " in said.err
        stored = {path.stem for path in (tmp_path / "smoke" / each.name).glob("*.json")}
        assert {f"{arm.name}-{seed}" for arm in each.arms["smoke"] for seed in each.seeds["smoke"]} <= stored
    assert "images/s" in text
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    assert alexnet(["reproduce", "relu", "views", "--scale", "smoke", "--out", str(tmp_path)]) == 0
    assert re.findall(r"(\d+) of them new", capsys.readouterr().err) == ["0", "0"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


@pytest.mark.slow  # each process imports torch anew
def test_two_processes_store_the_same_runs(tmp_path) -> None:
    reproduce(["decay"], "smoke", out=tmp_path, jobs=2, say=lambda line: None)
    assert {path.name for path in (tmp_path / "smoke" / "decay").glob("*.json")} == {"original-0.json", "none-0.json"}


def test_an_unknown_name_has_a_nearest_one(capsys) -> None:
    with pytest.raises(SettingsError, match="unknown experiment 'depht'; did you mean 'depth'"):
        reproduce(["depht"], "smoke")


def test_smoke_results_are_not_stored_in_the_clone() -> None:
    with pytest.raises(SettingsError, match="give --out"):
        reproduce(["relu"], "smoke")


def test_a_folder_of_data_must_be_there(tmp_path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*--data"):
        reproduce(["relu"], "cpu", data=tmp_path / "nowhere", out=tmp_path)


def test_a_package_without_experiments_says_what_to_do(tmp_path) -> None:
    with pytest.raises(InstallError, match="clone the repository"):
        load_experiments(tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with pytest.raises(InstallError, match="clone the repository"):
        load_experiments(tmp_path)
