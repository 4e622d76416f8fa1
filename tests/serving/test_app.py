import base64
import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from .fake import MAX_PIXELS, PAGE, FakeClassifier, app_of, image_file, served

RED, BLUE = image_file("red"), image_file("blue", "JPEG")
KEY = "secret-key"


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(app_of(served(name="first"), served(name="second", explains=False))) as client:
        yield client


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def labels(response) -> list[str]:
    return [each["predictions"][0]["label"] for each in response.json()["results"]]


# predict


def test_one_image_may_be_sent_in_every_shape(client) -> None:
    as_json = {"images": [in_base64(RED)]}
    for response in (
        client.post("/predict", content=RED),
        client.post("/predict", content=RED, headers={"content-type": "image/png"}),
        client.post("/predict", files={"file": ("a.png", RED)}),
        client.post("/predict", json=as_json),
        client.post("/predict", content=iter([RED[:20], RED[20:]])),  # chunked
    ):
        assert response.status_code == 200, response.text
        assert response.json()["model"] == "first"
        assert labels(response) == ["red"]


def test_the_result_holds_labels_with_their_probabilities(client) -> None:
    (result,) = client.post("/predict?top=2", content=RED).json()["results"]
    assert result["name"] == "image"
    assert [list(each) for each in result["predictions"]] == [["label", "probability"]] * 2
    assert result["predictions"][0]["probability"] == pytest.approx(251 / 273)
    assert len(client.post("/predict?top=9999", content=RED).json()["results"][0]["predictions"]) == 3


def test_several_images_keep_their_order_and_one_that_cannot_be_read_fails_alone(client) -> None:
    files = [("f", ("a.png", RED)), ("f", ("b.pdf", b"%PDF-1.7")), ("f", ("c.jpg", BLUE))]
    first, bad, last = client.post("/predict", files=files).json()["results"]
    assert [each["name"] for each in (first, bad, last)] == ["a.png", "b.pdf", "c.jpg"]
    assert (first["predictions"][0]["label"], last["predictions"][0]["label"]) == ("red", "blue")
    assert set(bad) == {"name", "error"}
    assert "a PDF" in bad["error"]
    images = [in_base64(BLUE), "http://127.0.0.1/a.png", in_base64(RED)]
    found = client.post("/predict", json={"images": images}).json()["results"]
    assert "URL" in found[1]["error"]
    assert [each["predictions"][0]["label"] for each in found[::2]] == ["blue", "red"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no image"),
        (b"not an image", "cannot read image: not an image in a known format"),
        (b"http://localhost/a.png", "not an image"),
        (RED[:45], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 1_000_000, "cannot read image"),
        (json.dumps({"images": []}).encode(), "JSON"),
    ],
)
def test_a_single_image_that_cannot_be_read_is_refused_with_a_reason(client, content, words) -> None:
    response = client.post("/predict", content=content, headers={"content-type": "image/png"})
    assert response.status_code in (400, 422)
    assert list(response.json()) == ["error"]
    assert words in response.json()["error"]


def test_the_limits_name_the_option_that_raises_them() -> None:
    bomb = image_file(size=(1001, 1000))
    assert MAX_PIXELS < 1001 * 1000
    with TestClient(app_of(upload_mb=1, max_images=2)) as client:
        for response, option, status in (
            (client.post("/predict", content=b"a" * 1_000_001), "--upload-mb", 413),
            (client.post("/predict", content=bomb), "--max-pixels", 422),
            (client.post("/predict", files=[("f", ("a.png", RED))] * 3), "--max-images", 413),
        ):
            assert response.status_code == status
            assert option in response.json()["error"]


@pytest.mark.parametrize("top", ["0", "-1", "many", "", "1.5", "NaN", "9" * 5000])
def test_an_impossible_number_of_classes_is_refused(client, top) -> None:
    response = client.post(f"/predict?top={top}", content=RED)
    assert response.status_code == 422
    assert response.json()["error"].startswith("top is ")
    assert len(response.json()["error"]) < 300


def test_models_are_found_by_their_names(client) -> None:
    assert client.post("/predict?model=second", content=RED).json()["model"] == "second"
    assert client.get("/model?model=second").json()["name"] == "second"
    for name in ("secnd", "../../etc/passwd", "%2e%2e%2fetc", "", "x" * 10_000):
        response = client.post("/predict", params={"model": name}, content=RED)
        assert response.status_code == 404
        assert "known: first, second" in response.json()["error"] or "did you mean" in response.json()["error"]
        assert len(response.text) < 500


# explain, and Hugging Face


