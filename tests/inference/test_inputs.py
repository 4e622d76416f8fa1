"""Every kind of input to a classifier."""

import errno
import io
import os
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet import Classifier, load
from alexnet.errors import ImageError, SettingsError
from alexnet.inference import classifier as classifier_module
from alexnet.inference import streaming
from alexnet.inference.classifier import BATCH
from alexnet.inference.inputs import expand, read_content

from ..conftest import coloured_image

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.fixture(scope="module")
def classifier(trained_run) -> Classifier:
    return load(trained_run)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    coloured_image("blue", 3).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def test_every_kind_of_input_gives_the_same_predictions(classifier, path) -> None:
    file = path.read_bytes()
    array = np.asarray(Image.open(io.BytesIO(file)))
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    written = io.BytesIO()
    written.write(file)  # and left at its end, as by Image.save
    with path.open("rb") as opened:
        given = [
            *(path, str(path), file, bytearray(file), memoryview(file), opened, io.BytesIO(file), written),
            *(array, array[:, ::-1][:, ::-1], np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])),
            *(tensor, tensor.contiguous(), Image.fromarray(array)),
        ]
        results = classifier.predict(given)
        assert not opened.closed
    assert len(results) == len(given)
    for one, result in zip(given, results, strict=True):
        assert result.predictions == results[0].predictions, type(one)
    assert [result.path for result in results[7:9]] == ["<BytesIO>", "<ndarray>"]


def test_each_kind_of_input_may_be_given_alone(classifier, path) -> None:
    array = np.asarray(Image.open(path))
    for one in (
        str(path),
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        array,
        torch.tensor(array).permute(2, 0, 1),
    ):
        assert len(classifier.predict(one)) == 1
        assert len(list(classifier.predict_each(one))) == 1
        assert classifier.embed(one).shape == (1, 64)


def test_grey_is_grey_whatever_its_shape(classifier, tmp_path) -> None:
    grey = np.asarray(coloured_image("red", 1).convert("L"))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    tensor = torch.tensor(grey)
    first, *others = classifier.predict([tmp_path / "grey.png", grey, grey[..., None], tensor, tensor[None]])
    for result in others:  # an image's place in its batch may decide the last digit
        assert result.label == first.label
        assert result.predictions[0].probability == pytest.approx(first.predictions[0].probability, abs=1e-6)


def test_a_stack_is_several_images(classifier) -> None:
    arrays = np.stack([np.asarray(coloured_image(label, 5)) for label in ("blue", "green", "red")])
    expected = [result.predictions for result in classifier.predict(list(arrays))]
    assert len(set(expected)) == 3
    assert [result.predictions for result in classifier.predict(arrays)] == expected
    tensors = torch.tensor(arrays).permute(0, 3, 1, 2)
    assert [result.predictions for result in classifier.predict(tensors)] == expected
    assert [result.predictions for result in classifier.predict([arrays[:1], tensors[1:]])] == expected


def test_arrays_of_paths_are_several(classifier, path) -> None:
    for kind in (str, object):
        assert [result.path for result in classifier.predict(np.array([str(path)] * 2, dtype=kind))] == [str(path)] * 2


class Table:
    columns = ("path",)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


