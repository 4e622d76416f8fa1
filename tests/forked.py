"""Processes that start with torch loaded.

They are forked from a server that has imported it once. To import it takes 4 seconds of a core each time, and
``torch._dynamo``, which the first optimizer imports, another 8.
"""

import multiprocessing
import os
import socket
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from .processes import NAME

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["torch._dynamo", "alexnet.cli", "alexnet.commands.training", "alexnet.commands.using", "pytest"]
)
_STARTED: list[BaseProcess] = []
# What the process does: be as if it had just been started in its folder, with its environment, and run a script.
_BEGIN = """
import os, runpy, sys
os.chdir(cwd)
os.environ.clear()
os.environ.update(environment)
for number, path in enumerate((out, err), start=1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
sys.argv = arguments
runpy.run_path(arguments[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Forked:
    """A process that runs a Python script, and what it says."""

    process: BaseProcess
    out: Path
    err: Path

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative where a signal ended it; None while it runs."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def communicate(self) -> tuple[str, str]:
        """Wait for its end; return what it said on stdout and stderr."""
        self.process.join()
        return self.out.read_text(), self.err.read_text()


def start(*arguments: object, cwd: Path, name: str = "process", **environment: str) -> Forked:
    """Start a Python script with its arguments. What it says goes to files in ``cwd`` that begin with ``name``."""
    out, err = cwd / f".{name}.out", cwd / f".{name}.err"
    request = {
        "__name__": "__main__",
        "arguments": [str(argument) for argument in arguments],
        "cwd": str(cwd),
        "out": str(out),
        "err": str(err),
        "environment": {**os.environ, **environment},
    }
    process = _CONTEXT.Process(target=exec, args=(_BEGIN, request), daemon=True)
    # The server outlives this test: it must not carry the word by which what a test has started is found and killed.
    word = os.environ.pop(NAME, None)
    try:
        process.start()
    finally:
        if word is not None:
            os.environ[NAME] = word
    _STARTED.append(process)
    return Forked(process, out, err)


def start_group(n: int, *arguments: object, cwd: Path) -> list[Forked]:
    """Start ``n`` processes that train together, with the environment that torchrun would give them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    group = {"WORLD_SIZE": str(n), "LOCAL_WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        start(*arguments, cwd=cwd, name=f"rank{rank}", RANK=str(rank), LOCAL_RANK=str(rank), **group)
        for rank in range(n)
    ]


def wait_for(processes: list[Forked]) -> list[tuple[str, str]]:
    """Wait until all have ended. Like torchrun, kill the others where one ends badly. Return what they said."""
    while running := [each.process for each in processes if each.returncode is None]:
        wait([each.sentinel for each in running])
        if any(each.returncode for each in processes):
            for each in running:
                each.kill()
    return [each.communicate() for each in processes]


def kill_all() -> None:
    """Kill what was started and has not ended."""
    for process in _STARTED:
        if process.exitcode is None:
            process.kill()
            process.join()
    _STARTED.clear()
