"""Images in a zip or tar archive, read in place: nothing is unpacked to the disk."""

import io
import lzma
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from alexnet.data.source import MAX_BYTES, Content
from alexnet.data.sources.container import Names
from alexnet.data.sources.vocabulary import is_hidden_or_system
from alexnet.errors import DataError, ImageError, listed
from alexnet.files.paths import natural_key
from alexnet.images.decoding import ends_like_image, fault

ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
# What the archive modules raise for files that are cut off, damaged or not archives.
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, ValueError, KeyError),
)


def open_archive(path: Path) -> "Zip | Tar":
    """Open an archive; its ending decides the kind. It is read when ``names`` is first called.

    ``names`` raises ``DataError`` if the archive cannot be read, is cut off, or holds paths that point out of it.
    """
    return Zip(path) if path.name.lower().endswith(".zip") else Tar(path)


def what_to_give(where: str, path: str) -> str:
    """Return the words for a folder or a table that the user should give instead of the container around it."""
    if Path(where).is_file():  # part of an archive cannot be given
        return f"{path!r} of it, unpacked"
    return repr(f"{where}/{path}" if path else where)


class Zip:
    """A zip archive."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return str(self.path)

    @cached_property
    def _members(self) -> dict[str, zipfile.ZipInfo]:
        return {_tidy(member.filename): member for member in self._file.infolist() if not member.is_dir()}

    @cached_property
    def _file(self) -> zipfile.ZipFile:
        with _readable(self.path):
            return zipfile.ZipFile(self.path)

    def names(self) -> Names:
        folders = [_tidy(each.filename).rstrip("/") for each in self._file.infolist() if each.is_dir()]
        links = [path for path, each in self._members.items() if stat.S_ISLNK(each.external_attr >> 16)]
        return _names(self.path, self._members, folders, links)

    def exists(self, path: str) -> bool:
        return path in self._members

    def content(self, path: str, n_bytes: int = -1) -> bytes:
        member = self._members[path]
        if member.file_size > MAX_BYTES:
            raise ImageError(f"{self.path}/{path}", f"the file is larger than {MAX_BYTES >> 30} GB")
        if member.flag_bits & 1:
            raise ImageError(f"{self.path}/{path}", "it is encrypted; unpack the archive and give the folder")
        try:
            with self._file.open(member) as file:
                assert isinstance(file, zipfile.ZipExtFile)
                return _unpacked(file, member.compress_type, member.file_size if n_bytes < 0 else n_bytes)
        except (*_DAMAGE, OSError) as error:
            raise ImageError(f"{self.path}/{path}", f"damaged in the archive ({error})") from error

    def size(self, path: str) -> int:
        return self._members[path].file_size

    def stamp(self, path: str) -> str:
        member = self._members[path]
        return f"{member.CRC:08x}-{member.file_size}"

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        for path in paths:
            yield path, partial(self.content, path, n_bytes)


class _Member(tarfile.TarInfo):
    """A member that raises an error if its header is damaged; tarfile takes that for the end of the archive."""

    @classmethod
    def fromtarfile(cls, file: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(file)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise EOFError(str(error) or "no end mark") from error


class Tar:
    """A tar archive, compressed or not. A compressed one can only be read from its beginning, so it is read at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return str(self.path)

    @cached_property
    def _members(self) -> dict[str, tarfile.TarInfo]:
        # Links are read too, if they stay inside the archive.
        return {_tidy(each.name): each for each in self._all if each.isfile() or each.islnk() or each.issym()}

    @cached_property
    def _all(self) -> list[tarfile.TarInfo]:
        with _readable(self.path), tarfile.open(self.path, tarinfo=_Member) as file:
            members = file.getmembers()
            # A compressed file has its checksum at the end.
            while file.fileobj is not None and file.fileobj.read(MAX_BYTES >> 10):
                pass
            return members

    @cached_property
    def _stamp(self) -> str:
        status = self.path.stat()
        return f"{status.st_size}-{status.st_mtime_ns}"

    def names(self) -> Names:
        folders = {_tidy(each.name) for each in self._all if each.isdir()}
        # Python follows links to files, not links to folders.
        links = [
            path
            for path, each in self._members.items()
            if each.issym() and posixpath.normpath(f"{path}/../{each.linkname}") not in self._members
        ]
        return _names(self.path, self._members, folders, links)

    def exists(self, path: str) -> bool:
        return path in self._members

    def content(self, path: str) -> bytes:
        ((_, read),) = self.each([path])
        content = read()
        assert isinstance(content, bytes)
        return content

    def stamp(self, path: str) -> str:
        # A tar archive has no checksums for its members. If it was written again, all members are read again.
        member = self._members[path]
        return f"{self._stamp}-{member.offset}-{member.size}"

    def size(self, path: str) -> int:
        return self._members[path].size

    def each(self, paths: Iterable[str], n_bytes: int = -1) -> Iterator[tuple[str, Callable[[], Content]]]:
        wanted = sorted(paths, key=lambda path: self._members[path].offset)
        with _readable(self.path), tarfile.open(self.path) as file:
            for path in wanted:
                yield path, partial(self._content_or_error, path, self._extract(file, path, n_bytes))

    def _extract(self, file: tarfile.TarFile, path: str, n_bytes: int) -> bytes | str:
        """Return the content of a member, or why it cannot be read."""
        member = self._members[path]
        if member.size > MAX_BYTES:
            return f"the file is larger than {MAX_BYTES >> 30} GB"
        try:
            # Early versions of Python 3.11 follow a link only from a member of the file that is open.
            is_link = member.islnk() or member.issym()
            opened = file.extractfile(file.getmember(member.name) if is_link else member)
        except (KeyError, RecursionError):
            opened = None
        return opened.read(n_bytes) if opened is not None else "it links to a file that is not in the archive"

    def _content_or_error(self, path: str, content: bytes | str) -> bytes:
        if isinstance(content, str):
            raise ImageError(f"{self.path}/{path}", content)
        return content


