"""Downloading and unpacking one split of a named set in a process of its own.

torchvision waits forever for a server that says nothing, and how long to wait can only be set for a whole process.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from alexnet.data.sources.sets import torchvision_sets
from alexnet.files.download import SERVER_SECONDS


def is_needed() -> bool:
    """Return whether this process waits forever, and can start another one."""
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    return socket.getdefaulttimeout() is None and is_python


def unpack(name: str, folder: Path, split: str | None) -> None:
    """Let torchvision fill a folder with one split of a set, in a process that waits ``SERVER_SECONDS``.

    Raises:
        RuntimeError: it cannot, and why, in a few words.
    """
    asked = json.dumps([name, str(folder), split, SERVER_SECONDS])
    # As this process finds modules; what torchvision warns of is said by this process, which reads the set.
    command = [sys.executable, "-W", "ignore", "-m", __name__, asked]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, check=False)
    if ended.returncode:
        reason = ended.stdout.decode(errors="replace").strip()
        raise RuntimeError(reason or f"the process that downloads it ended with {ended.returncode}")


def main(asked: str) -> int:
    """Do what another process asks for; print why it cannot be done."""
    name, folder, split, seconds = json.loads(asked)
    socket.setdefaulttimeout(seconds)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            torchvision_sets.unpack(torchvision_sets.SETS[name], Path(folder), split)
    except Exception as error:  # of a download nearly anything, as in the process that asks
        print(torchvision_sets.reason(error))
        return 1
    except KeyboardInterrupt:  # which the process that asks has met too
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
