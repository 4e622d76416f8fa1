"""Two distributions from one source: each file is in one wheel, and the runtime works without what it does not hold."""

import json
import tarfile
import tomllib
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from packaging.requirements import Requirement

from alexnet.errors import ONLY_WHOLE
from alexnet.version import VERSION

from .runtime_environment import ROOT, alexnet_in, build_wheel, make_environment, run_in

SOURCE = ROOT / "src"
NEEDS = "needs the whole package; install it with: pip install alexnet"
PROJECTS = {"alexnet": ROOT, "alexnet-runtime": ROOT / "runtime"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("wheels")
    return {name: build_wheel(project, out) for name, project in PROJECTS.items()}


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory) -> Path:
    return make_environment(wheels["alexnet-runtime"], tmp_path_factory.mktemp("runtime"))


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    assert len(names) == len(set(names))
    return {name for name in names if ".dist-info/" not in name}


def metadata_of(wheel: Path, folder: Path) -> Distribution:
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder, [name for name in file.namelist() if ".dist-info/" in name])
    (found,) = folder.glob("*.dist-info")
    return Distribution.at(found)


def runtime_modules() -> list[str]:
    """The list that import-linter checks, and that decides what is in the runtime."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["name"] == "The runtime needs no torch")
    assert set(contract["forbidden_modules"]) == ONLY_WHOLE, "what is forbidden is what an error names"
    return contract["source_modules"]


def test_each_file_is_in_one_of_the_two_wheels(wheels) -> None:
    whole, runtime = files_of(wheels["alexnet"]), files_of(wheels["alexnet-runtime"])
    source = {path.relative_to(SOURCE).as_posix() for path in (SOURCE / "alexnet").rglob("*") if path.is_file()}
    assert whole & runtime == set()
    assert whole | runtime == {name for name in source if "__pycache__" not in name}
    assert {"alexnet/training/session.py", "alexnet/network/module/model.py", "alexnet/reporting/style.css"} <= whole
    assert {"alexnet/__init__.py", "alexnet/cli.py", "alexnet/py.typed", "alexnet/training/__init__.py"} <= runtime


def test_the_runtime_holds_the_modules_of_the_contract(wheels) -> None:
    modules, runtime = runtime_modules(), files_of(wheels["alexnet-runtime"])
    held = {name.removesuffix(".py").replace("/", ".") for name in runtime if not name.endswith("__init__.py")}
    held.remove("alexnet.py.typed")
    assert [name for name in held if not any(f"{name}.".startswith(f"{each}.") for each in modules)] == []
    assert [each for each in modules if not any(f"{name}.".startswith(f"{each}.") for name in held)] == []


def test_the_two_are_of_one_version_and_share_no_requirement(wheels, tmp_path) -> None:
    whole, runtime = (metadata_of(wheel, tmp_path / name) for name, wheel in wheels.items())
    assert whole.version == runtime.version == VERSION
    assert [each.name for each in whole.entry_points] == []
    assert [(each.name, each.value) for each in runtime.entry_points] == [("alexnet", "alexnet.cli:main")]
    each = [[Requirement(line) for line in of.requires or [] if "extra ==" not in line] for of in (whole, runtime)]
    required = [{requirement.name: str(requirement.specifier) for requirement in some} for some in each]
    assert required[0].pop("alexnet-runtime") == f"=={VERSION}"
    assert required[0].keys() & required[1].keys() == set()
    names = {"scikit-learn": "sklearn"}
    assert {names.get(each, each) for each in required[0]} == ONLY_WHOLE, "which an error names"
    extras = [set(of.metadata.get_all("Provides-Extra")) for of in (whole, runtime)]
    assert extras[1] == {"serve", "openvino", "heif"} < extras[0]
    assert (ROOT / "runtime" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", PROJECTS)
def test_a_source_archive_gives_the_same_wheel(wheels, tmp_path, name) -> None:
    archive = next(SdistBuilder(str(PROJECTS[name])).build(directory=str(tmp_path), versions=["standard"]))
    with tarfile.open(archive) as file:
        # Python 3.11.4 and later can, and 3.12 warns of anything else.
        checked = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        file.extractall(tmp_path / "unpacked", **checked)
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = build_wheel(unpacked, tmp_path / "again")
    assert files_of(again) == files_of(wheels[name])
    assert metadata_of(again, tmp_path / "a").requires == metadata_of(wheels[name], tmp_path / "b").requires
    if name == "alexnet":
        both = build_wheel(unpacked / "runtime", tmp_path / "both")
        assert files_of(both) == files_of(wheels["alexnet-runtime"])


# The runtime alone. Each test starts a process that sees the wheel, its requirements and Python's own modules.


def test_every_module_of_the_runtime_can_be_imported(wheels, tmp_path) -> None:
    """With its extras, which some modules of the server import at once."""
    with_extras = make_environment(wheels["alexnet-runtime"], tmp_path / "runtime", "serve", "openvino", "heif")
    names = [name.removesuffix(".py").replace("/", ".") for name in files_of(wheels["alexnet-runtime"])]
    modules = [name.removesuffix(".__init__") for name in names if (SOURCE / f"{name.replace('.', '/')}.py").exists()]
    modules.remove("alexnet.__main__")
    script = f"""
