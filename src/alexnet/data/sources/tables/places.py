"""Finds the images that a table lists: at the paths as written, or by one rule for all rows.

Many tables come from other computers or folders, or list bare names. What a rule adds to paths or removes from them is
the same for each row, and a warning says it.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from alexnet.data.sources.container import Container
from alexnet.data.sources.tables.table import Table
from alexnet.data.sources.vocabulary import nfc, split_of
from alexnet.errors import DataError, listed, shown
from alexnet.files.paths import natural_key
from alexnet.images.decoding import ends_like_image

# How many rows are tried to find a rule: the image of the first may be missing.
_N_TRIED = 10
_WINDOWS = re.compile(r"[A-Za-z]:|[\\/]{2}")


@dataclass(frozen=True)
class _Rule:
    """What is removed from the beginning of each path in a table, and what is added there."""

    added: str
    removed: str = ""

    def path(self, text: str) -> str:
        """Return the path of an image that is listed as ``text``; empty if the rule does not apply."""
        text = _slashes(text)
        return _joined(self.added, text[len(self.removed) :]) if text.startswith(self.removed) else ""


class Files:
    """The files of a folder or an archive, found by the paths in tables."""

    def __init__(self, container: Container) -> None:
        self.container = container

    @cached_property
    def _all(self) -> tuple[str, ...]:
        return self.container.names().files

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        return _grouped((_key(file), file) for file in self._all)

    @cached_property
    def _by_stem(self) -> Mapping[str, list[str]]:
        return _grouped((_key(_stem(file)), file) for file in self._all if ends_like_image(file))

    def matching(self, path: str) -> list[str]:
        """Return the files that a path may mean: they differ only in case, or by an ending that the path lacks."""
        key = _key(path)
        found = self._by_name.get(key, [])
        if not found and not ends_like_image(path):
            found = self._by_stem.get(key, [])
        if len(found) < 2:
            return found
        return [file for file in found if nfc(file).startswith(nfc(path))] or found

    @cached_property
    def _by_file_name(self) -> Mapping[str, list[str]]:
        """Files of all folders by their names; images also by their names without ending."""
        last = [(posixpath.basename(file), file) for file in self._all]
        stems = ((_stem(name), file) for name, file in last if ends_like_image(name))
        return _grouped((_key(name), file) for name, file in (*last, *stems))

    def with_name(self, name: str) -> list[str]:
        """Return the images of all folders with a name, which may lack the ending."""
        return [file for file in self._by_file_name.get(_key(_slashes(name)), ()) if ends_like_image(file)]

    def folders_containing(self, path: str) -> set[str]:
        """Return the folders, ``""`` or with a ``/`` at the end, in which a path exists."""
        tail, n_parts = f"/{_key(path)}", path.count("/") + 1
        bare = not ends_like_image(path)
        found = set()
        for file in self._by_file_name.get(_key(posixpath.basename(path)), ()):
            key = f"/{_key(file)}"
            if key.endswith(tail) or (bare and ends_like_image(file) and _stem(key).endswith(tail)):
                found.add("".join(f"{part}/" for part in file.split("/")[:-n_parts]))
        return found

    def rules(self, text: str, folder: str) -> list[_Rule]:
        """Return the rules that find the image that a table in ``folder`` lists as ``text``."""
        text = _slashes(text)
        home = f"{folder}/" if folder else ""
        parts = text.split("/")
        starts = ["".join(f"{part}/" for part in parts[:n]) for n in range(1, len(parts))]
        rules = [_Rule(home, start) for start in starts if self.matching(home + text[len(start) :])]
        return rules + [_Rule(added) for added in sorted(self.folders_containing(text))]

    def has_image(self, text: str, folder: str) -> bool:
        """Return whether ``text``, as written, is the path of an image for a table in ``folder``."""
        return ends_like_image(text) and self.container.exists(_joined(f"{folder}/" if folder else "", text))

    def likeness(self, text: str, folder: str) -> int:
        """Return how much ``text`` looks like the path of an image in a table in ``folder``.

        3: the image exists. 2: a rule finds it, and it has an ending. 1: a rule finds it. 0: not found.
        """
        if not text:
            return 0
        if self.has_image(text, folder):
            return 3
        return 1 + ends_like_image(text) if self.rules(text, folder) else 0


@dataclass
class _Differences:
    """How the paths in a table differ from those of their files."""

    folders: set[str] = field(default_factory=set)
    endings: set[str] = field(default_factory=set)
    cases: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, file: str) -> None:
        path, named = nfc(path), nfc(file)
        if _key(named) != _key(path):
            self.endings.add(posixpath.splitext(named)[1])
        if not named.startswith(path):
            self.cases.append((path, file))

    def warnings(self, name: str, rule: _Rule, home: _Rule) -> Iterator[str]:
        if self.folders:
            folders = listed(sorted(self.folders, key=natural_key))
            yield f"{name}: images were found by their names alone, in the folders {folders}"
        added = [*([rule.added] if rule.added not in ("", home.added) else []), *sorted(self.endings)]
        if added:
            yield f"{name}: added {listed(added)} to paths that lack {'it' if len(added) == 1 else 'them'}"
        if rule.removed:
            yield f"{name}: removed {shown(rule.removed)} from the beginning of each path"
        if self.cases:
            path, file = self.cases[0]
            yield f"{name}: {len(self.cases)} paths differ from their files in case, such as {path!r} for {file!r}"


def locate(
    table: Table, texts: Sequence[str], folder: str, files: Files, split: str | None
) -> tuple[list[str], list[str]]:
    """Find the images that a table lists.

    Args:
        table: the table.
        texts: the path of each image, as written.
        folder: the folder of the table, to which its paths are relative.
        files: the files of its container.
        split: the split of all its images, if known: it decides between two folders with the same file names.

    Returns:
        The path of each image, and warnings about how they were found, a line each.

    Raises:
        DataError: an image is missing or ambiguous.
    """
    rule = home = _Rule(f"{folder}/" if folder else "")
    paths = [_as_written(text, home.added, files) for text in texts]
    left = [number for number, path in enumerate(paths) if not path]
    found = _find(texts, left, home, files)
    if len(left) == len(paths) and not any(found):
        rule = _find_rule(table, texts, folder, files, split) or home
        found = _find(texts, left, rule, files)
    differences = _Differences()
    if len(left) == len(paths) and not all(found) and not any("/" in _slashes(text) for text in texts):
        # Bare names in several folders: each must be the name of only one file.
        by_name = [files.with_name(texts[number]) for number in left]
        if all(by_name):
            rule, found = _Rule(""), by_name
            differences.folders = {posixpath.dirname(fits[0]) for fits in found}
    for number, fits in zip(left, found, strict=True):
        if len(fits) > 1:
            raise DataError(_several_files(table, number, texts[number], fits))
        if fits:
            differences.add(rule.path(texts[number]), posixpath.basename(fits[0]) if differences.folders else fits[0])
            paths[number] = fits[0]
    if missing := [number for number, path in enumerate(paths) if not path]:
        raise DataError(_missing_images(table, texts, missing, rule, home))
    return paths, list(differences.warnings(table.name, rule, home))


def _find(texts: Sequence[str], numbers: Iterable[int], rule: _Rule, files: Files) -> list[list[str]]:
    """Return the files that each of some paths may mean under a rule."""
    return [files.matching(rule.path(texts[number])) for number in numbers]


def _as_written(text: str, home: str, files: Files) -> str:
    path = _joined(home, text)
    if files.container.exists(path):
        return path
    if "\\" not in text:
        return ""
    path = _joined(home, _slashes(text))
    return path if files.container.exists(path) else ""


def _find_rule(table: Table, texts: Sequence[str], folder: str, files: Files, split: str | None) -> _Rule | None:
    """Return the rule that fits all rows, or one that fits some of them; None if no rule fits.

    Raises:
        DataError: two rules fit.
    """
    rules = next(filter(None, (files.rules(text, folder) for text in texts[:_N_TRIED])), [])
    for text in dict.fromkeys(texts):
        if len(rules) < 2:
            break
        rules = [rule for rule in rules if files.matching(rule.path(text))] or rules[:1]
    if split is not None and len(rules) > 1:
        rules = [rule for rule in rules if split in map(split_of, rule.added.split("/"))] or rules
    if len(rules) > 1:
        raise DataError(
            _several_files(table, 0, texts[0], [file for rule in rules for file in files.matching(rule.path(texts[0]))])
        )
    return rules[0] if rules else None


def _several_files(table: Table, number: int, text: str, found: Iterable[str]) -> str:
    what = f"lists {shown(text)}, which may be {listed(sorted(found))}"
    return f"{table.where!r} {table.row(number)} {what}; write full paths, or remove one of the files"


def _missing_images(table: Table, texts: Sequence[str], missing: Sequence[int], rule: _Rule, home: _Rule) -> str:
    """Return the error for images that a table lists and that do not exist."""
    first = texts[missing[0]]
    if len(missing) == len(texts) and _WINDOWS.match(first):
        advice = "these are paths of another computer; write them relative to the table"
    elif len(missing) == len(texts) and first.startswith("/"):
        advice = "these are paths of another folder or computer; write them relative to the table"
    elif rule != home:
        advice = "put their images there, or delete the rows"
    else:
        advice = "correct the paths, which are relative to the table, or delete the rows"
    where = f" in {shown(rule.added)}" if rule.added != home.added else ""
    return (
        f"{table.where!r}: {len(missing)} of {len(texts)} images do not exist{where}; the first is "
        f"{shown(first)} in {table.row(missing[0])}; {advice}"
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, file in pairs:
        groups[key].append(file)
    return groups


def _key(path: str) -> str:
    """Return a path for comparison without case and with accents in one form."""
    return path.lower() if path.isascii() else nfc(nfc(path).casefold())


def _slashes(text: str) -> str:
    """Return a path with ``/`` between its parts, and without ``./`` at the beginning."""
    return posixpath.normpath(text.replace("\\", "/"))


def _joined(folder: str, path: str) -> str:
    """Return a path in a folder, normalised; ``..`` stays if it points out of the container."""
    return posixpath.normpath(path if path.startswith("/") else folder + path)


def _stem(image: str) -> str:
    return image[: image.rindex(".")]
