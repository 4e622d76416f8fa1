"""A folder or an archive of files, before anything is understood of it."""

from dataclasses import dataclass
from typing import Protocol

from alexnet.data.source import Reader


@dataclass(frozen=True)
class Names:
    """What a folder or an archive holds, without what is hidden or left behind by systems.

    Attributes:
        files: their paths, relative, with ``/``.
        folders: those of folders, empty ones too.
        warnings: what could not be listed, and which links were not followed, a line each.
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
        """Return what is in it."""
        ...

    def exists(self, path: str) -> bool:
        """Return whether a file is in it."""
        ...

    def content(self, path: str) -> bytes:
        """Return one file."""
        ...
