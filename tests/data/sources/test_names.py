"""Names of data that may mean two things. Nothing is downloaded here: each set is asked for where it cannot be had."""

import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.data.source import Source
from alexnet.data.sources.open import as_recorded, open_source, set_name
from alexnet.data.sources.sets.named import NAMES
from alexnet.errors import DataError, SettingsError

from ...conftest import make_image_folder


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """Which sets are opened, and where; the tests' folder is the current one."""
    sets: list[tuple[str, Path | None]] = []

    def note(name: str, data_dir: Path | None) -> Source:
        sets.append((name, data_dir))
        return Source(name, (), (), None)  # type: ignore[arg-type]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("alexnet.data.sources.sets.named.open_named", note)
    return sets


@pytest.mark.parametrize("name", ["pets", "mnist", "digits"])
def test_a_folder_called_as_a_set_is_never_ignored(name, asked, tmp_path) -> None:
    make_image_folder(tmp_path / name, n_each=1)
    with pytest.raises(DataError) as caught:
        open_source(name)
    assert str(caught.value) == (
        f"{name!r} is a set, and a folder here; write ./{name} for the folder, set:{name} for the set"
    )
    for path in (f"./{name}", Path(name), f"{name}/", tmp_path / name):
        assert open_source(path).classes == ("blue", "green", "red")
    assert not asked
    assert open_source(f"set:{name}").name == name
    assert asked == [(name, None)]


def test_a_file_and_a_link_to_nowhere_are_not_ignored_either(asked, tmp_path) -> None:
    (tmp_path / "pets").write_text("x")
    (tmp_path / "mnist").symlink_to(tmp_path / "a disk that is not mounted")
    for name in ("pets", "mnist"):
        with pytest.raises(DataError, match=f"'{name}' is a set, and a file here; write ./{name} for the file"):
            open_source(name)
    assert not asked


@pytest.mark.parametrize("name", NAMES)
def test_every_set_has_a_name_that_is_only_its_own(name, asked, tmp_path) -> None:
    assert open_source(name).name == open_source(f"set:{name}").name == name
    make_image_folder(tmp_path / name, n_each=1)
    assert open_source(f"set:{name}", "~/sets").name == name
    assert asked[-1] == (name, Path.home() / "sets")


def test_with_a_folder_of_sets_it_is_the_set(asked, tmp_path) -> None:
    make_image_folder(tmp_path / "pets", n_each=1)
    open_source("pets", "sets")
    assert asked == [("pets", Path("sets"))]


def test_what_a_run_wrote_down_means_the_set_wherever_it_goes_on(asked, tmp_path) -> None:
    make_image_folder(tmp_path / "pets", n_each=1)
    assert open_source("pets", recorded=True).name == "pets"
    assert open_source(as_recorded("pets")).name == "pets"
    assert asked == [("pets", None)] * 2
    for other in (str(tmp_path / "pets"), "hf:anna/birds", "set:pets"):
        assert as_recorded(other) == other
    assert set_name("set:pets") == set_name("pets", certain=True) == "pets"


@pytest.mark.parametrize("name", ["pets", "set:pets", "hf:anna/birds"])
def test_a_path_is_never_a_name(name, asked) -> None:
    with pytest.raises(DataError, match=f"there is no folder '{name}'"):
        open_source(Path(name))
    with pytest.raises(SettingsError, match=f"the path '{name}' is none; leave it out"):
        open_source(Path(name), "sets")
    assert not asked


def test_a_path_that_is_called_as_a_set_says_how_to_ask_for_that() -> None:
    with pytest.raises(DataError, match="a Path is never the name of a set; for that give the text 'pets'"):
        open_source(Path("pets"))


def test_a_set_that_is_none_is_recognised() -> None:
    with pytest.raises(DataError, match="there is no folder 'set:cifar-10'; did you mean the set 'cifar10'"):
        open_source("set:cifar-10")


def test_a_home_that_nobody_has_is_a_folder_that_is_not_there(asked) -> None:
    for data in ("~nobody-of-this-name/photos", Path("~nobody-of-this-name")):
        with pytest.raises(DataError, match="there is no folder '~nobody-of-this-name"):
            open_source(data)
    open_source("pets", "~nobody-of-this-name/sets")
    assert asked == [("pets", Path("~nobody-of-this-name/sets"))]


def test_telling_names_needs_no_torch() -> None:
    code = "import sys; from alexnet.data.sources.open import set_name; set_name('pets'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_folder_that_is_missing_is_not_taken_for_a_set_of_some_likeness(tmp_path, monkeypatch) -> None:
    """Whoever typed what was suggested would have begun a download."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="there is no folder 'photos'; give a folder of class folders"):
        open_source("photos")
