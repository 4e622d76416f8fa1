import numpy as np

from alexnet.reproduction.plan.value import Data
from alexnet.reproduction.running.images import missing, open_images, subset, which_images

from ..conftest import make_image_folder


def paths(data: Data, seed: int, split: str) -> list[str]:
    source, _ = subset(data, None, seed)
    return [image.path for image in source.in_split(split)]


def test_subsets_are_nested_and_depend_on_the_seed() -> None:
    small, large = (Data(name="digits", n_train=n, n_val=10, n_test=20, side=16) for n in (30, 60))
    assert paths(small, 0, "train") == paths(large, 0, "train")[:30]
    assert paths(small, 0, "test") == paths(large, 0, "test")
    assert set(paths(small, 0, "train")) != set(paths(small, 1, "train"))
    everything = [image for split in ("train", "val", "test") for image in paths(large, 0, split)]
    assert len(set(everything)) == len(everything) == 90


def test_a_set_in_the_folder_is_used(tmp_path) -> None:
    make_image_folder(tmp_path / "trashnet5", n_each=12)
    assert missing("trashnet5", tmp_path) is None
    assert len(open_images("trashnet5", tmp_path).images) == 36
    source, store = subset(Data(name="trashnet5", n_val=4, side=32), tmp_path, 0)
    assert [len(source.in_split(split)) for split in ("train", "val", "test")] == [26, 4, 6]
    assert store.size == 32
    assert np.asarray(store.pixels[0]).shape == (32, 32, 3)


def test_what_is_missing_is_said_in_one_line(tmp_path) -> None:
    assert missing("digits", None) is None
    line = missing("cifar10", tmp_path)
    assert line is not None
    assert "cifar10_jpeg.zip' is not there: the set cifar10 is used instead" in line
    assert str(missing("trashnet5", None)).startswith("no data folder is given: the set imagenette")
    assert which_images("cifar10", tmp_path) == "set:cifar10"
    (tmp_path / "cifar10_jpeg.zip").touch()
    assert which_images("cifar10", tmp_path) == "cifar10_jpeg.zip"
    assert missing("cifar10", tmp_path) is None
