"""Which images a network is judged on: never, without a word, those that it learned from."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from alexnet.data.fingerprint import Seen
from alexnet.data.record import seen_by
from alexnet.data.source import SPLITS, Source
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.evaluation.own import OwnRun, own_images, refuse_incomplete
from alexnet.model.artifact import Artifact

_UNKNOWN = "does not say what it learned from; make sure that none of these images is among that"


@dataclass(frozen=True)
class Selection:
    """The images to judge on.

    Attributes:
        source: these images.
        split: which split they are; None for all of data that is not split.
        warnings: what a user should know of how they were chosen, a line each.
    """

    source: Source
    split: str | None
    warnings: tuple[str, ...] = ()

    def noting(self, warning: str) -> "Selection":
        """Return this selection with one more warning."""
        return replace(self, warnings=(*self.warnings, warning))

    def without(self, paths: Collection[str]) -> "Selection":
        """Return this selection without some images."""
        left = tuple(each for each in self.source.images if each.path not in paths)
        return replace(self, source=self.source.with_images(left))


def candidates(source: Source, split: str | None, *, is_own: bool) -> Source:
    """Return the images among which ``select`` has to choose: a split of the data, or all where there is none.

    All of a run's own data, too: which of them are its ``test`` is known by their content.
    """
    wanted = source.in_split(split or "test")
    return source.with_images(wanted) if wanted and not is_own else source


def select(
    source: Source,
    store: Store,
    artifact: Artifact,
    *,
    run: OwnRun | None = None,
    is_own: bool = False,
    split: str | None = None,
) -> Selection:
    """Choose the images to judge a network on.

    The images of a run are known by their content, wherever they lie: of those, its own split is judged. What the
    network learned from or was chosen by is left out, and that is said; of ``train`` it is only said.

    Args:
        source: what ``candidates`` returned.
        store: the same, prepared.
        artifact: the network.
        run: the run that made it, if it is known.
        is_own: whether the source is what the run says that it was trained on.
        split: ``train``, ``val`` or ``test``. Where not given ``test``, or all of data that is not split.

    Raises:
        DataError: there is no such split, or nothing is left, or images of the run have gone or changed.
    """
    seen = artifact.seen or (None if run is None else seen_by(run.folder))
    chosen = None if run is None else _own(source, store, run, split or "test", is_own=is_own)
    if chosen is None or chosen.split is None:
        warnings = chosen.warnings if chosen else ()
        chosen = Selection(source, _present(source, split, is_known=seen is not None), warnings)
    if seen is None:
        return chosen.noting(f"this model {_UNKNOWN}")
    if not seen.is_all:
        chosen = chosen.noting(f"what this network began with (--init) {_UNKNOWN}")
    return _unseen(chosen, store, seen)


def _own(source: Source, store: Store, run: OwnRun, wanted: str, *, is_own: bool) -> Selection | None:
    """Return the run's own split, if all of it is here; if only some of it is, a warning on that and no split."""
    if not is_own and source.in_split(wanted):
        return None
    own = own_images(run, source, store, wanted)
    if is_own:
        refuse_incomplete(run, own, source, wanted)
        return Selection(source.with_images(own.images), wanted, own.warnings)
    where = f"the run {str(run.folder)!r}"
    if own.images and not own.missing:
        warning = f"these are the {wanted} images of {where}, known by their content"
        return Selection(source.with_images(own.images), wanted, (warning, *own.warnings))
    if own.images:
        n = len(own.images) + len(own.missing)
        warning = f"only {len(own.images)} of the {n} {wanted} images of {where} are here"
        return Selection(source, None, (warning,))
    return None


def _unseen(chosen: Selection, store: Store, seen: Seen) -> Selection:
    """Leave out what the network learned from and, unless ``val`` is wanted, what it was chosen by."""
    contents = {each.path: store.content(each.path) for each in chosen.source.images if each.path in store.rows}
    learned = {path for path, content in contents.items() if content in seen.train}
    validated = {path for path, content in contents.items() if content in seen.val} - learned
    is_split = any(each.split for each in chosen.source.images)
    if chosen.split in ("train", "val") and not is_split:
        own = learned if chosen.split == "train" else validated
        if not own:
            raise DataError(f"no image in {chosen.source.name!r} is of the network's {chosen.split}")
        chosen, contents = chosen.without(contents.keys() - own), {path: contents[path] for path in own}
    n = len(contents)
    if chosen.split == "train":
        share = f"{len(learned)} of {n} images"
        warning = f"the network learned from {share}: this says how well it knows them, not how good it is"
        return chosen.noting(warning) if learned else chosen
    left_out = contents.keys() & (learned if chosen.split == "val" else learned | validated)
    if len(left_out) == n and validated and chosen.split != "val":
        left_out = learned
        chosen = chosen.noting("these images are of val: the network did not learn from them, but was chosen by them")
    if not left_out and chosen.split == "test" and not is_split:
        raise DataError(f"{chosen.source.name!r} is not split; leave out --split to judge all of it")
    if not left_out:
        return chosen
    if len(left_out) == n:
        raise DataError(
            f"the network learned from all {n} images to be judged in {chosen.source.name!r}; give others, or see "
            "with --split train how well it knows them"
        )
    what = "learned from" if left_out == learned else "learned from or was chosen by (val)"
    return chosen.without(left_out).noting(f"left out {len(left_out)} of {n} images that the network {what}")


def _present(source: Source, split: str | None, *, is_known: bool) -> str | None:
    """Return which split to judge; None for all of data that is not split.

    Of such data ``split`` can be judged where it is known what the network learned from.
    """
    present = {image.split for image in source.images}
    if present == {None}:
        if split is not None and not is_known:
            raise DataError(f"{source.name!r} is not split, and this model {_UNKNOWN}; leave out --split to judge all")
        return split
    wanted = split or "test"
    if wanted not in present:
        have = " and ".join(name for name in SPLITS if name in present)
        raise DataError(f"{source.name!r} has no {wanted} images, only {have}; choose with --split")
    return wanted
