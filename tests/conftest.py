"""What the tests share: small real folders of images, and one trained network."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported, here and in the processes that tests start. With images so small, threads mostly wait for
# one another (249 s of processor time became 37), and each core has a worker. Tests of what threads change ask for
# two, which sleep while they wait.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
# Before ONNX Runtime is imported, which would report to its makers: inference/engines/quiet.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import pytest
from PIL import Image

from .forked import kill_all
from .processes import none_left

SHARED = Path(__file__).parents[2] / "shared"
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep prepared images out of the cache of whoever runs the tests."""
    before = os.environ.get("ALEXNET_CACHE")
    os.environ["ALEXNET_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["ALEXNET_CACHE"]
    else:
        os.environ["ALEXNET_CACHE"] = before


@pytest.fixture(autouse=True)
def _sockets_wait_as_before() -> Iterator[None]:
    """Take back what the command line sets for its own process, which here is that of all tests."""
    before = socket.getdefaulttimeout()
    yield
    socket.setdefaulttimeout(before)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """End what a test that fails, times out or is interrupted has started."""
    with none_left():
        yield
    kill_all()


def shared_data(name: str) -> Path:
    """Return a folder of real images, or skip the test where there is none."""
    folder = SHARED / "data" / name
    if not folder.exists():
        pytest.skip(f"needs the real images in {folder}")
    return folder


def coloured_image(label: str, seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Return a noisy image in which one of three colours is the strongest."""
    channel = {"red": 0, "green": 1, "blue": 2}[label]
    noise = np.random.default_rng(seed).integers(0, 120, (size[1], size[0], 3))
    noise[..., channel] += 100
    return Image.fromarray(noise.astype(np.uint8))


def make_image_folder(root: Path, n_each: int = 20, first: int = 0) -> Path:
    """Make a folder of three classes, learned within seconds; images of the same numbers are the same."""
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number in range(first, first + n_each):
            coloured_image(label, number).save(root / label / f"photo {number}.jpg")
    return root


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of class folders; tests must not change it."""
    root = make_image_folder(tmp_path_factory.mktemp("data") / "photos", n_each=40)
    before = sorted(root.rglob("*"))
    yield root
    assert sorted(root.rglob("*")) == before, "a test has changed the folder that all share"


@pytest.fixture(scope="session")
def trained_run(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a small network trained on ``photos``; tests must not change it."""
    from alexnet import Settings, train
    from alexnet.network.value.variants import BATCHNORM, VARIANTS

    out = tmp_path_factory.mktemp("runs") / "photos"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "batchnorm", BATCHNORM)  # tests/training has a smaller one, and may be the first to ask
        settings = Settings(variant="batchnorm", epochs=6, image_size=67, batch_size=16, width=0.125, hidden=(64, 64))
        return train(image_folder, out=out, settings=settings, verbose=False).folder


@pytest.fixture(scope="session")
def exported_run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``trained_run`` as an ``.onnx`` of float32; tests must not change it."""
    from alexnet import export

    return export(trained_run, out=tmp_path_factory.mktemp("exports") / "photos.onnx").path
