"""A network that has learned drawn squares, and a run folder that these tests may write into."""

import shutil
from pathlib import Path

import pytest

from alexnet.inference.classifier import Classifier, load

from .drawn import make_drawn_folder


@pytest.fixture(scope="session")
def drawn_classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A network that tells stripes across from stripes down, wherever they are."""
    from alexnet import Settings, train

    root = tmp_path_factory.mktemp("drawn")
    settings = Settings(
        variant="small", width=0.25, hidden=(32,), image_size=64, epochs=12, batch_size=16, crop="whole", turn="off"
    )
    return load(train(make_drawn_folder(root / "images"), out=root / "run", settings=settings, verbose=False).folder)


@pytest.fixture(scope="module")
def run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run that all tests share: explaining writes into a run folder."""
    copy = tmp_path_factory.mktemp("explained") / "run"
    shutil.copytree(trained_run, copy, ignore=shutil.ignore_patterns("checkpoint"))
    return copy
