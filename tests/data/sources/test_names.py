"""Names of data that may mean two things. Nothing is downloaded here: opening a set only records its name."""

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
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """The sets that are opened, each with its folder. The current folder is a temporary one."""
    sets: list[tuple[str, Path | None]] = []

    def note(name: str, data_dir: Path | None) -> Source:
        sets.append((name, data_dir))
        return Source(name, (), (), None)  # type: ignore[arg-type]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("alexnet.data.sources.sets.named.open_named", note)
    return sets


@pytest.mark.parametrize("name", ["pets", "mnist", "digits"])
def test_a_folder_named_like_a_set_is_never_ignored(name, opened, tmp_path) -> None:
    make_image_folder(tmp_path / name, n_each=1)
    with pytest.raises(DataError) as caught:
        open_source(name)
    assert str(caught.value) == (
        f"{name!r} is a set, and a folder here; write ./{name} for the folder, set:{name} for the set"
    )
    for path in (f"./{name}", Path(name), f"{name}/", tmp_path / name):
        assert open_source(path).classes == ("blue", "green", "red")
    assert not opened
    assert open_source(f"set:{name}").name == name
    assert opened == [(name, None)]


def test_a_file_and_a_broken_link_are_not_ignored_either(opened, tmp_path) -> None:
    (tmp_path / "pets").write_text("x")
    (tmp_path / "mnist").symlink_to(tmp_path / "a disk that is not mounted")
    for name in ("pets", "mnist"):
        with pytest.raises(DataError, match=f"'{name}' is a set, and a file here; write ./{name} for the file"):
            open_source(name)
    assert not opened


@pytest.mark.parametrize("name", NAMES)
def test_every_set_has_a_name_that_is_only_its_own(name, opened, tmp_path) -> None:
    assert open_source(name).name == open_source(f"set:{name}").name == name
    make_image_folder(tmp_path / name, n_each=1)
    assert open_source(f"set:{name}", "~/sets").name == name
    assert opened[-1] == (name, Path.home() / "sets")


def test_with_a_folder_of_sets_it_is_the_set(opened, tmp_path) -> None:
    make_image_folder(tmp_path / "pets", n_each=1)
    open_source("pets", "sets")
    assert opened == [("pets", Path("sets"))]


def test_a_name_in_a_runs_records_always_means_the_set(opened, tmp_path) -> None:
    make_image_folder(tmp_path / "pets", n_each=1)
    assert open_source("pets", recorded=True).name == "pets"
    assert open_source(as_recorded("pets")).name == "pets"
    assert opened == [("pets", None)] * 2
    for other in (str(tmp_path / "pets"), "hf:anna/birds", "set:pets"):
        assert as_recorded(other) == other
    assert set_name("set:pets") == set_name("pets", certain=True) == "pets"


@pytest.mark.parametrize("name", ["pets", "set:pets", "hf:anna/birds"])
def test_a_path_is_never_a_name(name, opened) -> None:
    with pytest.raises(DataError, match=f"there is no folder '{name}'"):
        open_source(Path(name))
    with pytest.raises(SettingsError, match=f"the path '{name}' is not a named set; leave data_dir out"):
        open_source(Path(name), "sets")
    assert not opened


def test_a_path_named_like_a_set_says_how_to_get_the_set() -> None:
    with pytest.raises(DataError, match="a Path is never the name of a set; for the set, give the str 'pets'"):
        open_source(Path("pets"))


def test_a_misspelt_set_gets_a_suggestion() -> None:
    with pytest.raises(DataError, match="there is no folder 'set:cifar-10'; did you mean the set 'cifar10'"):
        open_source("set:cifar-10")


def test_the_home_of_an_unknown_user_is_a_missing_folder(opened) -> None:
    for data in ("~nobody-of-this-name/photos", Path("~nobody-of-this-name")):
        with pytest.raises(DataError, match="there is no folder '~nobody-of-this-name"):
            open_source(data)
    open_source("pets", "~nobody-of-this-name/sets")
    assert opened == [("pets", Path("~nobody-of-this-name/sets"))]


def test_set_name_needs_no_torch() -> None:
    code = "import sys; from alexnet.data.sources.open import set_name; set_name('pets'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_folder_gets_no_suggestion_of_a_set_with_a_somewhat_similar_name(tmp_path, monkeypatch) -> None:
    """Whoever followed the suggestion would have started a download."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="there is no folder 'photos'; give a folder of class folders"):
        open_source("photos")