from importlib import import_module
for name in {modules}:
    import_module(name)
print(sorted({ONLY_WHOLE} & set(sys.modules)))
"""
    done = run_in(with_extras, script)
    assert done.stderr == ""
    assert done.stdout == "[]\n"
    assert len(modules) > 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "."], f"alexnet train {NEEDS}"),
        (["train", "--find-lr"], f"alexnet train {NEEDS}"),
        (["export", "run"], f"alexnet export {NEEDS}"),
        (["report", "run"], f"alexnet report {NEEDS}"),
        (["check", "digits"], f"alexnet check {NEEDS}"),
        (["summary"], f"alexnet summary --as table {NEEDS}; or use --as mermaid or --as json"),
        (["evaluate", "x", ".", "--errors", "e", "--out-of-fold", "5"], f"alexnet evaluate --out-of-fold {NEEDS}"),
        (["predict", "nowhere.onnx", "a.jpg"], "there is no model at 'nowhere.onnx'"),
    ],
)
def test_what_needs_torch_says_so_in_one_line(environment, tmp_path, arguments, words) -> None:
    done = alexnet_in(environment, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {words}")
    assert not list(tmp_path.iterdir())


def test_the_whole_package_without_torch_says_the_same(wheels, tmp_path) -> None:
    folder = make_environment(wheels["alexnet-runtime"], tmp_path / "whole")
    with zipfile.ZipFile(wheels["alexnet"]) as file:
        file.extractall(folder)
    for arguments in (["train", "."], ["report", "run"], ["summary"]):
        done = alexnet_in(folder, *arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert NEEDS in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("train", False),
        ("AlexNet", False),
        ("load_weights", False),
        ("report", False),
        ("load", True),
        ("RECIPES", True),
    ],
)
def test_names_of_the_whole_package_say_what_to_install(environment, name, is_there) -> None:
    done = run_in(environment, f"import alexnet\ntry: alexnet.{name}\nexcept ImportError as error: print(error)")
    assert (done.stderr, done.stdout) == ("", "" if is_there else f"alexnet.{name} {NEEDS}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["summary", "--as", "json"]])
def test_what_needs_no_torch_works(environment, arguments) -> None:
    done = alexnet_in(environment, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_images_are_checked_and_prepared(environment, image_folder, tmp_path) -> None:
    checked = alexnet_in(environment, "check", image_folder, "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["usable"] == 120
    cached = {"ALEXNET_CACHE": str(tmp_path / "cache")}
    prepared = alexnet_in(environment, "prepare", image_folder, "--size", "64", env=cached)
    assert prepared.stdout.startswith("120 images of 3 classes, 64 px"), prepared.stderr


def test_an_exported_model_predicts_evaluates_and_explains(environment, exported_run, image_folder, tmp_path) -> None:
    image, cached = image_folder / "red" / "photo 3.jpg", {"ALEXNET_CACHE": str(tmp_path / "cache")}
    predicted = alexnet_in(environment, "predict", exported_run, image, "--format", "json")
    assert json.loads(predicted.stdout)["predictions"][0]["label"] == "red", predicted.stderr
    evaluated = alexnet_in(environment, "evaluate", exported_run, image_folder, "--json", env=cached)
    assert json.loads(evaluated.stdout)["n_images"] == 12, evaluated.stderr
    explained = alexnet_in(environment, "explain", exported_run, image, "--json", cwd=tmp_path)
    (found,) = json.loads(explained.stdout)["images"]
    assert found["maps"][0]["label"] == "red"
    assert (tmp_path / found["panel"]).exists()


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_model_folder_says_that_it_needs_torch_or_an_export(environment, trained_run, image_folder, command) -> None:
    done = alexnet_in(environment, command, trained_run, image_folder / "red" / "photo 3.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "torch" in line
    assert "alexnet export" in line
