import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data import store
from alexnet.data.image import decode, squash
from alexnet.data.source import open_source
from alexnet.errors import DataError

from ..conftest import make_photos


@pytest.fixture
def own_photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    return make_photos(tmp_path / "photos", n_each=3)


def test_rows_hold_the_pictures(own_photos) -> None:
    source = open_source(own_photos)
    prepared = store.prepare(source, 32)
    assert prepared.pixels.shape == (9, 32, 32, 3)
    for picture in source.pictures:
        expected = squash(decode(own_photos / picture.path, min_side=32), 32)
        assert np.array_equal(prepared.pixels[prepared.rows[picture.path]], expected)


def test_small_pictures_stay_small_unless_asked(own_photos) -> None:
    source = open_source(own_photos)
    assert store.prepare(source, 256).size == 60
    assert store.prepare(source, 80, exact=True).size == 80


def test_a_second_start_reads_no_picture(own_photos, monkeypatch) -> None:
    source = open_source(own_photos)
    first = store.prepare(source)
    monkeypatch.setattr(store, "_build", lambda *_: pytest.fail("made again"))
    assert store.prepare(open_source(own_photos)).folder == first.folder


def test_a_changed_picture_is_noticed(own_photos) -> None:
    before = store.prepare(open_source(own_photos))
    changed = own_photos / "red" / "photo 0.jpg"
    Image.new("RGB", (60, 40)).save(changed)
    os.utime(changed, ns=(1, 1))
    after = store.prepare(open_source(own_photos))
    assert after.pixels[after.rows["red/photo 0.jpg"]].max() < 9 < before.pixels[before.rows["red/photo 0.jpg"]].max()


def test_a_cleaned_cache_is_made_again(own_photos) -> None:
    before = store.prepare(open_source(own_photos))
    (before.folder / "pixels.npy").unlink()
    assert np.array_equal(store.prepare(open_source(own_photos)).pixels, before.pixels)


def test_the_users_folder_is_left_as_it_was(own_photos) -> None:
    before = sorted(path for path in own_photos.rglob("*"))
    store.prepare(open_source(own_photos))
    assert sorted(path for path in own_photos.rglob("*")) == before


def test_unreadable_pictures_are_named_and_left_out(own_photos) -> None:
    """pytorch/vision #138: training died hours in, on one truncated file."""
    (own_photos / "red" / "photo 1.jpg").write_bytes(b"")
    prepared = store.prepare(open_source(own_photos))
    assert prepared.skipped == {"red/photo 1.jpg": "the file is empty"}
    assert len(prepared.rows) == 8


def test_nothing_readable(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "x.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="none of the 1 pictures can be read"):
        store.prepare(open_source(tmp_path / "photos"))
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_a_stop_half_way_leaves_no_store(own_photos) -> None:
    def interrupted(items, n_items, what):
        for number, item in enumerate(items):
            if number == 4:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        store.prepare(open_source(own_photos), track=interrupted)
    assert not list(store.cache_folder().rglob("*.npy"))
    assert len(store.prepare(open_source(own_photos)).rows) == 9


def test_a_full_disk_is_said_before_anything_is_written(own_photos, monkeypatch) -> None:
    usage = shutil.disk_usage(own_photos)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="ALEXNET_CACHE"):
        store.prepare(open_source(own_photos))
