"""What is known about each image of a source, so that an unchanged image is never read again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import PIL
from PIL import features

from alexnet.data.source import Content, Source
from alexnet.data.store.cache import catalogues_folder, make_folder, os_errors_named
from alexnet.errors import ImageError
from alexnet.files.atomic import write_atomically
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.images.decoding import FORMATS
from alexnet.images.opening import heic_reader

# Increase it when the same content gives other pixels, or is refused for other reasons.
VERSION = 5
# Part of stores' fingerprints. Still 4: version 5 changed only deep images, few of which were decoded correctly before.
FINGERPRINT_VERSION = 4

# Length of a digest in hexadecimal digits.
N_DIGITS = 32
NO_MEMORY = "there is not enough memory to decode it"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known about one image.

    Attributes:
        stamp: its stamp from the source when it was read.
        digest: digest of its content, in hexadecimal.
        longest_side: in pixels, according to its file; 0 if unknown.
        reason: why it cannot be read; None if it can.
    """

    stamp: str
    digest: str
    longest_side: int
    reason: str | None = None


class Catalogue:
    """The entries of one source, stored in the cache.

    Args:
        source: the images.
        max_pixels: larger images are refused. Each limit has a catalogue of its own.
    """

    def __init__(self, source: Source, max_pixels: int) -> None:
        words = f"{VERSION} {max_pixels} {source.name}"
        name = hashlib.sha256(words.encode(errors="surrogateescape")).hexdigest()[:32]
        self._file = catalogues_folder() / f"{name}.json"
        self._source = source
        self.entries = self._load()

    def current(self, path: str) -> Entry | None:
        """Return the entry of an image; None if it is new or has changed."""
        entry = self.entries.get(path)
        return entry if entry is not None and entry.stamp == self._source.reader.stamp(path) else None

    def save(self) -> None:
        """Write the entries as one list for each field: 100,000 are read in 0.1 s."""
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
        with os_errors_named(self._file.parent):
            write_atomically(self._file, json.dumps(columns))

    def _load(self) -> dict[str, Entry]:
        try:
            saved = parse_object(self._file.read_text(encoding="utf-8"))
            reasons = as_kind(dict[str, str], saved["reasons"], "reasons")
            is_same_decoder = saved["decoder"] == _decoder()
            columns = [saved[name] for name in ("paths", "stamps", "digests", "longest_sides")]
            # Whole columns: to check 100,000 values one by one takes longer than to read them.
            kinds = [set(map(type, column)) for column in columns]
            if columns[0] and (kinds != [{str}, {str}, {str}, {int}] or {*map(len, columns[2])} != {N_DIGITS}):
                return {}
            return {
                path: Entry(stamp, digest, longest_side, reasons.get(path))
                for path, stamp, digest, longest_side in zip(*columns, strict=True)
                if is_same_decoder or path not in reasons  # this decoder may read what the other refused
            }
        except (OSError, ValueError, KeyError, TypeError):  # missing or damaged: start with an empty catalogue
            return {}


def _decoder() -> str:
    """Return the name of the decoder: the version of Pillow, our formats, Pillow's codecs, and the HEIC reader."""
    modules = (name for name in ("webp", "avif") if name in features.modules and features.check_module(name))
    codecs = filter(features.check_codec, features.codecs)
    return " ".join((PIL.__version__, *FORMATS, *modules, *codecs, f"heif {heic_reader() or 'none'}"))


def digest(content: Content) -> str:
    """Return the digest of an image's content, in hexadecimal."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()[:N_DIGITS]
    state = hashlib.sha256(f"{content.mode} {content.size}".encode())
    state.update(content.tobytes())
    return state.hexdigest()[:N_DIGITS]


def or_reason(read: Callable[[], T]) -> T | str:
    """Return the result of a function, or the reason why it cannot read its image."""
    try:
        return read()
    except ImageError as error:
        return error.reason
    except MemoryError:
        return NO_MEMORY
