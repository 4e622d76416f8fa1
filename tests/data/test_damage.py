"""Prepared images that the disk has damaged: every reader notices, and they are prepared again."""

import errno
import os
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.data.batches.augmentation import Augmentation
from alexnet.data.batches.batches import training_batches
from alexnet.data.batches.evaluation import evaluation_batches
from alexnet.data.batches.examples import examples
from alexnet.data.sources.folders.folder import Folder
from alexnet.data.sources.open import as_argument, open_source
from alexnet.data.store.cache import stores_folder
from alexnet.data.store.mending import Mended, mend
from alexnet.data.store.pool import RECORD, Mapped
from alexnet.data.store.store import POOL_VERSION, Store, prepare
from alexnet.errors import DataError, ImageError

from ..conftest import coloured_image, make_image_folder
from .sources.sets.test_named import mnist

SIDE = 32
HOW = {"batch_size": 9, "size": 24, "augmentation": Augmentation(), "seed": 0, "epoch": 0}


@pytest.fixture
def own_image_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return make_image_folder(tmp_path / "photos", n_each=3)


def zero(prepared: Store, *paths: str) -> None:
    """Write zeros over the pixels of images."""
    n_bytes = prepared.size**2 * 3
    with (prepared.folder / "pixels").open("r+b") as file:
        for path in paths:
            file.seek(prepared.rows[path] * n_bytes)
            file.write(bytes(n_bytes))


def prepared_anew(image_folder: Path) -> Store:
    return prepare(open_source(image_folder), SIDE)


READERS = {
    "cropping": lambda data: list(training_batches(data, **HOW)),
    "gathering": lambda data: list(training_batches(data, **HOW, on_device=True)),
    "evaluating": lambda data: list(evaluation_batches(data, batch_size=4, size=24)),
    "colours": lambda data: data.colours(),
    "a device": lambda data: data.on(torch.device("cpu")),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_notices_damage(own_image_folder, reader) -> None:
    source = open_source(own_image_folder)

    def read() -> None:
        READERS[reader](examples(prepared_anew(own_image_folder), source, None, source.classes))

    read()
    zero(prepared_anew(own_image_folder), "red/photo 1.jpg")
    with pytest.raises(DataError, match=r"'red/photo 1\.jpg' in .*32-squash-[\d.]+' is damaged.*prepare .*photos"):
        read()


@pytest.mark.parametrize("where", [0, 17, SIDE * SIDE * 3 - 1])
def test_one_changed_bit_is_damage(own_image_folder, where) -> None:
    prepared = prepared_anew(own_image_folder)
    content = bytearray((prepared.folder / "pixels").read_bytes())
    content[where] ^= 1
    (prepared.folder / "pixels").write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        np.asarray(prepared_anew(own_image_folder).pixels)


def test_a_changed_record_is_damage(own_image_folder) -> None:
    prepared = prepared_anew(own_image_folder)
    with (prepared.folder / "records").open("r+b") as file:
        file.seek(20)  # in the pixel digest of the first image
        file.write(b"\1")
    with pytest.raises(DataError, match="is damaged"):
        np.asarray(prepared_anew(own_image_folder).pixels)


def test_an_image_is_verified_once_and_only_if_read(own_image_folder) -> None:
    prepared = prepared_anew(own_image_folder)
    zero(prepared, "red/photo 1.jpg")
    seen = prepared_anew(own_image_folder)
    whole = seen.rows["red/photo 0.jpg"]
    assert np.array_equal(seen.pixels[whole], prepared.pixels[whole])
    with pytest.raises(DataError, match="is damaged"):
        seen.pixels[seen.rows["red/photo 1.jpg"]]
    with pytest.raises(DataError, match="is damaged"):
        seen.pixels[np.array(list(seen.rows.values()))]
    zero(prepared, "red/photo 0.jpg")
    seen.pixels[whole]  # not again: verifying takes longer than cropping


def test_preparing_again_mends_what_is_damaged_in_every_size(own_image_folder, capfd) -> None:
    from alexnet.cli import main

    source = open_source(own_image_folder)
    sizes = [prepare(source, SIDE), prepare(source, 80, exact=True, resize="pad")]
    before = [np.array(each.pixels[[each.rows[path] for path in sorted(each.rows)]]) for each in sizes]
    zero(sizes[0], "red/photo 1.jpg", "blue/photo 0.jpg")
    zero(sizes[1], "green/photo 2.jpg")
    with pytest.raises(SystemExit, match="0"):
        main(["prepare", str(own_image_folder), "--size", str(SIDE)])
    assert "3 damaged on the disk, prepared anew" in capfd.readouterr().out
    mended = [prepare(source, SIDE), prepare(source, 80, exact=True, resize="pad")]
    for old, new in zip(before, mended, strict=True):
        assert np.array_equal(old, new.pixels[np.array([new.rows[path] for path in sorted(new.rows)])])
    assert mend(source) == Mended()


def test_images_of_other_data_are_not_verified(own_image_folder, tmp_path) -> None:
    other = tmp_path / "other"
    (other / "a").mkdir(parents=True)
    coloured_image("red", 99).save(other / "a" / "x.png")
    zero(prepare(open_source(other), SIDE), "a/x.png")
    prepared_anew(own_image_folder)
    assert mend(open_source(own_image_folder)) == Mended()
    assert mend(open_source(other)) == Mended(n_whole=1)


def spoil(path: Path) -> None:
    """Replace a file by one that is not an image, with the same size and date."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_what_cannot_be_prepared_anew_is_named_and_no_success(own_image_folder, capfd) -> None:
    from alexnet.cli import main

    zero(prepared_anew(own_image_folder), "red/photo 1.jpg", "blue/photo 0.jpg")
    spoil(own_image_folder / "red" / "photo 1.jpg")
    with pytest.raises(SystemExit, match="1"):
        main(["prepare", str(own_image_folder), "--size", str(SIDE)])
    said = capfd.readouterr()
    assert "1 damaged on the disk, prepared anew" in said.out
    words = "damaged on the disk and cannot be prepared anew: red/photo 1.jpg: not an image in a known format"
    assert f"warning: {words}" in said.err
    assert "1 image stays damaged" in said.err


def test_what_cannot_be_read_any_more_is_named(own_image_folder, monkeypatch) -> None:
    zero(prepared_anew(own_image_folder), "red/photo 1.jpg")
    real = Folder.content

    def content(self, path, n_bytes=-1):
        if path == "red/photo 1.jpg":
            raise ImageError(path, "no permission to read it")
        return real(self, path, n_bytes)

    monkeypatch.setattr(Folder, "content", content)
    assert mend(open_source(own_image_folder)) == Mended(0, {"red/photo 1.jpg": "no permission to read it"})


def test_a_copy_mends_what_is_damaged(own_image_folder) -> None:
    for name in ("red/a copy.jpg", "red/z copy.jpg"):
        shutil.copyfile(own_image_folder / "red" / "photo 1.jpg", own_image_folder / name)
    zero(prepared_anew(own_image_folder), "red/photo 1.jpg")
    for name in ("red/a copy.jpg", "red/z copy.jpg"):
        spoil(own_image_folder / name)
    assert mend(open_source(own_image_folder)) == Mended(n_whole=1)


def test_what_preparing_has_just_written_is_not_verified(own_image_folder, monkeypatch) -> None:
    from alexnet.cli import main

    verified: list[int] = []
    real = Mapped.damaged
    monkeypatch.setattr(Mapped, "damaged", lambda self, rows: verified.extend(rows) or real(self, rows))
    for expected in ([], list(range(9))):
        with pytest.raises(SystemExit, match="0"):
            main(["prepare", str(own_image_folder), "--size", str(SIDE)])
        assert verified == expected
    coloured_image("red", 99).save(own_image_folder / "red" / "new.png")
    verified.clear()
    with pytest.raises(SystemExit, match="0"):
        main(["prepare", str(own_image_folder), "--size", str(SIDE)])
    assert verified == list(range(9))


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_command_that_mends_a_set_means_the_set(name, tmp_path, monkeypatch) -> None:
    """Where a folder is named digits, ``alexnet prepare digits`` is refused; mnist needs its ``--data-dir``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / name).mkdir()
    command = f"set:{name}"
    if name == "mnist":
        mnist(tmp_path / "my sets")
        command += f" --data-dir {shlex.quote(str(tmp_path / 'my sets'))}"
    source = open_source(f"set:{name}", "my sets" if name == "mnist" else None)
    prepared = prepare(source)
    zero(prepared, *prepared.rows)
    with pytest.raises(DataError, match="is damaged") as caught:
        prepare(source).pixels[0]
    assert str(caught.value).endswith(f"with: alexnet prepare {command}")
    assert as_argument(source) == command