SQUARE = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "cannot be NoneType; give a path"),
        (7, "cannot be int"),
        ([3.5], "cannot be float"),
        (["a.jpg", ["b.jpg"]], "cannot be list"),
        ({"image": "a.jpg"}, "cannot be dict"),
        (Table(), "a Table is a table, not images; give its column of paths"),
        (SQUARE.astype(np.float32), "cannot be float32, since white could be any number"),
        (SQUARE.astype(bool), "cannot be bool"),
        (torch.zeros(3, 8, 8), "cannot be float32"),
        (SQUARE.transpose(2, 0, 1), r"has its channels first; give array\.transpose\(1, 2, 0\)"),
        (torch.tensor(SQUARE), r"has its channels last; give tensor\.permute\(2, 0, 1\)"),
        (np.zeros(9, np.uint8), r"cannot be ndarray \(9,\)"),
        (np.zeros((8, 8, 2), np.uint8), r"cannot be ndarray \(8, 8, 2\)"),
        (np.zeros((1, 2, 8, 8, 3), np.uint8), r"cannot be ndarray \(1, 2, 8, 8, 3\)"),
        (torch.zeros(5, 8, 8, dtype=torch.uint8), r"cannot be Tensor \(5, 8, 8\)"),
        (io.StringIO("text"), "open it with mode 'rb'"),
        (io.StringIO(""), "open it with mode 'rb'"),
    ],
)
def test_other_inputs_are_a_type_error(classifier, given, message) -> None:
    for ask in (classifier.predict, lambda given: list(classifier.predict_each(given)), classifier.embed):
        with pytest.raises(TypeError, match=message) as caught:
            ask(given)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
        assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("https://example.org/cat.jpg", "it is a URL, and nothing is downloaded here; download it"),
        (np.zeros((0, 8, 3), np.uint8), r"without any pixels"),
        (Image.new("RGB", (0, 5)), "it claims 0x5 pixels: it is empty"),
        ("a\0b", "invalid path (embedded null byte)"),
        (io.BytesIO(b""), "the file is empty"),
        (bytearray(b"no image"), "not an image in a known format"),
        (b"\xff\x0a" + bytes(100), "JPEG XL inside; convert it to JPEG"),
    ],
)
def test_an_unreadable_image_stops_no_other(classifier, path, given, reason) -> None:
    bad, good = classifier.predict_each([given, path])
    assert reason in bad.error
    assert good.error is None


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_file_in_text_mode_is_not_reported_as_damaged(classifier, image_folder, encoding) -> None:
    with (
        (image_folder / "red" / "photo 1.jpg").open(encoding=encoding) as file,
        pytest.raises(TypeError, match="a TextIOWrapper that gives str is not an image; open it with mode 'rb'"),
    ):
        classifier.predict(file)


def test_a_file_that_is_open_for_writing_says_so(classifier, path, tmp_path) -> None:
    with (tmp_path / "new.jpg").open("wb") as file:
        bad, good = classifier.predict_each([file, path])
    assert bad.error == "it is open for writing only; open it with mode 'rb'"
    assert good.error is None


def test_a_stream_is_read_to_its_end(classifier, image_folder) -> None:
    """An unbuffered pipe gives the bytes that are there, which may be fewer than all."""
    file = image_folder / "red" / "photo 1.jpg"
    reading, writing = os.pipe()

    def write() -> None:
        content = file.read_bytes()
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for at in range(0, len(content), 500):
                pipe.write(content[at : at + 500])
                time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        (result,) = classifier.predict_each(pipe)
    writer.join()
    assert result.predictions == classifier.predict(file)[0].predictions


def test_an_endless_stream_is_given_up(classifier, monkeypatch) -> None:
    monkeypatch.setattr("alexnet.inference.inputs.MAX_BYTES", 3 << 20)
    with Path("/dev/zero").open("rb") as file:
        (result,) = classifier.predict_each(file)
    assert result.error.startswith("the file is larger than")


def test_a_non_blocking_pipe_without_data(classifier) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=0) as pipe, os.fdopen(writing, "wb"):
        (result,) = classifier.predict_each(pipe)
    assert result.error == "it is non-blocking and has no data yet"


def test_an_unreadable_folder_is_named_and_stops_no_image(classifier, path, tmp_path, monkeypatch) -> None:
    for name in ("closed", "half/closed"):
        (tmp_path / name).mkdir(parents=True)
    path.rename(tmp_path / "half" / "a.png")
    scan = os.scandir

    def refuse(folder):
        if Path(folder).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    results = list(classifier.predict_each([tmp_path / "closed", tmp_path / "half"]))
    assert [(result.path, result.error) for result in results] == [
        (str(tmp_path / "closed"), "no permission to read it"),
        (str(tmp_path / "half" / "a.png"), None),
        (str(tmp_path / "half" / "closed"), "no permission to read it"),
    ]


