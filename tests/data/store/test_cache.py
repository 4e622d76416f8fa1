import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from alexnet.data.sources.open import open_source
from alexnet.data.store import cache, store
from alexnet.data.store.cache import cache_folder, warnings
from alexnet.data.store.catalogue import Catalogue
from alexnet.errors import DataError

from ...conftest import coloured_image, make_image_folder

WITHOUT_LOCKS = [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL]


@pytest.fixture
def no_cache_named(tmp_path, monkeypatch) -> Path:
    """The system's temporary folder, where no variable names another."""
    monkeypatch.delenv("ALEXNET_CACHE", raising=False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return temporary


@pytest.fixture
def own_image_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return make_image_folder(tmp_path / "photos", n_each=3)


def unknown_user(*_: object, **__: object) -> str:
    raise RuntimeError("could not determine the home directory")


def user_cache(folder: str | Path) -> Callable[..., str]:
    return lambda *_, **__: str(folder)


def refuse_writing(monkeypatch, *folders: Path) -> None:
    """Make folders, and all in them, look unwritable. Real permissions would not stop root."""
    may = os.access

    def access(path, mode, **options):
        refused = mode & os.W_OK and any(Path(path).is_relative_to(folder) for folder in folders)
        return not refused and may(path, mode, **options)

    monkeypatch.setattr(os, "access", access)


def test_the_platforms_folder_if_it_can_be_created(no_cache_named, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", user_cache(tmp_path / "home" / ".cache" / "alexnet"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "alexnet"
    assert not warnings()


@pytest.mark.parametrize("usual", [user_cache("/.cache/alexnet"), user_cache("~/.cache/alexnet"), unknown_user])
def test_without_a_home_it_is_in_the_temporary_folder_with_a_warning(no_cache_named, monkeypatch, usual) -> None:
    """wasserth/TotalSegmentator #21: docker run --user, with a user without home and name."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", usual)
    refuse_writing(monkeypatch, Path("/.cache"))
    real = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: str(path) == "/.cache" or real(path))
    folder = cache_folder()
    assert folder.parent == no_cache_named
    assert folder.stat().st_mode & 0o077 == 0, "nobody else may put images there"
    (warning,) = warnings()
    assert str(folder) in warning
    assert "ALEXNET_CACHE" in warning


def test_the_command_says_once_where_the_cache_is(no_cache_named, tmp_path, monkeypatch, capfd) -> None:
    from alexnet.cli import main

    monkeypatch.setattr(platformdirs, "user_cache_dir", unknown_user)
    make_image_folder(tmp_path / "photos", n_each=3)
    with pytest.raises(SystemExit, match="0"):
        main(["prepare", str(tmp_path / "photos")])
    lines = [line for line in capfd.readouterr().err.splitlines() if "ALEXNET_CACHE" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: prepared images are stored in")


def test_nowhere_to_write_is_one_line(no_cache_named, monkeypatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", unknown_user)
    refuse_writing(monkeypatch, no_cache_named)
    with pytest.raises(DataError, match="ALEXNET_CACHE") as error:
        cache_folder()
    assert len(str(error.value)) < 300
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with pytest.raises(DataError, match="ALEXNET_CACHE"):
        cache_folder()


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_a_temporary_folder_of_another_user_is_not_used(no_cache_named, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", unknown_user)
    (tmp_path / "theirs").mkdir()
    (no_cache_named / f"alexnet-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(DataError, match="ALEXNET_CACHE"):
        cache_folder()


def test_a_given_cache_that_is_not_writable_is_one_line(own_image_folder, tmp_path, monkeypatch) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"cache/stores.*Not a directory.*ALEXNET_CACHE"):
        store.prepare(open_source(own_image_folder))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_given_cache_that_cannot_be_created_says_what_to_do(own_image_folder, monkeypatch) -> None:
    """For /proc/x the system reports the same error as for a deleted folder: no such file or directory."""
    monkeypatch.setenv("ALEXNET_CACHE", "/proc/x")
    source = open_source(own_image_folder)
    for write in (lambda: store.prepare(source), Catalogue(source, 100).save):
        with pytest.raises(DataError, match=r"'/proc/x/.*No such file or directory; set ALEXNET_CACHE to a writable"):
            write()


def test_a_read_only_cache_can_be_used(own_image_folder, monkeypatch) -> None:
    before = store.prepare(open_source(own_image_folder)).fingerprint

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("alexnet.data.store.pool._write_at", refuse)
    monkeypatch.setattr("alexnet.data.store.catalogue.write_atomically", refuse)
    assert store.prepare(open_source(own_image_folder)).fingerprint == before
    coloured_image("red", 9).save(own_image_folder / "red" / "new.jpg")
    with pytest.raises(DataError, match=r"Read-only file system.*ALEXNET_CACHE"):
        store.prepare(open_source(own_image_folder))


@pytest.fixture(params=WITHOUT_LOCKS, ids=errno.errorcode.get)
def no_locks(request, monkeypatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_disk_without_locks_can_be_used(own_image_folder, no_locks) -> None:
    """An empty ``lock``, left by a machine with locks, once made all processes wait forever."""
    folder = cache.stores_folder() / f"69-squash-{store.POOL_VERSION}"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    assert len(store.prepare(open_source(own_image_folder)).rows) == 9
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "pixels", "records"]


def test_without_locks_a_process_waits_for_another_but_not_forever(tmp_path, no_locks, monkeypatch) -> None:
    monkeypatch.setattr(cache, "MAX_LOCK_SECONDS", 0.2)
    refused = pytest.raises(DataError, match=r"another process .* delete .*turn")
    with cache.write_lock(tmp_path), refused, cache.write_lock(tmp_path):
        pytest.fail("two processes hold the lock")
    with cache.write_lock(tmp_path):
        pass


def test_without_locks_a_killed_process_does_not_block_others(tmp_path, no_locks, monkeypatch) -> None:
    monkeypatch.setattr(cache, "MAX_LOCK_SECONDS", 20.0)
    script = f"""
import os, signal
from filelock import SoftFileLock
held = SoftFileLock({str(tmp_path / "turn")!r})
held.acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert (tmp_path / "turn").exists()
    with cache.write_lock(tmp_path):
        pass


def test_any_other_error_of_a_lock_is_one_line(own_image_folder, monkeypatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(DataError, match=r"stores.*Input/output error.*ALEXNET_CACHE"):
        store.prepare(open_source(own_image_folder))
