"""The settings of a server. Nothing heavy is imported here, since the command line needs them at once."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from alexnet.errors import SettingsError
from alexnet.files.paths import expanded

KEY_VARIABLE = "ALEXNET_API_KEY"
# No setting may be larger; sums of them still fit into any integer.
MOST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where a server listens, and what it accepts.

    The text under a field is the help of its option; docs/serving.md explains each.

    Raises:
        SettingsError: a number is out of range.
    """

    host: Annotated[str, "options", "ADDRESS"] = "127.0.0.1"
    """Where to listen: 127.0.0.1 for this machine only, 0.0.0.0 for all networks."""
    port: int = 8000
    """Port to listen on; 0: any that is free."""
    api_key_file: Annotated[str | None, "options", "FILE"] = None
    """File with the key that requests must give. Without it: the variable ALEXNET_API_KEY."""
    cors: Annotated[tuple[str, ...], "options", "ORIGIN"] = ()
    """Origins of other sites whose pages may use this server, such as https://example.org."""
    upload_mb: int = 20
    """Largest request in MB."""
    max_pixels: int = 50_000_000
    """Images that claim more are refused."""
    max_images: int = 64
    """Most images in one request."""
    queue: int = 1024
    """Most images that wait at a time. More get status 503 at once."""
    timeout: int = 60
    """Seconds that one request may take."""
    batch_size: int = 32
    """Most images that are computed together."""
    batch_ms: int = 10
    """Milliseconds that a batch waits for images that are still being decoded."""

    def __post_init__(self) -> None:
        least = {"port": 0, "batch_ms": 0}
        for name in ("port", "upload_mb", "max_pixels", "max_images", "queue", "timeout", "batch_size", "batch_ms"):
            value, lowest = getattr(self, name), least.get(name, 1)
            highest = 65_535 if name == "port" else MOST
            if not lowest <= value <= highest:
                raise SettingsError(f"{name} is {value}; it must be from {lowest} to {highest:,}")
        if self.queue < self.max_images:
            raise SettingsError(
                f"queue is {self.queue}, less than max_images, {self.max_images}: a request of so many images could "
                "never be accepted; give a longer queue or fewer images"
            )

    @property
    def upload_bytes(self) -> int:
        """The size of the largest request in bytes."""
        return self.upload_mb * 1_000_000

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether a name or an address always means the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_api_key(file: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the key that requests must give: the text of the file, else the variable; None if there is neither.

    A key is never an option itself: every user of a machine can read the arguments of its processes.

    Raises:
        SettingsError: the file cannot be read, or the key is empty or of more than one line.
    """
    if file is None:
        if KEY_VARIABLE not in environment:
            return None
        where, key = f"the variable {KEY_VARIABLE}", environment[KEY_VARIABLE]
    else:
        where = repr(file)
        try:
            key = expanded(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SettingsError(f"cannot read the API key from {where}: {error}") from error
    key = key.strip()
    if not key or len(key.split()) > 1 or not key.isascii():
        raise SettingsError(f"{where} holds no API key; a key is one word of ASCII letters, digits and signs")
    return key