def test_a_path_in_an_array_without_dimensions_is_a_path(classifier, path) -> None:
    for kind in (str, object):
        given = np.array(str(path), dtype=kind)
        assert [result.path for result in classifier.predict(given)] == [str(path)]
        assert [result.path for result in classifier.predict([given, path])] == [str(path)] * 2


@pytest.mark.parametrize("top", [1.5, "2", None, np.nan])
def test_top_is_a_whole_number(classifier, path, top) -> None:
    with pytest.raises(SettingsError, match=r"top is .*; it must be a whole number, and at least 1"):
        classifier.predict(path, top=top)
    assert len(classifier.predict(path, top=np.int64(2))[0].predictions) == 2


def test_a_closed_file_is_not_reported_as_damaged(classifier, path) -> None:
    with path.open("rb") as file:
        pass
    (result,) = classifier.predict_each([file])
    assert result.error == "it cannot be read any more (I/O operation on closed file)"


def test_no_images_give_no_results(classifier) -> None:
    assert classifier.predict([]) == []
    assert list(classifier.predict_each(iter(()))) == []
    assert classifier.embed([]).shape == (0, 64)
    assert classifier.predict(np.zeros((0, 8, 8, 3), np.uint8)) == []


def test_an_endless_generator_gives_results_after_its_first_batch(classifier) -> None:
    given = 0

    def frames() -> Iterator[Image.Image]:
        nonlocal given
        while True:
            given += 1
            yield coloured_image("red", 1, (8, 8))

    results = classifier.predict_each(frames())
    first = next(results)
    assert first.error is None
    assert given == BATCH
    assert next(results).predictions == first.predictions
    results.close()


def test_memory_does_not_grow_with_the_number_of_images(classifier, monkeypatch) -> None:
    """Once, 10,000 opened images were held before the first result."""
    monkeypatch.setattr("alexnet.inference.streaming.n_cores", lambda: 2)

    def frames(n: int) -> Iterator[np.ndarray]:
        for _ in range(n):
            yield np.zeros((300, 400, 3), np.uint8)

    for result in classifier.predict_each(frames(BATCH)):
        assert result.error is None
    tracemalloc.start()
    for result in classifier.predict_each(frames(4 * BATCH)):
        assert result.error is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < BATCH * 300 * 400 * 3, "that of one batch of them, though none needs to stay"


def test_a_generator_may_reuse_memory_and_close_files(classifier, image_folder, tmp_path) -> None:
    paths = [image_folder / label / f"photo {number}.jpg" for number in (1, 2) for label in ("blue", "green", "red")]
    expected = [result.predictions for result in classifier.predict(paths)]

    def opened() -> Iterator[Image.Image]:
        for path in paths:
            with Image.open(path) as image:
                yield image

    def one_buffer() -> Iterator[np.ndarray]:
        buffer = np.empty((40, 60, 3), np.uint8)
        for image in opened():
            buffer[:] = np.asarray(image)
            yield buffer

    def one_file() -> Iterator[Path]:
        for path in paths:
            (tmp_path / "frame.jpg").write_bytes(path.read_bytes())
            yield tmp_path / "frame.jpg"

    def grey_buffer() -> Iterator[np.ndarray]:
        buffer = np.empty((40, 60), np.uint8)
        for image in opened():
            buffer[:] = np.asarray(image.convert("L"))
            yield buffer

    for frames in (opened, one_buffer, one_file):
        assert [result.predictions for result in classifier.predict_each(frames())] == expected
    grey = [array.copy() for array in grey_buffer()]
    assert [each.predictions for each in classifier.predict_each(grey_buffer())] == [
        each.predictions for each in classifier.predict_each(grey)
    ]


