"""The weights that torchvision publishes: name, download and hash."""

import hashlib
import os
import re
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch

from alexnet.errors import ArtifactError, nearest
from alexnet.files.download import announce
from alexnet.files.download import download as download_file
from alexnet.files.paths import is_taken

NAME = "torchvision"
# With torchvision's own name for these weights; it means the same in any folder, so runs record it.
FULL_NAME = "torchvision:IMAGENET1K_V1"

# alexnet-owt-7be5be79.pth: torch puts the first digits of the SHA-256 into the file's name.
_HASHED = re.compile(r"-([0-9a-f]{8,64})\.pth$")
_FAMILY = "alexnet-owt-"


def is_published(weights: str | os.PathLike[str]) -> bool:
    """Return whether this is the name of torchvision's weights. A ``Path`` never is.

    Raises:
        ArtifactError: a file here has that name too, or torchvision publishes no such weights.
    """
    if not isinstance(weights, str) or weights == FULL_NAME:
        return weights == FULL_NAME
    if weights == NAME and is_taken(NAME):
        raise ArtifactError(
            f"{NAME!r} is a file or folder here, and also torchvision's weights; write ./{NAME} for the first, "
            f"{FULL_NAME} for the second"
        )
    if weights.startswith(f"{NAME}:") and not is_taken(weights):
        raise ArtifactError(f"torchvision publishes no AlexNet named {weights!r}{nearest(weights, [FULL_NAME])}")
    return weights == NAME


def download() -> tuple[Path, Sequence[str]]:
    """Download the file into torchvision's cache if it is not there. Return its path and its class names.

    Raises:
        ArtifactError: it cannot be downloaded.
    """
    from torchvision.models import AlexNet_Weights

    published = AlexNet_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir(), "checkpoints", _file_name(published.url))
    if not file.exists():
        hashed = _HASHED.search(file.name)
        assert hashed, "torchvision's file names contain their hashes"
        announce("torchvision's weights", file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            download_file(published.url, file, hashed[1])
        except (OSError, HTTPException) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
            raise ArtifactError(
                f"cannot download torchvision's weights from {published.url}: {reason}; try again, or give the file"
            ) from error
    return file, published.meta["categories"]


def check_hash(path: Path) -> None:
    """Compare a file with torchvision's name with the hash in that name. Files of other names are not checked.

    Raises:
        ArtifactError: it is damaged.
    """
    if not path.name.startswith(_FAMILY):  # saves the second that importing torchvision takes
        return
    from torchvision.models import AlexNet_Weights

    hashed = _HASHED.search(path.name)
    if hashed is None or path.name != _file_name(AlexNet_Weights.IMAGENET1K_V1.url):
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(hashed[1]):
        raise ArtifactError(
            f"{str(path)!r} is damaged: its SHA-256 begins with {digest[: len(hashed[1])]}, unlike its name; "
            "download it again, or rename it if it is another file"
        )


def _file_name(url: str) -> str:
    return Path(urlparse(url).path).name