def test_images_that_pillow_resized_are_mended_with_pillow(own_image_folder) -> None:
    source = open_source(own_image_folder)
    prepared = prepare(source, SIDE, library="pillow")
    expected = np.array(prepared.pixels[prepared.rows["red/photo 1.jpg"]])
    zero(prepared, "red/photo 1.jpg")
    del prepared
    assert mend(source) == Mended(1)
    again = prepare(source, SIDE, library="pillow")
    assert np.array_equal(again.pixels[again.rows["red/photo 1.jpg"]], expected)


def test_what_is_gone_and_damaged_is_not_reported_as_mended(own_image_folder) -> None:
    zero(prepared_anew(own_image_folder), "red/photo 1.jpg")
    source = open_source(own_image_folder)
    spoil(own_image_folder / "red" / "photo 1.jpg")
    assert mend(source) == Mended(0, {"red/photo 1.jpg": "not an image in a known format"})


@pytest.mark.parametrize("n_bytes", [-1, -SIDE * SIDE * 3 - 5, 0])
def test_pixels_cut_short_are_prepared_anew(own_image_folder, n_bytes) -> None:
    prepared = prepared_anew(own_image_folder)
    expected = np.array(prepared.pixels)
    del prepared
    file = stores_folder() / f"{SIDE}-squash-{POOL_VERSION}" / "pixels"
    os.truncate(file, file.stat().st_size + n_bytes if n_bytes else 0)
    again = prepared_anew(own_image_folder)
    assert len(again.rows) == 9
    assert np.array_equal(np.sort(again.pixels, axis=0), np.sort(expected, axis=0))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pixels_are_on_the_disk_before_their_records_are_written(own_image_folder, monkeypatch) -> None:
    """After a power cut, a record without its pixels would be a black image."""
    synced: list[tuple[str, int]] = []
    folder = stores_folder() / f"{SIDE}-squash-{POOL_VERSION}"

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        records = folder / "records"
        synced.append((name, records.stat().st_size if records.exists() else 0))

    monkeypatch.setattr(os, "fsync", fsync)
    prepared_anew(own_image_folder)
    of_files = [each for each in synced if each[0] in ("pixels", "records")]
    assert of_files == [("pixels", 0), ("records", 9 * RECORD.itemsize)]
    assert any(name.startswith(".unfinished-") for name, _ in synced), "the catalogue"


def test_a_file_system_that_cannot_sync_is_usable(own_image_folder, monkeypatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    assert len(prepared_anew(own_image_folder).rows) == 9
