"""Files from a server, with a limit that holds for a call: nothing is set for the whole process."""

import hashlib
import logging
from pathlib import Path

from alexnet.files.atomic import atomic_file

# A server that says nothing for so long says nothing more.
SERVER_SECONDS = 60.0
_PIECE = 1 << 20
_log = logging.getLogger(__name__)


def announce(what: str, place: Path) -> None:
    """Say what is about to be downloaded, and where to."""
    # At a level that Python shows unasked: nobody should wonder what is being downloaded, and where to.
    _log.warning("downloading %s to %s", what, place)


def download(url: str, file: Path, sha256: str) -> None:
    """Download a file; it appears once it is whole.

    Args:
        url: where from.
        file: where to.
        sha256: how its SHA-256 begins, in hexadecimal.

    Raises:
        OSError: the server cannot be reached, says nothing for ``SERVER_SECONDS``, or sends something else.
        HTTPException: it answers what is no HTTP.
    """
    # Imported here: the command line, which wants only the seconds above, starts sooner.
    from urllib.request import Request, urlopen  # torch.hub.download_url_to_file has no timeout

    from rich.console import Console
    from rich.progress import wrap_file

    console = Console(stderr=True)
    state = hashlib.sha256()
    with (
        urlopen(Request(url, headers={"User-Agent": "alexnet"}), timeout=SERVER_SECONDS) as response,
        wrap_file(response, response.length or 0, console=console, disable=not console.is_terminal) as shown,
        atomic_file(file) as unfinished,
    ):
        while piece := shown.read(_PIECE):
            state.update(piece)
            unfinished.write(piece)
        digest = state.hexdigest()
        if not digest.startswith(sha256):
            raise OSError(f"its SHA-256 should begin with {sha256}, got {digest[: len(sha256)]}")
