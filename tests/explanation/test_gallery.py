import json
import shutil
from collections import Counter

import numpy as np
import pytest

from alexnet.data.record import read_splits
from alexnet.errors import DataError
from alexnet.explanation import gallery as room
from alexnet.explanation.activations import activations
from alexnet.explanation.gallery import FILE, Gallery, choose, most_images
from alexnet.inference.classifier import Classifier, load
from alexnet.network.value.changes import resolve

from ..conftest import coloured_image, make_image_folder


@pytest.fixture(scope="module")
def classifier(run) -> Classifier:
    return load(run)


@pytest.fixture(scope="module")
def gallery(run, classifier) -> Gallery:
    return Gallery.of(run, classifier.artifact, classifier.engine)


@pytest.fixture
def own(run, classifier, image_folder, tmp_path):
    """A run and its own images, both to be changed."""
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns(FILE))
    shutil.copytree(image_folder, tmp_path / "own")
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    (tmp_path / "run" / "settings.json").write_text(json.dumps({**settings, "data": str(tmp_path / "own")}))
    return tmp_path / "run", tmp_path / "own"


def of(folder, classifier, **changes) -> Gallery:
    return Gallery.of(folder, classifier.artifact, classifier.engine, **changes)


def test_it_holds_the_training_images(run, gallery, classifier, image_folder) -> None:
    rows = {row.path: row for row in read_splits(run / "splits.csv") if row.split == "train"}
    assert sorted(gallery.names) == sorted(rows)
    assert gallery.labels == tuple(rows[name].label for name in gallery.names)
    assert gallery.embeddings.dtype == np.float16
    expected = classifier.embed([image_folder / name for name in gallery.names[:3]])
    assert np.allclose(gallery.embeddings[:3].astype(np.float32), expected, rtol=2e-3, atol=1e-3)


def test_patches_are_where_channels_are_largest(gallery, classifier) -> None:
    size = classifier.artifact.architecture.image_size
    pixels = np.stack(
        [classifier.artifact.preprocessing.apply(gallery.image(n), size) for n in range(len(gallery.names))]
    )
    seen = activations(classifier.engine.model, classifier.engine.normalised(pixels))
    assert list(gallery.patches) == list(seen.peaks) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    for name, patches in gallery.patches.items():
        values = seen.peaks[name].values
        channels = np.arange(values.shape[1])
        assert patches.images.shape == patches.places.shape == (len(channels), 4)
        found = values[patches.images, channels[:, None]]
        assert np.allclose(found, -np.sort(-values, axis=0)[:4].T, atol=1e-4)
        assert np.allclose(patches.mean, values.mean(axis=0), atol=1e-4)
        assert np.allclose(patches.std, values.std(axis=0), atol=1e-4)
        clear = found[:, 0] > 1e-3  # of a channel that is zero everywhere, any place is the largest
        places = seen.peaks[name].places[patches.images[:, 0], channels]
        assert (places == patches.places[:, 0])[clear].mean() > 0.95


def test_it_is_computed_once(own, classifier, monkeypatch) -> None:
    folder, _ = own
    first = of(folder, classifier)
    with monkeypatch.context() as patch:
        patch.setattr(room, "_compute", None)
        again = of(folder, classifier)
    assert again.names == first.names
    assert np.array_equal(again.embeddings, first.embeddings)
    for name, patches in first.patches.items():
        for kind in ("images", "places", "mean", "std"):
            assert np.array_equal(getattr(again.patches[name], kind), getattr(patches, kind)), (name, kind)


@pytest.mark.parametrize("change", ["other weights", "damaged", "an image less"])
def test_one_that_does_not_fit_is_computed_again(own, classifier, monkeypatch, change) -> None:
    folder, data = own
    first = of(folder, classifier)
    if change == "other weights":
        weights = folder / "model" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
        classifier = load(folder)
    elif change == "damaged":
        (folder / FILE).write_bytes((folder / FILE).read_bytes()[:1000])
    else:
        (data / first.names[0]).unlink()
    calls = []
    compute = room._compute
    monkeypatch.setattr(room, "_compute", lambda *given: calls.append(given) or compute(*given))
    again = of(folder, classifier)
    assert len(calls) == 1
    assert again.names == (first.names[1:] if change == "an image less" else first.names)
    of(folder, classifier)
    assert len(calls) == 1, "and saved again"


def test_where_it_cannot_be_saved_it_is_used_all_the_same(own, classifier) -> None:
    folder, _ = own
    (folder / FILE).mkdir()
    assert len(of(folder, classifier).names) == 96
    assert not list(folder.glob(".unfinished*"))


def test_images_that_have_changed_since_are_left_out(own, classifier) -> None:
    folder, data = own
    name = next(row.path for row in read_splits(folder / "splits.csv") if row.split == "train")
    coloured_image("red", 777).save(data / name)
    (data / name.split("/")[0] / "new.jpg").write_bytes((data / name).read_bytes())
    names = of(folder, classifier).names
    assert len(names) == 95
    assert name not in names


def test_data_that_have_moved_are_asked_for(own, classifier, tmp_path) -> None:
    folder, data = own
    data.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"not at .*own' any more; .*: alexnet explain .*run IMAGE --data DATA"):
        of(folder, classifier)
    assert len(of(folder, classifier, data=tmp_path / "moved").names) == 96


def test_images_with_other_names_are_found_by_content(own, classifier) -> None:
    folder, data = own
    before = of(folder, classifier).names
    for path in data.rglob("*.jpg"):
        path.rename(path.with_name(f"new {path.name}"))
    names = of(folder, classifier).names
    assert len(names) == len(before)
    assert {name.replace("new ", "") for name in names} == set(before)


def test_other_data_are_refused(own, classifier, tmp_path) -> None:
    folder, _ = own
    other = make_image_folder(tmp_path / "other", n_each=2, first=1000)
    with pytest.raises(DataError, match="no training image of the run"):
        of(folder, classifier, data=other)


def test_a_large_network_looks_at_fewer_images() -> None:
    assert most_images(resolve("small")) == 2000
    assert 1000 < most_images(resolve("batchnorm")) < 1500
    assert most_images(resolve("batchnorm", image_size=131)) == 2000
    assert most_images(resolve("batchnorm", width=10)) == 100


def test_images_are_chosen_evenly_over_classes() -> None:
    labels = ["common"] * 1000 + ["rare"] * 30 + ["other"] * 500
    chosen = choose(labels, 200)
    assert Counter(labels[position] for position in chosen) == {"common": 85, "rare": 30, "other": 85}
    assert chosen == sorted(set(chosen)) == choose(labels, 200)
    assert chosen != choose(labels, 200, seed=1)
    assert max(chosen[:85]) > 900, "from all over a class, not its first images"
    assert choose(labels[:3], 200) == [0, 1, 2]
