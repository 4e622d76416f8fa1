"""A test that times out, fails or is interrupted leaves no process behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .processes import marked

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")

# As torchrun does: a launcher whose worker has a session of its own, and outlives it.
HANGING = """
import subprocess, sys, time
from pathlib import Path
import pytest
from processes import none_left

@pytest.fixture(autouse=True)
def none():
    with none_left():
        yield

def test_hangs():
    worker = [sys.executable, "-c", "import time; open('ready', 'w').close(); time.sleep(300)"]
    launcher = f"import subprocess, time; subprocess.Popen({worker}, start_new_session=True); time.sleep(300)"
    process = subprocess.Popen([sys.executable, "-c", launcher])
    HOW
"""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("process.wait()", "Timeout"),
        ("time.sleep(300)", "KeyboardInterrupt"),
        ("[time.sleep(0.01) for _ in iter(Path('seen').exists, True)]; process.kill(); process.wait()", "1 passed"),
    ],
    ids=["timed out", "interrupted", "launcher killed"],
)
def test_nothing_is_left(tmp_path, how, words) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGING.replace("HOW", how))
    word = f"ALEXNET_TEST_OF_TESTS={tmp_path}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "ALEXNET_TEST_OF_TESTS": str(tmp_path)}
    limit = "10" if words == "Timeout" else "60"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout", limit, "test_hangs.py"]
    # Of a process that was started in the background, the children would ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.01)
    assert len(marked(word)) >= 2, "the worker has begun, and is found"
    (tmp_path / "seen").touch()
    if words == "KeyboardInterrupt":
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert words in out
    assert marked(word) == []