def test_a_large_file_is_not_held_but_read_before_the_next_one(classifier, image_folder, tmp_path, monkeypatch) -> None:
    paths = [image_folder / label / "photo 1.jpg" for label in ("blue", "green", "red")]
    expected = [result.predictions for result in classifier.predict(paths)]
    monkeypatch.setattr("alexnet.inference.inputs.MAX_BYTES", 100)
    assert read_content(paths[0]) == paths[0]

    def one_file() -> Iterator[Path]:
        for path in paths:
            (tmp_path / "frame.jpg").write_bytes(path.read_bytes())
            yield tmp_path / "frame.jpg"

    assert [result.predictions for result in classifier.predict_each(one_file())] == expected


@pytest.mark.parametrize(
    "as_held", [Path.read_bytes, lambda path: path.open("rb"), lambda path: io.BytesIO(path.read_bytes())]
)
def test_several_images_are_decoded_at_a_time(classifier, image_folder, monkeypatch, as_held) -> None:
    monkeypatch.setattr("alexnet.inference.streaming.n_cores", lambda: 2)
    both = threading.Barrier(2, timeout=300)
    real = classifier_module.decode

    def meet(*given, **how):
        both.wait()
        return real(*given, **how)

    monkeypatch.setattr(classifier_module, "decode", meet)
    given = [as_held(image_folder / label / "photo 1.jpg") for label in ("blue", "red")]
    assert [result.label for result in classifier.predict_each(given)] == ["blue", "red"]
    for each in given:
        if hasattr(each, "close"):
            each.close()


def test_memory_held_at_a_time_is_bounded(classifier, image_folder, monkeypatch) -> None:
    path = image_folder / "blue" / "photo 1.jpg"
    monkeypatch.setattr("alexnet.inference.streaming.n_cores", lambda: 8)
    monkeypatch.setattr("alexnet.inference.streaming.MAX_BYTES", 2 * path.stat().st_size)
    held, most = 0, 0
    real_content, real_decode = streaming.read_content, classifier_module.decode

    def take(image):
        nonlocal held, most
        held += 1
        most = max(most, held)
        return real_content(image)

    def decode(*given, **how):
        nonlocal held
        pixels = real_decode(*given, **how)
        held -= 1
        return pixels

    monkeypatch.setattr(streaming, "read_content", take)
    monkeypatch.setattr(classifier_module, "decode", decode)
    assert len(list(classifier.predict_each([path] * 20))) == 20
    assert most <= 3, "two, and the one that waits for them"


def test_a_folder_gives_its_images_and_names_the_rest(tmp_path) -> None:
    image = io.BytesIO()
    coloured_image("red", 1).save(image, "JPEG")
    files = {
        "a.jpg": image.getvalue(),
        "b.HEIC": image.getvalue(),
        "c.heic": HEIC,
        "d": image.getvalue(),
        "e": HEIC,
        "f.nef": b"raw",
        "notes.txt": b"BMW, and other words",
        "table.csv": b"path,label",
        "README": b"words",
        ".hidden": image.getvalue(),
        "Thumbs.db": image.getvalue(),
    }
    for name, file in files.items():
        (tmp_path / name).write_bytes(file)
    os.mkfifo(tmp_path / "pipe")
    left_out: list[str] = []
    found = list(expand(tmp_path, left_out))
    assert [each.name for each in found] == ["a.jpg", "b.HEIC", "c.heic", "d", "e", "f.nef"]
    assert sorted(Path(each).name for each in left_out) == ["README", "notes.txt", "pipe", "table.csv"]
    assert list(expand(str(tmp_path / "a.jpg"))) == [str(tmp_path / "a.jpg")]


def test_a_path_that_looks_like_a_url_is_read(monkeypatch, tmp_path, path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match="it is a URL"):
        read_content("s3://image.png")
    (tmp_path / "s3:").mkdir()
    path.rename(tmp_path / "s3:" / "image.png")
    assert read_content("s3://image.png") == Path("s3:/image.png").read_bytes()