def test_an_explanation_holds_maps_with_what_their_positions_see(client) -> None:
    (result,) = client.post("/explain", content=RED).json()["results"]
    assert result["predictions"][0]["label"] == "red"
    assert result["maps"] == [
        {
            "label": "red",
            "values": [[0.0, 1.5]],
            "field": {"size": 11, "stride": 4, "start": -2, "n": 2, "image_size": 8, "end": 8},
        }
    ]
    files = [("f", ("a.png", RED)), ("f", ("b.txt", b"text"))]
    good, bad = client.post("/explain", files=files).json()["results"]
    assert good["name"] == "a.png"
    assert "not an image" in bad["error"]


def test_a_model_that_grad_cam_does_not_cover_is_not_explained(client) -> None:
    response = client.post("/explain?model=second", content=RED)
    assert response.status_code == 404
    assert "Grad-CAM" in response.json()["error"]
    assert [client.get(f"/model?model={name}").json()["explains"] for name in ("first", "second")] == [True, False]


def test_hugging_face_gets_a_list_of_labels_and_scores(client) -> None:
    body = {"inputs": in_base64(RED), "parameters": {"top_k": 1}}
    (first,) = client.post("/", json=body).json()
    assert first == {"label": "red", "score": pytest.approx(251 / 273)}
    assert [each["label"] for each in client.post("/", content=RED).json()] == ["red", "green", "blue"]
    assert client.post("/", json={"inputs": "http://a/b.png"}).status_code == 422
    assert client.post("/", json={"inputs": in_base64(b"text")}).status_code == 422


# What the server shows


def test_the_page_loads_nothing_from_elsewhere(client) -> None:
    response = client.get("/")
    assert response.text == PAGE
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert client.get("/favicon.ico").status_code == 204
    for path in ("/", "/model", "/nowhere"):
        assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_the_docs_name_every_path_and_load_nothing_from_elsewhere(client) -> None:
    response = client.get("/docs")
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}<" in response.text
    assert "src=" not in response.text
    assert "http:" not in response.text
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert client.get("/redoc").status_code == 404


def test_the_model_says_what_a_page_needs_to_know(client) -> None:
    found = client.get("/model").json()
    assert found["models"] == ["first", "second"]
    assert (found["classes"], found["image_size"], found["n_channels"]) == (["red", "green", "blue"], 8, 3)
    assert (found["resize"], found["engine"]) == ("squash", "Fake 1.0, fp32")
    assert found["limits"] == {"upload_bytes": 20_000_000, "pixels": 50_000_000, "images": 64}
    assert found["version"]


