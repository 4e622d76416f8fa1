import pytest

from alexnet.files.atomic import UNFINISHED, atomic_folder, delete_unfinished, write_atomically


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