def _unpacked(file: zipfile.ZipExtFile, kind: int, n_bytes: int) -> bytes:
    """Return the first bytes of a member. If it is longer than its header says, little more is unpacked."""
    piece = 1 << 20
    if kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        # These two unpack all of their input at once: a bzip2 block of 45 bytes may become 46 MB.
        piece = file.MIN_READ_SIZE = 64
    content = io.BytesIO()
    while read := file.read(min(piece, n_bytes - content.tell())):
        content.write(read)
    return content.getvalue()


def _names(archive: Path, files: Iterable[str], folders: Iterable[str], links: Iterable[str]) -> Names:
    """Return the names of files and folders. Links that cannot be followed are left out, with a warning."""
    files, named = list(files), set(folders)
    for path in files:
        if path.startswith("/") or path[1:2] == ":" or (".." in path and ".." in path.split("/")):
            raise DataError(
                f"{str(archive)!r} holds {path!r}, a path out of the archive; do not trust this archive: "
                "nothing was read from it"
            )
    # An archive may leave out the entries of its folders.
    for path in [*files, *named]:
        parent = path.rpartition("/")[0]
        while parent and parent not in named:
            named.add(parent)
            parent = parent.rpartition("/")[0]
    # Folders first: there are fewer of them than files.
    folders = {path for path in named if not any(map(is_hidden_or_system, path.split("/")))}
    parts = ((path, *path.rpartition("/")) for path in files)
    shown = (
        path for path, folder, _, name in parts if (not folder or folder in folders) and not is_hidden_or_system(name)
    )
    # Links with the name of an image are kept; reading them reports that they are broken.
    left_out = {
        path for path in links if not ends_like_image(path) and not any(map(is_hidden_or_system, path.split("/")))
    }
    warnings = []
    if left_out:
        links = listed(sorted(left_out, key=natural_key))
        warnings.append(f"left out links in the archive: {links}; to follow them, unpack it and give the folder")
    return Names(tuple(path for path in shown if path not in left_out), tuple(folders), tuple(warnings))


def _tidy(name: str) -> str:
    """Return a member's name in the usual form.

    "tar cf x.tar ." puts "./" before all names, "tar cf x.tar cat/./" keeps "./" inside them, and older programs for
    Windows write backslashes.
    """
    name = name.replace("\\", "/")
    if "./" not in name and "//" not in name:
        return name
    root = "/" if name.startswith("/") else ""
    return root + "/".join(part for part in name.split("/") if part not in ("", "."))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"cannot read the archive {str(path)!r}: {fault(error)}") from error
        raise DataError(
            f"cannot read the archive {str(path)!r}: it is cut off or damaged ({error}); copy or download it again"
        ) from error
