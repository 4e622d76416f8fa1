"""The interface to a folder or an archive: list its files and read them."""

from dataclasses import dataclass
from typing import Protocol

from alexnet.data.source import Reader


@dataclass(frozen=True)
class Names:
    """What a folder or an archive holds, without hidden files and system files.

    Attributes:
        files: paths of the files, relative, with ``/``.
        folders: paths of the folders, empty ones too.
        warnings: what could not be listed and which links were not followed, a line each.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Container(Reader, Protocol):
    """A folder or an archive."""

    @property
    def name(self) -> str:
        """Where it is, absolute."""
        ...

    def names(self) -> Names:
        """List its files and folders."""
        ...

    def exists(self, path: str) -> bool:
        """Return whether it holds a file."""
        ...

    def content(self, path: str) -> bytes:
        """Return the bytes of one file."""
        ...
