"""Downloads with a time limit for each call. No setting of the whole process is changed."""

import hashlib
import logging
from pathlib import Path

from alexnet.files.atomic import atomic_file

# A server that sends nothing for this long is given up.
SERVER_SECONDS = 60.0
_CHUNK = 1 << 20
_log = logging.getLogger(__name__)


def announce(what: str, place: Path) -> None:
    """Log what is about to be downloaded, and where to."""
    # A warning, since Python shows these by default.
    _log.warning("downloading %s to %s", what, place)


def download(url: str, file: Path, sha256: str) -> None:
    """Download a file. It appears under its name when it is complete.

    Args:
        url: the address to download from.
        file: the path to write.
        sha256: the first hexadecimal digits of its SHA-256.

    Raises:
        OSError: the server cannot be reached, sends nothing for ``SERVER_SECONDS``, or sends another file.
        HTTPException: the response is not valid HTTP.
    """
    # Imported here, so that the command line starts sooner: it needs only SERVER_SECONDS.
    from urllib.request import Request, urlopen  # torch.hub.download_url_to_file has no timeout

    from rich.console import Console
    from rich.progress import wrap_file

    console = Console(stderr=True)
    sha = hashlib.sha256()
    with (
        urlopen(Request(url, headers={"User-Agent": "alexnet"}), timeout=SERVER_SECONDS) as response,
        wrap_file(response, response.length or 0, console=console, disable=not console.is_terminal) as shown,
        atomic_file(file) as unfinished,
    ):
        while chunk := shown.read(_CHUNK):
            sha.update(chunk)
            unfinished.write(chunk)
        digest = sha.hexdigest()
        if not digest.startswith(sha256):
            raise OSError(f"its SHA-256 should begin with {sha256}, got {digest[: len(sha256)]}")
