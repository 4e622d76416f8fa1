"""Pictures in a folder, read where they lie."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alexnet.data.image import fault
from alexnet.data.source import Content
from alexnet.data.sources.layout import Names, is_hidden
from alexnet.errors import PictureError

# No photo is as large as this; a file that is would fill the memory.
MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Folder:
    """A folder of the user's. It is only read."""

    root: Path

    @property
    def name(self) -> str:
        return str(self.root)

    def names(self) -> Names:
        files: list[str] = []
        folders: list[str] = []
        _walk(self.root, "", files, folders)
        return Names(tuple(files), tuple(folders))

    def exists(self, path: str) -> bool:
        return os.path.exists(os.path.join(self.root, path))  # noqa: PTH110, PTH118 - called for each of many rows

    def content(self, path: str) -> bytes:
        try:
            file = self.root / path
            if file.stat().st_size > MAX_BYTES:
                raise PictureError(str(file), f"the file is larger than {MAX_BYTES >> 30} GB")
            return file.read_bytes()
        except OSError as error:
            raise PictureError(str(self.root / path), fault(error)) from error

    def stamp(self, path: str) -> str:
        try:
            status = os.stat(os.path.join(self.root, path))  # noqa: PTH116, PTH118 - a third of pathlib's time
        except OSError:
            return "missing"  # such as a link that leads nowhere; reading it will say so by name
        return f"{status.st_size}-{status.st_mtime_ns}"

    def each(self, paths: Iterable[str]) -> Iterator[tuple[str, Callable[[], Content]]]:
        for path in paths:
            yield path, partial(self.content, path)


def _walk(folder: Path, prefix: str, files: list[str], folders: list[str], above: frozenset[str] = frozenset()) -> None:
    """List what is below a folder. Links are followed, but not in a circle: ``above`` holds what leads here."""
    above |= {os.path.realpath(folder)}
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if not entry.is_dir():
                files.append(path)
            elif os.path.realpath(entry.path) not in above:
                folders.append(path)
                _walk(folder / entry.name, path, files, folders, above)
