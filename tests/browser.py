"""A browser for tests, and pages in it that may neither complain nor ask for anything."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# In pixels: a phone, and a small laptop.
PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
# What a page makes itself, and so is asked of nobody.
OWN = ("data:", "blob:")


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium without a window. ``.ci/run`` installs it from the system's packages."""
    if CHROMIUM is None:
        assert "CI" not in os.environ, ".ci/run must install Chromium"
        pytest.skip("needs Chromium, such as the package chromium of Debian")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched(browser: Any) -> Iterator[Callable[..., Any]]:
    """Yield a function that opens a file in a new page; fail where a page asks for anything, or complains."""
    pages, complaints = [], []

    def open_page(file: Path, size: dict[str, int] = LAPTOP, before: str | None = None, **options: object) -> Any:
        page = browser.new_page(viewport=size, **options)
        pages.append(page)
        if before is not None:
            page.add_init_script(before)
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", lambda request: complaints.append(f"request: {request.url[:200]}"))
        page.goto(file.as_uri())
        return page

    yield open_page
    own = tuple(f"request: {each}" for each in (*OWN, *(page.url.partition("#")[0] for page in pages)))
    for page in pages:
        page.close()
    assert [each for each in complaints if not each.startswith(own)] == []


def finish(page: Any) -> None:
    """Wait until a page of predictions has predicted all its images."""
    from playwright.sync_api import expect

    page.locator(".card").first.wait_for()
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=60_000)


def is_too_wide(page: Any) -> bool:
    """Return whether a page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