def test_health_metrics_and_the_open_inference_protocol(client) -> None:
    client.post("/predict", content=RED)
    assert client.get("/health").json() == client.get("/ready").json() == {"status": "ok"}
    assert client.head("/health").status_code == 200
    text = client.get("/metrics").text
    assert 'alexnet_requests_total{path="/predict",status="200"} 1.0' in text
    assert 'alexnet_images_total{model="first",outcome="computed"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert client.get("/v2").json()["name"] == "alexnet"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/second/ready").json() == {"name": "second", "ready": True}
    about = client.get("/v2/models/first").json()
    assert about["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 8, 8, 3]}]
    assert about["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]
    assert about["platform"] == "alexnet_fake"
    for path in ("/v2/models/third", "/v2/models/..%2F..%2Fetc", "/v2/models/first/infer"):
        assert client.get(path).status_code == 404


def test_paths_that_do_not_exist_share_one_number(client) -> None:
    for number in range(5):
        assert client.get(f"/nowhere-{number}").json()["error"].startswith("there is nothing at this path")
    assert 'alexnet_requests_total{path="other",status="404"} 5.0' in client.get("/metrics").text


def test_a_wrong_method_is_refused_with_all_that_are_right(client) -> None:
    for path, allowed in {"/": {"GET", "POST"}, "/predict": {"POST"}, "/health": {"GET"}}.items():
        response = client.request("DELETE", path)
        assert response.status_code == 405
        assert set(response.headers["allow"].split(", ")) == allowed
        assert "DELETE is not offered" in response.json()["error"]


def test_a_server_that_stops_is_not_ready() -> None:
    app = app_of()
    with TestClient(app) as client:
        app.state.is_stopping = True
        for path in ("/ready", "/v2/health/ready", "/v2/models/colours/ready"):
            assert client.get(path).status_code == 503, path
        assert client.get("/health").status_code == client.get("/v2/health/live").status_code == 200


@pytest.mark.parametrize("kind", ["local", "with a key", "for all networks"])
def test_a_local_server_without_a_key_responds_to_names_of_this_machine_only(kind) -> None:
    host, key = "0.0.0.0" if kind == "for all networks" else "127.0.0.1", KEY if kind == "with a key" else None
    with TestClient(app_of(host=host, api_key=key)) as client:

        def status(name: str) -> int:
            headers = {"host": name, "authorization": f"Bearer {KEY}"}
            return client.get("/model", headers=headers).status_code

        for name in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]", "[::1]:8000"):
            assert status(name) == 200, name
        for name in ("example.org", "example.org:8000", "127.0.0.1.example.org", "192.0.2.1"):
            assert status(name) == (421 if kind == "local" else 200), name


def test_a_failure_says_nothing_of_this_machine() -> None:
    classifier = FakeClassifier()
    classifier.fails = True
    with TestClient(app_of(served(classifier)), raise_server_exceptions=False) as client:
        response = client.post("/predict", content=RED)
        assert response.status_code == 500
        assert list(response.json()) == ["error"]
        assert "secret" not in response.text
        assert response.headers["x-content-type-options"] == "nosniff"
        several = client.post("/predict", files=[("f", ("a.png", RED))] * 3)
        assert (several.status_code, list(several.json())) == (500, ["error"])
        classifier.fails = False
        assert client.post("/predict", content=RED).status_code == 200


# The key, and other sites


def test_without_the_key_only_probes_and_the_page_are_served() -> None:
    with TestClient(app_of(api_key=KEY)) as client:
        for path in ("/health", "/ready", "/v2/health/live", "/v2/health/ready", "/"):
            assert client.get(path).status_code == client.head(path).status_code == 200
        for path in ("/model", "/metrics", "/openapi.json", "/v2", "/v2/models/colours", "/nowhere", "/health/"):
            response = client.get(path)
            assert response.status_code == 401, path
            assert "API key" in response.json()["error"]
            # Basic would open a window of the browser in front of the page, which asks for the key itself.
            assert response.headers["www-authenticate"] == "Bearer"
        for path in ("/", "/predict", "/explain"):
            assert client.post(path, content=RED).status_code == 401


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {KEY}", 200),
        (f"bearer {KEY}", 200),
        ("Basic " + in_base64(f"anybody:{KEY}".encode()), 401),
        (f"Bearer {KEY}x", 401),
        (f"Bearer {KEY[:-1]}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (KEY, 401),
        (f"Digest {KEY}", 401),
        ("Bearer s\u00e9cret".encode("latin-1"), 401),
    ],
)
def test_the_key_is_a_bearer_token(header, status) -> None:
    with TestClient(app_of(api_key=KEY)) as client:
        assert client.get("/model", headers={"authorization": header}).status_code == status


def test_other_sites_may_not_read_responses_unless_allowed() -> None:
    headers = {"origin": "https://example.org"}
    preflight = {**headers, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    with TestClient(app_of()) as client:
        assert "access-control-allow-origin" not in client.post("/predict", content=RED, headers=headers).headers
        assert client.options("/predict", headers=preflight).status_code == 405
    with TestClient(app_of(api_key=KEY, cors=("https://example.org",))) as client:
        assert client.options("/predict", headers=preflight).status_code == 200
        assert client.post("/predict", headers=headers).headers["access-control-allow-origin"] == "https://example.org"
        assert 'status="401"' in client.get("/metrics", headers={"authorization": f"Bearer {KEY}"}).text
        response = client.get("/model", headers={**headers, "authorization": f"Bearer {KEY}"})
        assert response.headers["access-control-allow-origin"] == "https://example.org"
        other = client.get("/model", headers={"origin": "https://other.org", "authorization": f"Bearer {KEY}"})
        assert "access-control-allow-origin" not in other.headers


# The log


def test_each_request_is_one_line_of_json_without_its_images(capsys) -> None:
    from alexnet.serving.gate import log_line

    with TestClient(app_of(log=log_line)) as client:
        client.post("/predict?model=colours", files=[("f", ("private name.png", RED))] * 2)
        client.head("/no%0Awhere")
    lines = capsys.readouterr().out.splitlines()
    first, second = map(json.loads, lines)
    assert (first["method"], first["path"], first["status"]) == ("POST", "/predict", 200)
    assert (first["model"], first["images"]) == ("colours", 2)
    assert first["milliseconds"] > 0
    assert "private" not in lines[0]
    assert second["method"] == "HEAD"
    assert (second["path"], second["status"], second["images"]) == ("/no\nwhere", 404, 0)
