"""What is known of each image of a source, so that an image that has not changed is never read again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import PIL
from PIL import features

from alexnet.data.source import Content, Source
from alexnet.data.store.cache import catalogues_folder, make_folder, naming
from alexnet.errors import ImageError
from alexnet.files.atomic import write_atomically
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.images.decoding import FORMATS
from alexnet.images.opening import heic_reader

# Raise it when the same content would be prepared to other pixels, or refused for other reasons.
VERSION = 5
# Stands in stores' fingerprints: 4 as long as nothing but deep images, of which few were seen right, changes.
FINGERPRINT_VERSION = 4

# Of a digest, in hexadecimal.
N_DIGITS = 32
NO_MEMORY = "there is not enough memory to decode it"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one image.

    Attributes:
        stamp: what its source said of it when it was read.
        digest: of its content, in hexadecimal.
        longest_side: in pixels, as its file says; 0 where it says nothing.
        reason: why it cannot be read; None where it can.
    """

    stamp: str
    digest: str
    longest_side: int
    reason: str | None = None


class Catalogue:
    """The entries of one source, kept in the cache.

    Args:
        source: the images.
        max_pixels: the limit under which they are read; another limit may refuse others.
    """

    def __init__(self, source: Source, max_pixels: int) -> None:
        words = f"{VERSION} {max_pixels} {source.name}"
        name = hashlib.sha256(words.encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = catalogues_folder() / f"{name}.json"
        self._source = source
        self.entries = self._load()

    def current(self, path: str) -> Entry | None:
        """Return what is known of an image; nothing where it is new, or has changed."""
        entry = self.entries.get(path)
        return entry if entry is not None and entry.stamp == self._source.reader.stamp(path) else None

    def save(self) -> None:
        """Write the entries, a list for each field: a hundred thousand are read back in a tenth of a second."""
        entries = self.entries.values()
        columns = {
            "source": self._source.name,
            "decoder": _decoder(),
            "paths": list(self.entries),
            "stamps": [entry.stamp for entry in entries],
            "digests": [entry.digest for entry in entries],
            "longest_sides": [entry.longest_side for entry in entries],
            "reasons": {path: entry.reason for path, entry in self.entries.items() if entry.reason is not None},
        }
        make_folder(self._file.parent)
        with naming(self._file.parent):
            write_atomically(self._file, json.dumps(columns))

    def _load(self) -> dict[str, Entry]:
        try:
            saved = parse_object(self._file.read_text(encoding="utf-8"))
            reasons = as_kind(dict[str, str], saved["reasons"], "reasons")
            is_same_decoder = saved["decoder"] == _decoder()
            columns = [saved[name] for name in ("paths", "stamps", "digests", "longest_sides")]
            # All at once: of a hundred thousand, each by itself would take longer than reading them.
            kinds = [set(map(type, column)) for column in columns]
            if columns[0] and (kinds != [{str}, {str}, {str}, {int}] or {*map(len, columns[2])} != {N_DIGITS}):
                return {}
            return {
                path: Entry(stamp, digest, longest_side, reasons.get(path))
                for path, stamp, digest, longest_side in zip(*columns, strict=True)
                if is_same_decoder or path not in reasons  # another one may read what this one refused
            }
        except (OSError, ValueError, KeyError, TypeError):  # not made yet, or damaged: it is made anew
            return {}


def _decoder() -> str:
    """Return what reads images here: Pillow and what it was built with, our formats, and what reads HEIC."""
    modules = (name for name in ("webp", "avif") if name in features.modules and features.check_module(name))
    codecs = filter(features.check_codec, features.codecs)
    return " ".join((PIL.__version__, *FORMATS, *modules, *codecs, f"heif {heic_reader() or 'none'}"))


def digest(content: Content) -> str:
    """Return what tells one image's content from all others, in hexadecimal."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()[:N_DIGITS]
    state = hashlib.sha256(f"{content.mode} {content.size}".encode())
    state.update(content.tobytes())
    return state.hexdigest()[:N_DIGITS]


def or_reason(read: Callable[[], T]) -> T | str:
    """Return what a function returns, or why it cannot read its image."""
    try:
        return read()
    except ImageError as error:
        return error.reason
    except MemoryError:
        return NO_MEMORY
