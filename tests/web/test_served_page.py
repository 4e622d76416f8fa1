"""The page of a server, and the server behind it: in Chromium, with a trained network."""

import pytest

from alexnet import load
from alexnet.serving.app import create_app
from alexnet.serving.models import load_models
from alexnet.serving.settings import ServerSettings
from alexnet.web.build import server_page

from ..serving.running import running
from .predicting import png, shares
from .test_page import choose, first_labels

KEY = "secret"


@pytest.fixture
def page(browser, trained_run):
    """The page of a running server. It fails where the page complains, or asks anybody else for anything."""
    models = load_models([trained_run], "torch")
    app = create_app(models, ServerSettings(), page=server_page(), api_key=KEY, log=lambda facts: None)
    complaints, asked = [], []
    with running(app) as server:
        shown = browser.new_page()
        shown.on("console", lambda message: complaints.append(message.text))
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(server.address)
        yield shown
        shown.close()
    assert [each for each in asked if not each.startswith((f"{server.address}/", "data:", "blob:"))] == []
    # Chromium itself reports each status of 400 and more.
    assert [each for each in complaints if not each.startswith("Failed to load resource")] == []


def test_images_are_predicted_and_explained_by_the_server(page, trained_run) -> None:
    page.locator("#key-field").fill(KEY)
    page.keyboard.press("Enter")
    page.get_by_text("A network of 3 classes: blue, green, red.").wait_for()
    choose(page, ("red.png", png("red")), ("text.png", b"no image"))
    assert first_labels(page) == ["red"]
    expected = load(trained_run).predict(png("red"))[0].predictions
    found = shares(page.locator(".bars b").all_inner_texts())
    assert found == pytest.approx([100 * each.probability for each in expected], abs=0.1)
    page.locator(".maps button").first.click()
    assert page.locator(".shown canvas").is_visible()
    assert page.locator(".card .fault").inner_text().startswith("Cannot be predicted: ")
