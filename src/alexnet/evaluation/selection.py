"""Which pictures a network is judged on: never, without a word, those that it learned from."""

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from alexnet.data.fingerprint import Fingerprint, Fingerprints
from alexnet.data.record import (
    SPLITS_FILE,
    Row,
    find,
    read_splits,
    what_is_added,
    what_is_missing,
    what_is_relabelled,
)
from alexnet.data.source import SPLITS, Picture, Source
from alexnet.data.store import Store
from alexnet.errors import DataError
from alexnet.inference.artifact import Artifact
from alexnet.saved import as_kind, parse_object


@dataclass(frozen=True)
class OwnRun:
    """The run that made a model, as far as judging the model needs it.

    Attributes:
        folder: the run folder.
        data: the name of the data it was trained on.
        data_dir: its folder of named sets.
    """

    folder: Path
    data: str
    data_dir: str | None

    @classmethod
    def of(cls, artifact: Artifact) -> "OwnRun | None":
        """Return the run in which a model lies; None for a model that was taken out of its run.

        Raises:
            DataError: the run's ``settings.json`` is damaged.
        """
        model = artifact.folder if artifact.folder.name else artifact.folder.absolute()  # "." has no name
        folder, file = model.parent, model.parent / "settings.json"
        if model.name != "model" or not (folder / SPLITS_FILE).exists() or not file.exists():
            return None
        try:
            settings = parse_object(file.read_text(encoding="utf-8"))
            data = as_kind(str, settings.get("data"), "data")
            return cls(folder, data, as_kind(str | None, settings.get("data_dir"), "data_dir"))
        except (OSError, ValueError) as error:
            raise DataError(f"{str(file)!r} is damaged ({error}); put back the one that training wrote") from error

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Its pictures."""
        return read_splits(self.folder / SPLITS_FILE)

    @property
    def command(self) -> str:
        """How to say where its pictures are."""
        return f"alexnet evaluate {shlex.quote(str(self.folder))} DATA"


@dataclass(frozen=True)
class Selection:
    """The pictures to judge on.

    Attributes:
        source: these pictures.
        split: which split they are; None for all of data that is not split.
        remarks: what a user should know of how they were chosen, a line each.
    """

    source: Source
    split: str | None
    remarks: tuple[str, ...]


def candidates(source: Source, run: OwnRun | None, split: str | None) -> Source:
    """Return the pictures among which ``select`` has to choose: a split of the data, or all where there is none.

    All of a run's own data, too: which of them are its ``test`` is known by their content.

    Raises:
        DataError: there is no such split, and no run that could tell.
    """
    if run is None:
        _present(source, split)
    wanted = source.in_split(split or "test")
    is_own = run is not None and source.name == run.data
    return source.with_pictures(wanted) if wanted and not is_own else source


def select(
    source: Source, store: Store, artifact: Artifact, *, run: OwnRun | None = None, split: str | None = None
) -> Selection:
    """Choose the pictures to judge a network on.

    The pictures of a run are known by their content, wherever they lie: of those, its own split is judged. What the
    network learned from or was chosen by is left out, and that is said; of ``train`` it is only said.

    Args:
        source: what ``candidates`` returned.
        store: the same, prepared.
        artifact: the network.
        run: the run that made it, if it is known.
        split: ``train``, ``val`` or ``test``. Where not given ``test``, or all of data that is not split.

    Raises:
        DataError: there is no such split, or nothing is left, or pictures of the run have gone or changed.
    """
    wanted = split or "test"
    chosen = None if run is None else _own(source, store, run, wanted)
    if chosen is None:
        chosen = Selection(source, _present(source, split), ())
    return _unseen(chosen, store, _fingerprints(artifact, run), wanted)


def _own(source: Source, store: Store, run: OwnRun, wanted: str) -> Selection | None:
    """Return the run's own split, if all of it is here: found by content, labelled as the pictures are now."""
    is_own = source.name == run.data
    if not is_own and source.in_split(wanted):
        return None
    found = find(run.rows, source, store)
    # One that cannot be read any more is not missing: it is named among the skipped.
    own = [(row, picture or _unreadable(row, source, store)) for row, picture in found.pairs if row.split == wanted]
    missing = [row for row, picture in own if picture is None]
    pictures = tuple(Picture(each.path, each.label, wanted) for _, each in own if each is not None)
    if not is_own and (missing or not pictures):
        return None
    if missing:
        raise DataError(
            f"{what_is_missing(missing, len(own), run.folder, source)}; put them back, or say where they are: "
            f"{run.command}"
        )
    if not pictures:
        raise DataError(f"the run {str(run.folder)!r} has no {wanted} pictures; choose with --split")
    remarks = []
    if not is_own:
        remarks.append(f"these are the {wanted} pictures of the run {str(run.folder)!r}, known by their content")
    remarks += what_is_added(found.added)
    if relabelled := [(row, picture) for row, picture in found.relabelled if row.split == wanted]:
        remarks.append(f"{what_is_relabelled(relabelled)}; they are judged by the labels of now")
    return Selection(source.with_pictures(pictures), wanted, tuple(remarks))


def _unreadable(row: Row, source: Source, store: Store) -> Picture | None:
    if row.path not in store.skipped:
        return None
    return next((each for each in source.pictures if each.path == row.path), None)


def _unseen(chosen: Selection, store: Store, seen: Fingerprints, wanted: str) -> Selection:
    """Leave out what the network learned from and, unless ``val`` is wanted, what it was chosen by."""
    source, remarks = chosen.source, chosen.remarks
    if not seen:
        remark = "this model does not say what it learned from; make sure that none of these pictures is among that"
        return replace(chosen, remarks=(*remarks, remark))
    either = seen["train"] if wanted in ("train", "val") else seen["train"] | seen["val"]
    readable = [each.path for each in source.pictures if each.path in store.rows]
    known = {path for path in readable if store.content(path) in either}
    if not known:
        return chosen
    share = f"{len(known)} of {len(readable)} pictures"
    if wanted == "train":
        remark = f"the network learned from {share}: this says how well it knows them, not how good it is"
        return replace(chosen, remarks=(*remarks, remark))
    if len(known) == len(readable):
        raise DataError(
            f"all {len(readable)} pictures in {source.name!r} are among those that the network learned from or was "
            "chosen by (val); give others, which it has not seen"
        )
    remark = f"left out {share} that the network learned from or was chosen by (val)"
    unseen = source.with_pictures(tuple(each for each in source.pictures if each.path not in known))
    return replace(chosen, source=unseen, remarks=(*remarks, remark))


def _fingerprints(artifact: Artifact, run: OwnRun | None) -> Fingerprints:
    if artifact.fingerprints or run is None:
        return artifact.fingerprints
    return {name: Fingerprint.of(row.content for row in run.rows if row.split == name) for name in ("train", "val")}


def _present(source: Source, split: str | None) -> str | None:
    """Return which split to judge; None for all of data that is not split."""
    present = {picture.split for picture in source.pictures}
    if present == {None}:
        if split is not None:
            raise DataError(
                f"{source.name!r} is not split; leave out --split to judge all of it that the network has not seen"
            )
        return None
    wanted = split or "test"
    if wanted not in present:
        have = " and ".join(name for name in SPLITS if name in present)
        raise DataError(f"{source.name!r} has no {wanted} pictures, only {have}; choose with --split")
    return wanted
