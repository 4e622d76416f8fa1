import json
import shutil
from collections import Counter

import numpy as np
import pytest

from alexnet.data.parallel import untracked
from alexnet.data.record import read_splits
from alexnet.errors import DataError, SettingsError
from alexnet.exporting import images as room
from alexnet.exporting.images import N_TESTED, ExportImages, open_images
from alexnet.model.opening import load_artifact

from ..conftest import make_image_folder
from .networks import NETS, export_images, pixels_for


@pytest.fixture
def moved_run(trained_run, image_folder, tmp_path):
    """A copy of the run whose images are not where they were, and the place where they are now."""
    run = shutil.copytree(trained_run, tmp_path / "run")
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**settings, "data": str(tmp_path / "gone")}))
    return run, shutil.copytree(image_folder, tmp_path / "moved")


def opened(model, calibrate=None) -> ExportImages:
    return open_images(load_artifact(model), calibrate, None, untracked)


def names_by_split(run) -> dict[str, list[str]]:
    rows = read_splits(run / "splits.csv")
    return {split: sorted(row.path for row in rows if row.split == split) for split in ("train", "val", "test")}


def test_they_are_those_of_the_run_in_its_splits(trained_run) -> None:
    found, expected = opened(trained_run), names_by_split(trained_run)
    assert {name: sorted(getattr(found, name).names) for name in expected} == expected
    assert (found.split, len(found.test)) == ("test", 12)
    for name, label in zip(found.test.names, found.test.labels, strict=True):
        assert name.startswith(("blue", "green", "red")[label])


def test_where_there_are_many_some_are_enough(trained_run, monkeypatch) -> None:
    monkeypatch.setattr(room, "MOST_COMPARED", 5)
    monkeypatch.setattr(room, "most_images", lambda net: 9)
    found = opened(trained_run)
    assert [len(each) for each in (found.train, found.val, found.test)] == [9, 5, 5]
    assert set(Counter(found.train.labels.tolist()).values()) == {3}, "as many of each class"


def test_moved_images_are_found_by_content(moved_run) -> None:
    run, place = moved_run
    for number, path in enumerate(sorted(place.rglob("*.jpg"))):
        path.rename(path.with_name(f"renamed {number}.jpg"))
    found, expected = opened(run, place), names_by_split(run)
    assert {name: len(getattr(found, name)) for name in expected} == {
        name: len(each) for name, each in expected.items()
    }


def test_images_that_are_gone_are_asked_for(moved_run) -> None:
    run, _ = moved_run
    with pytest.raises(DataError, match=r"are not at .*gone.* any more; .*alexnet export .*run --calibrate DATA"):
        opened(run)


def test_images_that_have_all_changed_are_asked_for(moved_run, tmp_path) -> None:
    run, _ = moved_run
    make_image_folder(tmp_path / "gone", n_each=3, first=500)
    with pytest.raises(DataError, match=r"most images of the run .* are not in .*gone.*--calibrate DATA"):
        opened(run)


def test_a_model_without_its_run_needs_images(trained_run, tmp_path) -> None:
    model = shutil.copytree(trained_run / "model", tmp_path / "model")
    with pytest.raises(SettingsError, match=r"is a model without its run, .*--calibrate DATA"):
        opened(model)


@pytest.mark.parametrize("has_run", [True, False])
def test_other_images_without_splits_are_divided(trained_run, tmp_path, has_run) -> None:
    model = trained_run if has_run else shutil.copytree(trained_run / "model", tmp_path / "model")
    data = make_image_folder(tmp_path / "photos", n_each=10, first=500)
    found = opened(model, data)
    names = [set(each.names) for each in (found.train, found.val, found.test)]
    assert [len(each) for each in names] == [10, 10, 10]
    assert len(set.union(*names)) == 30, "each is used once"


def test_other_images_keep_their_splits(trained_run, tmp_path) -> None:
    for split, first in (("train", 500), ("test", 600)):
        make_image_folder(tmp_path / "photos" / split, n_each=4, first=first)
    found = opened(trained_run, tmp_path / "photos")
    assert {name.partition("/")[0] for name in found.train.names} == {"train"}
    assert {name.partition("/")[0] for name in found.test.names} == {"test"}
    assert found.val is found.train, "there is no val"


def test_images_of_other_classes_are_refused(trained_run, tmp_path) -> None:
    data = make_image_folder(tmp_path / "photos", n_each=3, first=500)
    (data / "red").rename(data / "pink")
    with pytest.raises(DataError, match="does not know the class 'pink'"):
        opened(trained_run, data)


@pytest.mark.parametrize("name", ["small at 45 px", "paper+grey", "small"])
def test_the_self_test_has_half_the_size_with_each_pixel_doubled(name) -> None:
    net = NETS[name]
    images = export_images(net, pixels_for(net, 12), np.arange(12) % 3)
    tested = images.self_test()
    size = net.image_size
    assert tested.shape == (N_TESTED, size, size, net.in_channels)
    small = tested[:, ::2, ::2]
    assert np.array_equal(small.repeat(2, axis=1).repeat(2, axis=2)[:, :size, :size], tested)
    assert len({each.tobytes() for each in tested}) == N_TESTED
    assert np.array_equal(tested, images.self_test()), "they are the same every time"


def test_the_self_test_has_images_of_all_classes(trained_run) -> None:
    found = opened(trained_run)
    strongest = found.self_test().mean(axis=(1, 2)).argmax(axis=1)
    assert set(Counter(strongest.tolist()).values()) <= {2, 3}


def test_few_images_are_repeated_for_the_self_test() -> None:
    net = NETS["small"]
    images = export_images(net, pixels_for(net, 3), np.arange(3))
    assert len({each.tobytes() for each in images.self_test()}) == 3


def test_batches_are_images_as_the_network_takes_them(trained_run) -> None:
    found = opened(trained_run)
    tracked = []

    def track(items, n_items, what):
        tracked.append((n_items, what))
        return items

    batches = list(found.batches(found.train, track, "looking"))
    assert sum(map(len, batches)) == len(found.train)
    assert {each.shape[1:] for each in batches} == {(67, 67, 3)}
    assert tracked == [(len(batches), "looking")]
