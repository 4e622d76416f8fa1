"""Images in a folder, read where they lie."""

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from alexnet.data.source import MAX_BYTES, Content, natural_key
from alexnet.data.sources.container import Names
from alexnet.data.sources.vocabulary import is_left_behind
from alexnet.errors import DataError, ImageError, listed
from alexnet.images.decoding import ends_like_image, fault

LEADS_NOWHERE = "it is a link to what is not there"
# Links in links in links are followed, and no deeper.
MOST_LINKS = 3
# The folders in which the links on the way to a folder lie, as they really are.
_Around = tuple[str, ...]


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
            refused: is told of folders that may not be listed; where it is not given, they are among the warnings.

        Raises:
            DataError: the folder itself may not be listed, and ``refused`` is not given.
        """
        files: list[str] = []
        folders: list[str] = []
        kept_out: list[OSError] = []
        links = _Links(str(self.root))
        for path, is_folder in _below(self.root, refused or kept_out.append, links):
            (folders if is_folder else files).append(path)
        warnings = [_kept_out(error, self.root) for error in kept_out]
        shut = {os.path.relpath(error.filename, self.root) for error in kept_out}
        return Names(
            tuple(files), tuple(folder for folder in folders if folder not in shut), (*warnings, *links.warnings())
        )

    def exists(self, path: str) -> bool:
        return os.path.exists(os.path.join(self.root, path))  # noqa: PTH110, PTH118 - called for each of many rows

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
            raise ImageError(str(file), LEADS_NOWHERE if is_link else fault(error)) from error

    @cached_property
    def _prefix(self) -> str:
        return os.path.join(self.root, "")  # noqa: PTH118

    def stamp(self, path: str) -> str:
        try:
            # A third of pathlib's time, for each of maybe a million images.
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


class _Links:
    """Links to folders: which of them to follow, and what to say of the others.

    All are followed, to folders inside too, but not to a folder around the link, which would never end; nor deeper than
    ``MOST_LINKS`` in each other, of which a few folders that link to each other can make millions.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._loops: list[str] = []
        self._nowhere: list[str] = []
        self._deep: list[str] = []
        self._by_target: dict[str, list[str]] = defaultdict(list)

    def around(self, path: str, above: _Around) -> _Around | None:
        """Return the folders around what a link leads to; None where it is not followed.

        Args:
            path: of the link, below the root.
            above: the folders around it, through links.
        """
        link = os.path.join(self._root, path)  # noqa: PTH118
        real = os.path.realpath(link)
        around = (*above, os.path.realpath(os.path.dirname(link)))  # noqa: PTH120
        if any(each == real or each.startswith(os.path.join(real, "")) for each in around):  # noqa: PTH118
            self._loops.append(path)
        elif len(around) > MOST_LINKS:
            self._deep.append(path)
        else:
            if not above:  # what is the same in the folders that links lead to is not said for each
                self._by_target[real].append(path)
            return around
        return None

    def _inside(self, real: str) -> list[str]:
        """Return the place of a folder in the root; nothing where it is outside."""
        is_inside = real.startswith(os.path.join(self._root, ""))  # noqa: PTH118
        return [os.path.relpath(real, self._root).replace(os.sep, "/")] if is_inside else []

    def leads_nowhere(self, path: str) -> None:
        self._nowhere.append(path)

    def warnings(self) -> Iterator[str]:
        shared = sorted(sorted([*self._inside(real), *paths]) for real, paths in self._by_target.items())
        shared = [paths for paths in shared if len(paths) > 1]
        if shared:
            more = f", and {len(shared) - 1} more such" if len(shared) > 1 else ""
            yield f"{listed(shared[0])} are one folder, by links{more}: its images are read in each place"
        if self._nowhere:
            yield f"{_links(self._nowhere)} to what is not there, and left out"
        if self._loops:
            yield f"{_links(self._loops)} to a folder around, and not followed"
        if self._deep:
            yield f"{_links(self._deep)} below {MOST_LINKS} others, and not followed"


def _links(paths: list[str]) -> str:
    return f"{listed(sorted(paths, key=natural_key))} {'are links' if len(paths) > 1 else 'is a link'}"


def _kept_out(error: OSError, root: Path) -> str:
    if error.filename == str(root):
        raise DataError(f"cannot list the folder {str(root)!r}: {fault(error)}") from error
    return f"left out the folder {os.path.relpath(error.filename, root)!r}: {fault(error)}"


def _below(root: Path, refused: Callable[[OSError], None], links: _Links) -> Iterator[tuple[str, bool]]:
    """Yield the paths below a folder and whether each is a folder, without a limit on depth."""
    left: list[tuple[str, _Around]] = [("", ())]
    while left:
        folder, around = left.pop()
        try:
            found = list(os.scandir(root / folder))
        except OSError as error:
            refused(error)
            continue
        for entry in found:
            if is_left_behind(entry.name):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder, inside = _is_folder(entry), around
            if entry.is_symlink():
                if is_folder:
                    followed = links.around(path, around)
                    if followed is None:
                        continue
                    inside = followed
                elif not ends_like_image(entry.name) and not os.path.exists(entry.path):  # noqa: PTH110
                    links.leads_nowhere(path)
                    continue
            yield path, is_folder
            if is_folder:
                left.append((path, inside))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False
