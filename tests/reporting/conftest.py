"""A run of one's own to report on, and a browser that looks at the report."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def run(trained_run, tmp_path) -> Path:
    """A copy of the small trained run that all share; reports and galleries may be written into it."""
    return Path(shutil.copytree(trained_run, tmp_path / "photos"))


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium without a window. ``.ci/run`` installs it from the system's packages."""
    if CHROMIUM is None:
        assert "CI" not in os.environ, ".ci/run must install Chromium"
        pytest.skip("needs Chromium, such as the package chromium of Debian")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
