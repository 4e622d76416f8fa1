"""A browser, and a page that holds nothing but the scripts that compute predictions."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alexnet.web.build import COMPUTE, script

from ..browser import chromium, watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def opened(browser) -> Iterator[Callable[..., Any]]:
    with watched(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def compute(browser) -> Iterator[Any]:
    """A page with the scripts that compute predictions, whose functions tests call with ``evaluate``."""
    page = browser.new_page()
    page.add_script_tag(content=script(COMPUTE))
    yield page
    page.close()
