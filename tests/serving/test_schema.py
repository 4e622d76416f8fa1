"""Schemathesis sends what the OpenAPI description allows, and what it does not, and checks each response against it."""

import subprocess
import sys

import pytest

from .fake import app_of, served
from .running import running

KEY = "secret-key"
# JSON schema cannot say which bytes are an image, so that what it allows may be refused. Too many images are a 413.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "404", "413", "422"]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"""


@pytest.mark.soak
def test_schemathesis_finds_nothing(tmp_path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    script = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
    options = [
        "--max-examples",
        "100",
        "--no-color",
        "--generation-deterministic",
        "--header",
        f"Authorization: Bearer {KEY}",
    ]
    with running(app_of(served(name="first"), served(name="second", explains=False), api_key=KEY)) as server:
        command = [*script, f"{server.address}/openapi.json", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "Tested: 13" in done.stdout


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
