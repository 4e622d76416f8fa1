"""Nothing that we import may phone home, or write where nobody expects it."""

import os
import subprocess
import sys

import pytest

# Names are looked up and connections are made through these, by Python. The packages' own code is not seen here: its
# switch is tested instead.
NO_NETWORK = """
import socket, sys
def refuse(*given, **options):
    raise SystemExit(f"a connection: {given}")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_engine_is_imported_without_what_it_reports(tmp_path, name) -> None:
    script = f"""{NO_NETWORK}
import os
from alexnet.inference.engines import quiet
package = quiet.{name}()
print(package.__name__, os.environ.get("ORT_DISABLE_TELEMETRY"), sys.modules.get("openvino_telemetry"))
"""
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [name, "1" if name == "onnxruntime" else "None", "None"]
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_user_who_wants_to_report_may(tmp_path) -> None:
    script = """
import os
from alexnet.inference.engines import quiet
quiet.onnxruntime()
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    environment = {**os.environ, "HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "true"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "true\n"
