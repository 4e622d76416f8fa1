"""A real network behind the server predicts what it predicts without one."""

from collections.abc import Iterator

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from alexnet.inference.classifier import load
from alexnet.serving.app import create_app
from alexnet.serving.models import load_models
from alexnet.serving.settings import ServerSettings

from ..conftest import shared_data
from .fake import PAGE
from .running import Running, post, running

KEY = "secret-key"


@pytest.fixture(scope="module")
def server(trained_run) -> Iterator[Running]:
    settings = ServerSettings()
    models = load_models([trained_run], max_pixels=settings.max_pixels)
    with running(create_app(models, settings, page=PAGE, log=lambda facts: None)) as server:
        yield server


def probabilities(result) -> dict[str, float]:
    return {each["label"]: each["probability"] for each in result["predictions"]}


def test_predictions_are_those_of_predict(server, trained_run, image_folder) -> None:
    classifier = load(trained_run)
    with server.client() as client:
        for file in sorted(image_folder.rglob("*.jpg"))[:12]:
            found = post(client, file.read_bytes())
            assert found.status == 200
            expected = {each.label: each.probability for each in classifier.predict(file)[0].predictions}
            assert probabilities(found.json["results"][0]) == pytest.approx(expected, abs=1e-6)


def test_explanations_belong_to_the_predictions(server, image_folder) -> None:
    content = (image_folder / "red" / "photo 3.jpg").read_bytes()
    predicted, explained = (server.post(content, path).json["results"][0] for path in ("/predict", "/explain"))
    assert probabilities(explained) == pytest.approx(probabilities(predicted), abs=1e-6)
    first = explained["maps"][0]
    assert first["label"] == explained["predictions"][0]["label"]
    assert len(first["values"]) == len(first["values"][0]) == first["field"]["n"]
    assert min(map(min, first["values"])) >= 0


def test_awkward_files_are_predicted_as_without_a_server_or_refused_with_the_same_reason(server, trained_run) -> None:
    classifier = load(trained_run, max_pixels=ServerSettings().max_pixels)
    n_refused = 0
    for file in sorted(shared_data("nasty_images").rglob("*.*")):
        if file.suffix in {".md", ".tsv"} or file.name == "SHA256SUMS":
            continue
        content = file.read_bytes()
        status, found, _ = server.post(content)
        (expected,) = classifier.predict_each(content)
        if expected.error is not None:
            n_refused += 1
            assert status == (422 if content else 400), file.name
            assert not content or expected.error in found["error"], file.name
        else:
            assert status == 200, (file.name, found)
            shares = {each.label: each.probability for each in expected.predictions}
            assert probabilities(found["results"][0]) == pytest.approx(shares, abs=1e-6)
    assert n_refused > 10


def test_the_client_of_hugging_face_works_unchanged(server, trained_run, image_folder, tmp_path) -> None:
    file = image_folder / "green" / "photo 5.jpg"
    expected = load(trained_run).predict(file)[0].predictions
    client = InferenceClient(model=server.address, token=KEY)
    for given in (str(file), file, file.read_bytes()):
        found = client.image_classification(given)
        assert [each.label for each in found] == [each.label for each in expected]
        assert found[0].score == pytest.approx(expected[0].probability, abs=1e-6)
    assert len(client.image_classification(file, top_k=1)) == 1
    assert client.image_classification(file, function_to_apply="softmax")[0].label == expected[0].label
    (tmp_path / "a.txt").write_text("not an image")
    with pytest.raises(HfHubHTTPError, match="not an image in a known format"):
        client.image_classification(tmp_path / "a.txt")
