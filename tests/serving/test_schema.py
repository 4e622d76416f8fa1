"""Schemathesis sends what the OpenAPI description allows, and what it does not, and checks each response against it."""

import base64

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig

from .fake import app_of, image_file, served
from .running import running

IMAGES = st.sampled_from([image_file(colour, kind) for colour in ("red", "blue") for kind in ("PNG", "JPEG", "GIF")])
FILES = IMAGES | st.binary()
KEY = "secret-key"
# JSON schema cannot say which bytes are an image, so that what it allows may be refused. Too many images are a 413.
CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "413", "422"]},
        "negative_data_rejection": {"expected-statuses": ["4xx"]},
    }
}


@pytest.fixture(scope="module")
def description():
    schemathesis.openapi.format("binary", FILES)
    schemathesis.openapi.format("byte", FILES.map(lambda content: base64.b64encode(content).decode()))
    headers = {"Authorization": f"Bearer {KEY}"}
    with running(app_of(served(name="first"), served(name="second", explains=False), api_key=KEY)) as server:
        found = schemathesis.openapi.from_url(
            f"{server.address}/openapi.json", config=SchemathesisConfig.from_dict(CONFIG), headers=headers
        )
        found.config.headers = headers
        yield found


@pytest.mark.soak
@schemathesis.pytest.from_fixture("description").parametrize()
@hypothesis.settings(max_examples=50, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_every_response_is_as_described(case) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {KEY}"})


def test_the_description_names_every_path_and_status() -> None:
    paths = app_of().openapi()["paths"]
    assert set(paths) == {
        "/", "/predict", "/explain", "/model", "/health", "/ready", "/metrics",
        "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}", "/v2/models/{name}/ready",
    }  # fmt: skip
    for path in ("/", "/predict", "/explain"):
        operation = paths[path]["post"]
        assert set(operation["responses"]) == {"200", "400", "401", "404", "408", "413", "422", "503", "504"}
        assert "application/json" in operation["requestBody"]["content"]
    for operations in paths.values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400" and status != "503":
                    reference = response["content"]["application/json"]["schema"]["$ref"]
                    assert reference == "#/components/schemas/Error"


def test_a_key_is_described_where_it_is_needed() -> None:
    assert "security" not in app_of().openapi()
    described = app_of(api_key=KEY).openapi()
    assert described["security"] == [{"key": []}]
    free = [path for path, each in described["paths"].items() if each.get("get", {}).get("security") == []]
    assert sorted(free) == ["/", "/health", "/ready", "/v2/health/live", "/v2/health/ready"]
