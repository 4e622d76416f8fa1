"""A run of one's own to report on, and a browser that looks at the report."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..browser import chromium


@pytest.fixture
def run(trained_run, tmp_path) -> Path:
    """A copy of the small trained run that all share; reports and galleries may be written into it."""
    return Path(shutil.copytree(trained_run, tmp_path / "photos"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started
