"""Data sets of the Hugging Face hub, from real Parquet files and folders made here."""

import io
import shutil
import socket
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.data.sources.sets.hub import open_hub
from alexnet.errors import DataError, ImageError
from alexnet.images.decoding import decode

from ....conftest import make_image_folder
from ..trees import make_tree

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a temporary cache, not the user's."""
    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    datasets.disable_progress_bars()
    yield folder
    datasets.enable_progress_bars()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the network."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 6, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def cells(n: int) -> list[dict[str, bytes | None]]:
    return [{"bytes": png(shade), "path": None} for shade in range(n)]


def table(path: Path, **columns: tuple[list[object], object]) -> Path:
    """Write a Parquet file from the cells and the feature of each column; return its folder."""
    features = datasets.Features({name: kind for name, (_, kind) in columns.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = datasets.Dataset.from_dict({name: column for name, (column, _) in columns.items()}, features=features)
    rows.to_parquet(path)
    return path.parent


def parquet(path: Path, labels: list[int | None]) -> Path:
    """Write a file with the columns that most data sets on the hub have."""
    names = datasets.ClassLabel(names=["cat", "dog", "owl"])
    return table(path, image=(cells(len(labels)), datasets.Image()), label=(labels, names))


def test_splits_labels_and_images(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, labels in (("train", [2, 0, 1, 1]), ("validation", [0]), ("test", [1, 2])):
        folder = parquet(tmp_path / "set" / f"{name}.parquet", labels)
    capfd.readouterr()
    source = open_hub(f"hf:{folder}")
    assert [(each.path, each.label, each.split) for each in source.images] == [
        ("test/00000", "dog", "test"),
        ("test/00001", "owl", "test"),
        ("train/00000", "owl", "train"),
        ("train/00001", "cat", "train"),
        ("train/00002", "dog", "train"),
        ("train/00003", "dog", "train"),
        ("val/00000", "cat", "val"),
    ]
    assert source.classes == ("cat", "dog", "owl")
    assert source.name == f"hf:{folder}"
    assert source.warnings == (
        "val has no images of 'dog', 'owl'; labels go by name, so nothing shifts",
        "test has no images of 'cat'; labels go by name, so nothing shifts",
    )
    paths = [image.path for image in source.images]
    read = list(source.reader.each(paths))
    with ThreadPoolExecutor(4) as pool:
        contents = list(pool.map(lambda pair: pair[1](), read))
    assert [path for path, _ in read] == paths
    assert contents == [png(int(path[-1])) for path in paths]
    assert capfd.readouterr().out == ""


def test_a_folder_of_images_without_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image_folder = make_image_folder(tmp_path / "photos", n_each=2)
    monkeypatch.chdir(tmp_path)
    source = open_hub("hf:./photos")
    assert source.name == f"hf:{image_folder}"
    assert source.classes == ("blue", "green", "red")
    assert {image.split for image in source.images} == {None}
    ((path, read),) = source.reader.each([source.images[0].path])
    assert path == "00000"
    assert decode(read()).shape == (40, 60, 3)
    shutil.rmtree(image_folder)
    with pytest.raises(ImageError, match="there is no such file"):
        read()


def test_the_stamp_changes_with_the_images(tmp_path: Path) -> None:
    folder = parquet(tmp_path / "set" / "train.parquet", [0, 1])
    before = open_hub(f"hf:{folder}").reader.stamp("00000")
    assert open_hub(f"hf:{folder}").reader.stamp("00000") == before
    parquet(tmp_path / "set" / "train.parquet", [0, 1, 1])
    assert open_hub(f"hf:{folder}").reader.stamp("00000") != before


def test_no_image_is_decoded_while_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = parquet(tmp_path / "set" / "train.parquet", [0, 1])

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image, "open", refuse)
    ((_, read),) = open_hub(f"hf:{folder}").reader.each(["00001"])
    assert read() == png(1)


def test_labels_may_be_words_or_numbers(tmp_path: Path) -> None:
    image, word, number = (cells(2), datasets.Image()), datasets.Value("string"), datasets.Value("int64")
    words = table(tmp_path / "words" / "train.parquet", image=image, kind=(["b", "a"], word))
    # Of several possible columns, the one named label.
    numbers = table(tmp_path / "n" / "train.parquet", image=image, file=(["x", "y"], word), label=([10, 9], number))
    assert open_hub(f"hf:{words}").classes == ("a", "b")
    assert open_hub(f"hf:{numbers}").classes == ("9", "10")


def test_images_without_a_label_are_left_out(tmp_path: Path) -> None:
    parquet(tmp_path / "set" / "train.parquet", [0, None, 1])
    folder = parquet(tmp_path / "set" / "test.parquet", [-1, -1])
    source = open_hub(f"hf:{folder}")
    assert [image.path for image in source.images] == ["train/00000", "train/00002"]
    assert source.warnings == (
        "left out 2 images of test that have no label",
        "left out 1 images of train that have no label",
        "left out classes that have no images: 'owl'",
    )


def test_other_splits_are_named(tmp_path: Path) -> None:
    config = "---\nconfigs:\n- config_name: default\n  data_files:\n"
    for split in ("train", "extra"):
        folder = parquet(tmp_path / "set" / f"{split}.parquet", [0, 1])
        config += f"  - split: {split}\n    path: {split}.parquet\n"
    (folder / "README.md").write_text(f"{config}---\n")
    source = open_hub(f"hf:{folder}")
    assert len(source.images) == 2
    assert source.warnings[0] == f"ignored the split 'extra' of hf:{folder}"


def test_splits_with_other_names_are_splits(tmp_path: Path) -> None:
    config = "---\nconfigs:\n- config_name: default\n  data_files:\n"
    for split in ("training", "dev", "validation", "test_set"):
        folder = parquet(tmp_path / "set" / f"{split}.parquet", [0, 1] if split != "dev" else [2])
        config += f"  - split: {split}\n    path: {split}.parquet\n"
    (folder / "README.md").write_text(f"{config}---\n")
    source = open_hub(f"hf:{folder}")
    assert [(each.label, each.split) for each in source.images] == [
        (label, split) for split in ("test", "train", "val") for label in ("cat", "dog")
    ]
    assert source.warnings[0] == f"ignored the split 'dev' of hf:{folder}: 'validation' is its val"


def test_labels_that_differ_only_in_unicode_form_are_one_class(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    image, word = (cells(3), datasets.Image()), datasets.Value("string")
    folder = table(tmp_path / "set" / "train.parquet", image=image, label=([nfc, nfd, "Café"], word))
    source = open_hub(f"hf:{folder}")
    assert source.classes == (unicodedata.normalize("NFC", "Café"), nfc)
    assert any("differ only in case or blanks" in warning for warning in source.warnings)
    names = datasets.ClassLabel(names=["b", nfd])
    folder = table(tmp_path / "n" / "train.parquet", image=image, label=([0, 1, 1], names))
    assert open_hub(f"hf:{folder}").classes == ("b", nfc)


def test_several_labels_for_an_image_are_refused(tmp_path: Path) -> None:
    """Else the other column of words would be read as the label."""
    image, word = (cells(2), datasets.Image()), datasets.Value("string")
    several = ([["a"], ["a", "b"]], datasets.List(word))
    folder = table(tmp_path / "set" / "train.parquet", image=image, label=several, caption=(["x", "y"], word))
    with pytest.raises(DataError, match=r"has several labels for each image: label is a list or an object"):
        open_hub(f"hf:{folder}")


def test_columns_that_are_missing_or_ambiguous(tmp_path: Path) -> None:
    image = (cells(2), datasets.Image())
    label = ([0, 1], datasets.ClassLabel(names=["a", "b"]))
    word = (["x", "y"], datasets.Value("string"))
    for number, (columns, words) in enumerate(
        [
            ({"image": image}, "needs one column of labels, but has none; its columns: image"),
            (
                {"image": image, "mask": image, "label": label},
                "needs one column of images, but has 2; its columns: image",
            ),
            (
                {"image": image, "fine": label, "coarse": label},
                r"but has 2; its columns: .*, fine \(int64\), coarse .*; name one of them label",
            ),
            (
                {"url": word, "label": label},
                r"needs one column of images, but has none; its columns: url \(string\), label",
            ),
        ]
    ):
        folder = table(tmp_path / str(number) / "train.parquet", **columns)
        with pytest.raises(DataError, match=words):
            open_hub(f"hf:{folder}")


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "train.parquet").write_bytes(b"PAR1")
    for name, words in (
        ("empty", "doesn't contain any data files"),
        ("damaged", "cannot read .*arquet"),
        ("missing", "there is no folder .*missing'; correct the path"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            open_hub(f"hf:{tmp_path / name}")
        assert "\n" not in str(caught.value)


def test_a_folder_that_is_read_instead_of_the_hub_is_reported(tmp_path: Path, monkeypatch) -> None:
    image_folder = make_image_folder(tmp_path / "anna" / "birds", n_each=2)
    monkeypatch.chdir(tmp_path)
    source = open_hub("hf:anna/birds")
    assert source.name == f"hf:{image_folder}"
    assert "hf:anna/birds is the folder 'anna/birds' here, not a data set on the hub" in source.warnings
    assert not any("on the hub" in warning for warning in open_hub("hf:./anna/birds").warnings)
    assert open_hub(source.name, recorded=True).images == source.images


def test_a_name_in_a_runs_records_is_on_the_hub_and_never_a_folder_here(tmp_path: Path, monkeypatch) -> None:
    make_image_folder(tmp_path / "anna" / "birds", n_each=2)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="the folder 'anna/birds' here hides hf:anna/birds on the hub"):
        open_hub("hf:anna/birds", recorded=True)


def test_the_home_of_an_unknown_user() -> None:
    with pytest.raises(DataError, match="there is no folder '~nobody-of-this-name/x'"):
        open_hub("hf:~nobody-of-this-name/x")


@pytest.mark.parametrize("text", ["hf:", "hf:mnist", "hf:a/b/c", "hf:some one/mnist", "hf:csv"])
def test_names_that_are_invalid(text: str) -> None:
    with pytest.raises(DataError, match="is not a data set's name"):
        open_hub(text)


@pytest.mark.usefixtures("no_network")
def test_without_a_network_it_fails_at_once(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The datasets package itself tries six times, for 23 seconds."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(DataError) as caught:
        open_hub("hf:ylecun/mnist")
    assert str(caught.value) == (
        "cannot download 'hf:ylecun/mnist': no network (Name or service not known); "
        "download it elsewhere and give its folder as hf:./folder"
    )
    assert sum(waited) < 2
    assert capfd.readouterr().out == ""
    assert not datasets.config.HF_HUB_OFFLINE


@pytest.mark.usefixtures("no_network")
def test_without_a_network_the_cache_is_used(tmp_path: Path, cache: Path) -> None:
    folder = parquet(tmp_path / "things" / "train.parquet", [0, 1])
    whole = open_hub(f"hf:{folder}")
    # Where the datasets package keeps a data set of the hub: the same files under its full name.
    shutil.copytree(cache / "things", cache / "someone___things")
    source = open_hub("hf:someone/things")
    assert source.images == whole.images
    assert source.warnings[0] == (
        "no network (Name or service not known); using the earlier download of hf:someone/things"
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("RepositoryNotFoundError", "the hub has no data set 'no/such', or it is private"),
        ("GatedRepoError", "is a gated data set: request access on its page"),
        ("HfHubHTTPError", r"cannot download 'hf:no/such': the hub reports an error \(503"),
    ],
)
def test_what_the_hub_responds(kind: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def respond(*_: object, **__: object) -> None:
        error_type = getattr(huggingface_hub.errors, kind)
        error = error_type.__new__(error_type)  # its __init__ needs a response of the HTTP library
        error.args = ("503 Service Unavailable",)
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", respond)
    with pytest.raises(DataError, match=words):
        open_hub("hf:no/such")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs the package datasets .*; pip install 'alexnet\[hub\]'"):
        open_hub("hf:ylecun/mnist")


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, alexnet.data.sources.sets.hub, alexnet.data.sources.sets.named as n; n.NAMES; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "torchvision", "sklearn", "datasets", "pyarrow"} & set(loaded)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("Training/cat Training/dog Testing/cat Testing/dog", "as 8 images without a split, but it holds"),
        ("train/cat train/dog Validation/cat Validation/dog", "as 4 images without a split, but it holds"),
        ("cat/images cat/masks dog/images dog/masks", "as 8 images without a split, but it holds 4 images"),
        ("cat dog @eaDir/x.png", "as 5 images without a split, but it holds 4 images without a split; give '/"),
    ],
)
def test_a_folder_that_the_package_reads_differently_is_refused(spec: str, words: str, tmp_path: Path) -> None:
    """Else a test image would be learned from, or a split left out, without a warning."""
    folder = make_tree(tmp_path / "data", spec)
    with pytest.raises(DataError) as caught:
        open_hub(f"hf:{folder}")
    assert words in str(caught.value)
    assert str(caught.value).endswith(f"give {str(folder)!r} without hf:")


@pytest.mark.parametrize("spec", ["animals/cat animals/dog cars/bus cars/van", "grey/cat grey/dog rgb/cat rgb/dog"])
def test_a_warning_if_the_package_takes_other_folders_as_classes(spec: str, tmp_path: Path) -> None:
    source = open_hub(f"hf:{make_tree(tmp_path / 'data', spec)}")
    assert any(warning.startswith("the classes are the folders directly around") for warning in source.warnings)


@pytest.mark.parametrize("spec", ["cat dog", "train/cat train/dog test/cat test/dog", "train/cat train/dog"])
def test_a_folder_that_both_read_in_the_same_way_gets_no_warning(spec: str, tmp_path: Path) -> None:
    source = open_hub(f"hf:{make_tree(tmp_path / 'data', spec)}")
    assert source.classes == ("cat", "dog")
    assert source.warnings == ()
