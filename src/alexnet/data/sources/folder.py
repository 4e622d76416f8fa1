"""Pictures in a folder, read where they lie."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from alexnet.data.image import fault
from alexnet.data.source import MAX_BYTES, Content
from alexnet.data.sources.container import Names
from alexnet.data.sources.vocabulary import is_left_behind
from alexnet.errors import PictureError


@dataclass(frozen=True)
class Folder:
    """A folder of the user's. It is only read."""

    root: Path

    @property
    def name(self) -> str:
        return str(self.root)

    def names(self, refused: Callable[[OSError], None] | None = None) -> Names:
        """Return what is in it.

        Args:
            refused: is told of folders that may not be listed, which are errors where it is not given.
        """
        files: list[str] = []
        folders: list[str] = []
        for path, is_folder in _below(self.root, refused or _refuse):
            (folders if is_folder else files).append(path)
        return Names(tuple(files), tuple(folders))

    def exists(self, path: str) -> bool:
        return os.path.exists(os.path.join(self.root, path))  # noqa: PTH110, PTH118 - called for each of many rows

    def content(self, path: str, n_bytes: int = -1) -> bytes:
        file = self.root / path
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise PictureError(str(file), "it is a device or a pipe, not a file")
            if n_bytes < 0 and status.st_size > MAX_BYTES:
                raise PictureError(str(file), f"the file is larger than {MAX_BYTES >> 30} GB")
            with file.open("rb") as opened:
                return opened.read(n_bytes)
        except OSError as error:
            raise PictureError(str(file), fault(error)) from error

    @cached_property
    def _prefix(self) -> str:
        return os.path.join(self.root, "")  # noqa: PTH118

    def stamp(self, path: str) -> str:
        try:
            # A third of pathlib's time, for each of maybe a million pictures.
            status = os.stat(path if path.startswith("/") else self._prefix + path)  # noqa: PTH116
        except OSError:
            return "missing"  # such as a link that leads nowhere; reading it will say so by name
        return f"{status.st_size}-{status.st_mtime_ns}"

    def size(self, path: str) -> int:
        try:
            return os.stat(os.path.join(self.root, path)).st_size  # noqa: PTH116, PTH118 - called for each of many
        except OSError:
            return 0

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        for path in paths:
            yield path, partial(self.content, path, n_bytes)


def _refuse(error: OSError) -> None:
    raise error


def _below(root: Path, refused: Callable[[OSError], None]) -> Iterator[tuple[str, bool]]:
    """Yield the paths below a folder and whether each is a folder, without a limit on depth.

    Links to folders outside are followed, each once. Those to folders inside are not: what they lead to is there
    already, and two that lead to each other would never end.
    """
    top = os.path.realpath(root)
    followed: set[str] = set()
    left = [""]
    while left:
        folder = left.pop()
        try:
            found = list(os.scandir(root / folder))
        except OSError as error:
            refused(error)
            continue
        for entry in found:
            if is_left_behind(entry.name):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = _is_folder(entry)
            if is_folder and entry.is_symlink():
                real = os.path.realpath(entry.path)
                if real in followed or os.path.commonpath((top, real)) in (top, real):
                    continue
                followed.add(real)
            yield path, is_folder
            if is_folder:
                left.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False
