"""Images in a folder."""

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from alexnet.data.source import MAX_BYTES, Content
from alexnet.data.sources.container import Names
from alexnet.data.sources.vocabulary import is_hidden_or_system
from alexnet.errors import DataError, ImageError, listed
from alexnet.files.paths import natural_key
from alexnet.images.decoding import ends_like_image, fault

BROKEN_LINK = "broken link: its target does not exist"
# How many links may lie inside each other.
MAX_LINK_DEPTH = 3
# The real paths of the folders that hold the links on the way to a folder.
_LinkParents = tuple[str, ...]


@dataclass(frozen=True)
class Folder:
    """A folder of the user. It is only read, never written."""

    root: Path

    @property
    def name(self) -> str:
        return str(self.root)

    def names(self, on_error: Callable[[OSError], None] | None = None) -> Names:
        """List its files and folders.

        Args:
            on_error: called for each folder that cannot be listed; without it, these folders become warnings.

        Raises:
            DataError: the folder itself cannot be listed, and ``on_error`` is not given.
        """
        files: list[str] = []
        folders: list[str] = []
        errors: list[OSError] = []
        links = _Links(str(self.root))
        for path, is_folder in _walk(self.root, on_error or errors.append, links):
            (folders if is_folder else files).append(path)
        warnings = [_unlisted_warning(error, self.root) for error in errors]
        unlisted = {os.path.relpath(error.filename, self.root) for error in errors}
        return Names(
            tuple(files), tuple(folder for folder in folders if folder not in unlisted), (*warnings, *links.warnings())
        )

    def exists(self, path: str) -> bool:
        return os.path.exists(os.path.join(self.root, path))  # noqa: PTH110, PTH118 - called for many rows

    def content(self, path: str, n_bytes: int = -1) -> bytes:
        file = self.root / path
        try:
            status = file.stat()
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise ImageError(str(file), "it is a device or a pipe, not a file")
            if n_bytes < 0 and status.st_size > MAX_BYTES:
                raise ImageError(str(file), f"the file is larger than {MAX_BYTES >> 30} GB")
            with file.open("rb") as opened:
                return opened.read(n_bytes)
        except OSError as error:
            is_link = isinstance(error, FileNotFoundError) and file.is_symlink()
            raise ImageError(str(file), BROKEN_LINK if is_link else fault(error)) from error

    @cached_property
    def _prefix(self) -> str:
        return os.path.join(self.root, "")  # noqa: PTH118

    def stamp(self, path: str) -> str:
        try:
            # A third of the time of pathlib, for perhaps a million images.
            status = os.stat(path if path.startswith("/") else self._prefix + path)  # noqa: PTH116
        except OSError:
            return "missing"  # such as a broken link; reading it reports the path
        return f"{status.st_size}-{status.st_mtime_ns}"

    def size(self, path: str) -> int:
        try:
            return os.stat(os.path.join(self.root, path)).st_size  # noqa: PTH116, PTH118 - called for many
        except OSError:
            return 0

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        for path in paths:
            yield path, partial(self.content, path, n_bytes)


class _Links:
    """Links to folders: which of them are followed, and the warnings about the others.

    A link is followed, also to a folder inside the root, unless it points to a folder that contains it (an endless
    loop) or is inside ``MAX_LINK_DEPTH`` other links. Without that limit a few folders that link to each other make
    millions.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._loops: list[str] = []
        self._broken: list[str] = []
        self._deep: list[str] = []
        self._by_target: dict[str, list[str]] = defaultdict(list)

    def follow(self, path: str, above: _LinkParents) -> _LinkParents | None:
        """Return ``above`` and the folder that holds a link; None if the link is not followed.

        Args:
            path: of the link, below the root.
            above: the folders of the links on the way to it.
        """
        link = os.path.join(self._root, path)  # noqa: PTH118
        real = os.path.realpath(link)
        parents = (*above, os.path.realpath(os.path.dirname(link)))  # noqa: PTH120
        if any(each == real or each.startswith(os.path.join(real, "")) for each in parents):  # noqa: PTH118
            self._loops.append(path)
        elif len(parents) > MAX_LINK_DEPTH:
            self._deep.append(path)
        else:
            if not above:  # links inside linked folders are not reported again
                self._by_target[real].append(path)
            return parents
        return None

    def _inside(self, real: str) -> list[str]:
        """Return a folder's path in the root, as a list; empty if the folder is outside."""
        is_inside = real.startswith(os.path.join(self._root, ""))  # noqa: PTH118
        return [os.path.relpath(real, self._root).replace(os.sep, "/")] if is_inside else []

    def add_broken(self, path: str) -> None:
        self._broken.append(path)

    def warnings(self) -> Iterator[str]:
        shared = sorted(sorted([*self._inside(real), *paths]) for real, paths in self._by_target.items())
        shared = [paths for paths in shared if len(paths) > 1]
        if shared:
            more = f", and {len(shared) - 1} more such" if len(shared) > 1 else ""
            yield f"{listed(shared[0])} are the same folder, through links{more}: its images are read in each place"
        if self._broken:
            yield f"left out broken links: {_in_order(self._broken)}"
        if self._loops:
            yield f"links to a folder that contains them were not followed: {_in_order(self._loops)}"
        if self._deep:
            yield f"links inside {MAX_LINK_DEPTH} other links were not followed: {_in_order(self._deep)}"


def _in_order(paths: list[str]) -> str:
    return listed(sorted(paths, key=natural_key))


def _unlisted_warning(error: OSError, root: Path) -> str:
    if error.filename == str(root):
        raise DataError(f"cannot list the folder {str(root)!r}: {fault(error)}") from error
    return f"left out the folder {os.path.relpath(error.filename, root)!r}: {fault(error)}"


def _walk(root: Path, on_error: Callable[[OSError], None], links: _Links) -> Iterator[tuple[str, bool]]:
    """Yield the paths below a folder and whether each is a folder, at any depth."""
    left: list[tuple[str, _LinkParents]] = [("", ())]
    while left:
        folder, parents = left.pop()
        try:
            found = list(os.scandir(root / folder))
        except OSError as error:
            on_error(error)
            continue
        for entry in found:
            if is_hidden_or_system(entry.name):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder, parents_inside = _is_folder(entry), parents
            if entry.is_symlink():
                if is_folder:
                    followed = links.follow(path, parents)
                    if followed is None:
                        continue
                    parents_inside = followed
                elif not ends_like_image(entry.name) and not os.path.exists(entry.path):  # noqa: PTH110
                    links.add_broken(path)
                    continue
            yield path, is_folder
            if is_folder:
                left.append((path, parents_inside))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False
