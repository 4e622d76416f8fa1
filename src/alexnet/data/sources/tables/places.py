"""Where the images lie that a table lists: as it is written, or as one rule for all of its rows finds them.

Tables are written on other computers, for other folders, or with bare names. What is added or taken away is the same
for each row, and said.
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

# Of a table of another folder the first row says how; where its image is missing one of the next.
_N_TRIED = 10
_WINDOWS = re.compile(r"[A-Za-z]:|[\\/]{2}")


@dataclass(frozen=True)
class _Rule:
    """What is taken away from the beginning of each path of a table, and what is put there instead."""

    added: str
    taken: str = ""

    def path(self, text: str) -> str:
        """Return where an image lies that is listed as ``text``; empty where the rule says nothing of it."""
        text = _slashes(text)
        return _joined(self.added, text[len(self.taken) :]) if text.startswith(self.taken) else ""


class Files:
    """The files of a folder or an archive, found by what tables call them."""

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
        """Return the files that a path means: those that differ only in case, or have an ending and it has none."""
        key = _key(path)
        found = self._by_name.get(key, [])
        if not found and not ends_like_image(path):
            found = self._by_stem.get(key, [])
        if len(found) < 2:
            return found
        return [file for file in found if nfc(file).startswith(nfc(path))] or found

    @cached_property
    def _by_file_name(self) -> Mapping[str, list[str]]:
        """Files by their own names, in whichever folders, and images also without their endings."""
        last = [(posixpath.basename(file), file) for file in self._all]
        stems = ((_stem(name), file) for name, file in last if ends_like_image(name))
        return _grouped((_key(name), file) for name, file in (*last, *stems))

    def with_name(self, name: str) -> list[str]:
        """Return the images of a name, with an ending or without, in whichever folders they lie."""
        return [file for file in self._by_file_name.get(_key(_slashes(name)), ()) if ends_like_image(file)]

    def folders_containing(self, path: str) -> set[str]:
        """Return the folders, ``""`` or with a ``/`` at the end, in which there is such a path."""
        tail, n_parts = f"/{_key(path)}", path.count("/") + 1
        bare = not ends_like_image(path)
        found = set()
        for file in self._by_file_name.get(_key(posixpath.basename(path)), ()):
            key = f"/{_key(file)}"
            if key.endswith(tail) or (bare and ends_like_image(file) and _stem(key).endswith(tail)):
                found.add("".join(f"{part}/" for part in file.split("/")[:-n_parts]))
        return found

    def rules(self, text: str, folder: str) -> list[_Rule]:
        """Return the rules by which an image is found that a table in a folder lists as ``text``."""
        text = _slashes(text)
        home = f"{folder}/" if folder else ""
        parts = text.split("/")
        taken = ["".join(f"{part}/" for part in parts[:n]) for n in range(1, len(parts))]
        rules = [_Rule(home, start) for start in taken if self.matching(home + text[len(start) :])]
        return rules + [_Rule(added) for added in sorted(self.folders_containing(text))]

    def has_image(self, text: str, folder: str) -> bool:
        """Return whether ``text``, as it is written, is an image beside a table in a folder."""
        return ends_like_image(text) and self.container.exists(_joined(f"{folder}/" if folder else "", text))

    def likeness(self, text: str, folder: str) -> int:
        """Return how much ``text`` looks like what a table in a folder lists as an image.

        3: there is one of that name. 2: it is to be found, and has its ending. 1: it is to be found. 0: it is not.
        """
        if not text:
            return 0
        if self.has_image(text, folder):
            return 3
        return 1 + ends_like_image(text) if self.rules(text, folder) else 0


@dataclass
class _Differences:
    """In what the paths of a table differ from those of their files."""

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
            those = listed(sorted(self.folders, key=natural_key))
            yield f"{name}: images were found by their names alone, in the folders {those}"
        added = [*([rule.added] if rule.added not in ("", home.added) else []), *sorted(self.endings)]
        if added:
            yield f"{name}: paths lack {listed(added)}, which {'was' if len(added) == 1 else 'were'} added"
        if rule.taken:
            yield f"{name}: {shown(rule.taken)} was taken away from the beginning of each path"
        if self.cases:
            path, file = self.cases[0]
            yield f"{name}: {len(self.cases)} paths differ from their files in case, such as {path!r} for {file!r}"


def locate(
    table: Table, texts: Sequence[str], folder: str, files: Files, split: str | None
) -> tuple[list[str], list[str]]:
    """Find the images that a table lists.

    Args:
        table: the table.
        texts: what it says of where each image lies.
        folder: the folder of the table, to which its paths are relative.
        files: those of its container.
        split: the split of all its images, if that is known: of two folders with the same names it tells which.

    Returns:
        The path of each image, and what to say of how they were found, a line each.

    Raises:
        DataError: an image is missing, or may be one of two.
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
        # Bare names in more folders than one: each lies where the only file of its name is.
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
    """Return the files that each of some paths may mean by a rule."""
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
    """Return the one rule that can hold for each row; one that holds for some, where none does.

    Raises:
        DataError: two do.
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
    return f"{table.where!r} {table.row(number)} {what}; write the paths in full, or take one of the files away"


def _missing_images(table: Table, texts: Sequence[str], missing: Sequence[int], rule: _Rule, home: _Rule) -> str:
    """Return the words for images that a table lists and that are not there."""
    first = texts[missing[0]]
    if len(missing) == len(texts) and _WINDOWS.match(first):
        advice = "they are paths of another computer; write them relative to the table"
    elif len(missing) == len(texts) and first.startswith("/"):
        advice = "they are paths of another folder or computer; write them relative to the table"
    elif rule != home:
        advice = "put their images there, or delete the rows"
    else:
        advice = "correct the paths, which are relative to the table, or delete the rows"
    where = f" in {shown(rule.added)}" if rule.added != home.added else ""
    return (
        f"{table.where!r} lists {len(missing)} of {len(texts)} images that are not there{where}, the first is "
        f"{shown(first)} in {table.row(missing[0])}; {advice}"
    )


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for key, file in pairs:
        groups[key].append(file)
    return groups


def _key(path: str) -> str:
    """Return a path as it is compared where case and the writing of accents do not matter."""
    return path.lower() if path.isascii() else nfc(nfc(path).casefold())


def _slashes(text: str) -> str:
    """Return a path with ``/``, and no ``./`` at the beginning."""
    return posixpath.normpath(text.replace("\\", "/"))


def _joined(folder: str, path: str) -> str:
    """Return a path in a folder without detours; ``..`` goes up as far as there are folders, and beyond stays."""
    return posixpath.normpath(path if path.startswith("/") else folder + path)


def _stem(image: str) -> str:
    return image[: image.rindex(".")]
