import pytest

from alexnet.files.atomic import UNFINISHED, atomic_folder, atomic_path, delete_unfinished, write_atomically


def test_a_folder_appears_when_it_is_complete(tmp_path) -> None:
    with atomic_folder(tmp_path / "a") as unfinished:
        (unfinished / "x").write_text("1")
        assert not (tmp_path / "a").exists()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["a", "a/x"]


def test_an_error_leaves_what_was_there(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("1")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "a"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "old"]


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_a_path_that_appears_meanwhile_is_never_replaced(tmp_path, kind) -> None:
    def appear() -> None:
        if kind == "folder":
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "theirs").write_text("1")
        elif kind == "file":
            (tmp_path / "a").write_text("1")
        else:
            (tmp_path / "a").symlink_to("nowhere")

    def make() -> None:
        with atomic_folder(tmp_path / "a") as unfinished:
            (unfinished / "ours").write_text("1")
            appear()

    with pytest.raises(FileExistsError, match="exists already"):
        make()
    names = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))]
    assert names == (["a", "a/theirs"] if kind == "folder" else ["a"])


def test_an_empty_folder_is_replaced(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    with atomic_folder(tmp_path / "a") as unfinished:
        (unfinished / "ours").write_text("1")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["ours"]


def test_text_is_written_atomically(tmp_path) -> None:
    write_atomically(tmp_path / "a.json", "1")
    write_atomically(tmp_path / "a.json", "2")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "2")]


def test_unfinished_files_are_deleted(tmp_path) -> None:
    (tmp_path / f"{UNFINISHED}a-1-2").mkdir()
    (tmp_path / f"{UNFINISHED}b-1-2").write_text("1")
    (tmp_path / "mine").write_text("1")
    delete_unfinished(tmp_path, older_than=60)
    assert len(list(tmp_path.iterdir())) == 3
    delete_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_path_keeps_its_name_while_it_is_written_and_replaces_what_was_there(tmp_path, kind) -> None:
    for content in ("1", "2"):
        with atomic_path(tmp_path / "a.x") as unfinished:
            assert unfinished.name == "a.x"
            if kind == "folder":
                unfinished.mkdir()
                (unfinished / content).write_text(content)
            else:
                unfinished.write_text(content)
    names = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))]
    assert names == (["a.x", "a.x/2"] if kind == "folder" else ["a.x"])
    assert kind == "folder" or (tmp_path / "a.x").read_text() == "2"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_path_is_kept_when_what_should_replace_it_fails(tmp_path, kind) -> None:
    if kind == "folder":
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "old").write_text("1")
    else:
        (tmp_path / "a").write_text("1")
    before = sorted(tmp_path.rglob("*"))

    def stop_in_between() -> None:
        with atomic_path(tmp_path / "a") as unfinished:
            unfinished.write_text("2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_between()
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass  # nothing is written
    assert sorted(tmp_path.rglob("*")) == before
