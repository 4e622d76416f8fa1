"""The page of a server, with a made-up server behind it."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from alexnet.web.build import server_page

from ..browser import finish
from .predicting import png, shares
from .test_page import choose, first_labels

ADDRESS = "http://alexnet.test/"
FIELD = {"size": 51, "stride": 8, "start": -20, "n": 4, "image_size": 67, "end": 67}
MODELS = {
    name: {
        "name": name, "classes": ["cat", "dog", "owl", "bat", "cow", "pig"], "image_size": 67, "n_channels": 3,
        "resize": "crop", "engine": "ONNX Runtime 1.32.0, int8", "explains": name == "first", "version": "1",
        "limits": {"upload_bytes": 60_000, "pixels": 1_000_000, "images": 64}, "models": ["first", "second"],
    }
    for name in ("first", "second")
}  # fmt: skip
PREDICTIONS = [{"label": label, "probability": share} for label, share in (("cat", 0.5), ("dog", 0.3), ("owl", 0.1))]


class Server:
    """Responds to the requests of a page.

    Attributes:
        key: what requests must give; None: nothing.
        busy: so many requests to predict are refused before one is accepted.
        error: what is said of every image; None: it is predicted.
        asked: the paths that were asked for, with their queries.
        sent: the bodies and headers of requests to predict.
    """

    def __init__(self) -> None:
        self.key: str | None = None
        self.busy = 0
        self.error: str | None = None
        self.asked: list[str] = []
        self.sent: list[tuple[bytes, dict[str, str]]] = []

    def __call__(self, route: Any, request: Any) -> None:
        path = request.url.removeprefix(ADDRESS)
        self.asked.append(path)
        if path == "":
            route.fulfill(body=server_page(), content_type="text/html; charset=utf-8")
        elif self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            self.say(route, 401, {"error": "the API key is missing or wrong"})
        elif path.startswith("model"):
            name = path.partition("=")[2] or "first"
            self.say(route, 200, MODELS[name])
        else:
            self.predict(route, request, path)

    def predict(self, route: Any, request: Any, path: str) -> None:
        self.sent.append((request.post_data_buffer, request.headers))
        if self.busy:
            self.busy -= 1
            self.say(route, 503, {"error": "the queue is full"}, {"Retry-After": "0.1"})
        elif self.error:
            self.say(route, 422, {"error": self.error})
        else:
            result: dict[str, Any] = {"name": "image", "predictions": PREDICTIONS}
            if path.startswith("explain"):
                result["maps"] = [{"label": "cat", "values": [[0, 0, 1, 2]] * 4, "field": FIELD}]
            self.say(route, 200, {"model": "first", "results": [result]})

    def say(self, route: Any, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        route.fulfill(status=status, body=json.dumps(content), content_type="application/json", headers=headers)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def page(browser, server) -> Any:
    """The page of the server. It fails where the page reports an error of its own."""
    shown = browser.new_page()
    errors: list[str] = []
    shown.on("pageerror", lambda error: errors.append(str(error)))
    shown.route("**/*", server)
    shown.goto(ADDRESS)
    yield shown
    shown.close()
    assert errors == []


def test_an_image_is_sent_as_it_is_and_its_prediction_shown(page, server) -> None:
    page.get_by_text("A network of 6 classes").wait_for()
    assert page.title() == "first: cat, dog, owl, bat, cow, pig"
    assert "ONNX Runtime 1.32.0, int8" in page.locator("#notes").inner_text()
    choose(page, ("a.png", png("red")))
    assert server.asked[-1] == "explain?top=5&model=first"
    assert server.sent[0][0] == png("red")
    assert server.sent[0][1]["content-type"] == "application/octet-stream"
    assert first_labels(page) == ["cat"]
    assert shares(page.locator(".bars b").all_inner_texts()) == [50, 30, 10, 10]
    assert page.locator(".bars li.rest").inner_text().startswith("3 other classes")
    page.locator(".maps button").click()
    assert page.locator(".shown canvas").is_visible()


def test_an_error_of_the_server_is_shown_in_the_card(page, server) -> None:
    server.error = "damaged (broken data stream)"
    choose(page, ("a.png", png("red")))
    assert page.locator(".card .fault").inner_text() == "Cannot be predicted: damaged (broken data stream)."


def test_an_image_waits_for_a_busy_server(page, server) -> None:
    server.busy = 3
    choose(page, ("a.png", png("red")))
    assert first_labels(page) == ["cat"]
    assert len(server.sent) == 4


def test_what_is_too_large_is_not_sent(page, server) -> None:
    page.get_by_text("A network of 6 classes").wait_for()
    choose(page, ("a.png", bytes(70_000)))
    assert (
        page.locator(".card .fault").inner_text()
        == "Cannot be predicted: it has 0.07 MB, and this server accepts 0.06 MB."
    )
    assert server.sent == []


def test_the_key_is_asked_for_and_sent(browser, server) -> None:
    server.key = "secret"
    page = browser.new_page()
    page.route("**/*", server)
    page.goto(ADDRESS)
    page.locator("#key").wait_for()
    for typed in ("wrong", "ключ", " secret "):
        page.locator("#key-field").fill(typed)
        page.keyboard.press("Enter")
        if typed == "ключ":  # no header can hold it
            assert page.locator("#key-field:invalid").is_visible()
        elif typed == "wrong":
            page.get_by_text("The server refuses this key.").wait_for()
    page.get_by_text("A network of 6 classes").wait_for()
    assert page.locator("#key").is_hidden()
    choose(page, ("a.png", png("red")))
    assert first_labels(page) == ["cat"]
    assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    page.close()


def test_another_network_is_chosen(page, server) -> None:
    page.locator("#models").wait_for()
    page.locator("#model-choice").select_option("second")
    expect(page).to_have_title(re.compile("^second"))
    choose(page, ("a.png", png("red")))
    assert server.asked[-1] == "predict?top=5&model=second"
    assert page.locator(".maps").count() == 0
    assert "Grad-CAM is not available" in page.locator("#notes").inner_text()


def test_the_list_keeps_the_network_in_use_where_another_cannot_be_had(page) -> None:
    page.locator("#models").wait_for()
    page.unroute("**/*")
    page.route("**/*", lambda route: route.abort())
    page.locator("#model-choice").select_option("second")
    expect(page.locator("#status")).to_contain_text("the server cannot be reached")
    expect(page.locator("#model-choice")).to_have_value("first")


def test_a_server_that_is_gone_gets_a_sentence(page, server) -> None:
    page.get_by_text("A network of 6 classes").wait_for()
    page.unroute("**/*")
    page.route("**/*", lambda route: route.abort())
    page.locator("#files").set_input_files([{"name": "a.png", "mimeType": "image/png", "buffer": png("red")}])
    finish(page)
    assert "the server cannot be reached" in page.locator(".card .fault").inner_text()
