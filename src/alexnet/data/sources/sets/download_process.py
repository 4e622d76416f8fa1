"""Downloads and unpacks one split of a named set in a subprocess.

torchvision sets no timeout for downloads. A default timeout can only be set for a whole process, so it is set in a
subprocess, not in the user's.
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
    """Return whether this process has no default timeout, and can start a Python subprocess."""
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    return socket.getdefaulttimeout() is None and is_python


def unpack(name: str, folder: Path, split: str | None) -> None:
    """Let torchvision download one split of a set to a folder, in a subprocess with a timeout of ``SERVER_SECONDS``.

    Raises:
        RuntimeError: it failed; the message is the reason, in a few words.
    """
    request = json.dumps([name, str(folder), split, SERVER_SECONDS])
    # It finds modules where this process does. Its warnings are ignored: this process shows them when it reads the set.
    command = [sys.executable, "-W", "ignore", "-m", __name__, request]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment, check=False)
    if ended.returncode:
        reason = ended.stdout.decode(errors="replace").strip()
        raise RuntimeError(reason or f"the download process exited with {ended.returncode}")


def main(request: str) -> int:
    """Do what ``unpack`` requests in the subprocess; print the reason if it fails."""
    name, folder, split, seconds = json.loads(request)
    socket.setdefaulttimeout(seconds)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            torchvision_sets.unpack(torchvision_sets.SETS[name], Path(folder), split)
    except Exception as error:  # a download can raise nearly anything
        print(torchvision_sets.reason(error))
        return 1
    except KeyboardInterrupt:  # the parent process gets it too
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
