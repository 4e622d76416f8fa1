"""Choose the images to evaluate a network on: never those it learned from without a warning."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from alexnet.data.fingerprint import SeenImages
from alexnet.data.record import seen_by
from alexnet.data.source import SPLITS, Source
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.evaluation.selection.run_images import ModelRun, find_run_images, refuse_incomplete
from alexnet.model.artifact import Artifact

_UNKNOWN = "does not say what it learned from; make sure that it was none of these images"


@dataclass(frozen=True)
class Selection:
    """The images to evaluate on.

    Attributes:
        source: these images.
        split: their split; None for all of data that is not split.
        warnings: what a user should know about the choice, a line each.
    """

    source: Source
    split: str | None
    warnings: tuple[str, ...] = ()

    def with_warning(self, warning: str) -> "Selection":
        """Return this selection with one more warning."""
        return replace(self, warnings=(*self.warnings, warning))

    def without(self, paths: Collection[str]) -> "Selection":
        """Return this selection without some images."""
        left = tuple(each for each in self.source.images if each.path not in paths)
        return replace(self, source=self.source.with_images(left))


def candidates(source: Source, split: str | None, *, is_run_data: bool) -> Source:
    """Return the images from which ``select`` chooses: a split of the data, or all where there is none.

    Of a run's data all are returned, as the run knows its ``test`` images by content.
    """
    wanted = source.in_split(split or "test")
    return source.with_images(wanted) if wanted and not is_run_data else source


def select(
    source: Source,
    store: Store,
    artifact: Artifact,
    *,
    run: ModelRun | None = None,
    is_run_data: bool = False,
    split: str | None = None,
) -> Selection:
    """Choose the images to evaluate a network on.

    The images of a run are recognised by content, wherever they are stored, and keep the split that they have in the
    run. Images that the network was trained or validated on are left out, with a warning; ``--split train`` keeps them
    and warns.

    Args:
        source: the result of ``candidates``.
        store: the same, prepared.
        artifact: the network.
        run: the run that trained it, if it is known.
        is_run_data: whether the source is the data that the run was trained on.
        split: ``train``, ``val`` or ``test``. Where not given ``test``, or all of data that is not split.

    Raises:
        DataError: there is no such split, or no image is left, or images of the run are gone or have changed.
    """
    seen = artifact.seen or (None if run is None else seen_by(run.folder))
    chosen = None if run is None else _run_split(source, store, run, split or "test", is_run_data=is_run_data)
    if chosen is None or chosen.split is None:
        warnings = chosen.warnings if chosen else ()
        chosen = Selection(source, _choose_split(source, split, is_known=seen is not None), warnings)
    if seen is None:
        return chosen.with_warning(f"this model {_UNKNOWN}")
    if not seen.is_all:
        chosen = chosen.with_warning(f"what this network began with (--init) {_UNKNOWN}")
    return _leave_out_own(chosen, store, seen)


def leave_out_seen(chosen: Selection, store: Store, artifact: Artifact, run: ModelRun | None, name: str) -> Selection:
    """Leave out the images that another network learned from, which is evaluated on the same images.

    Of ``train`` images all are kept, with a warning; of ``val`` images those that it was only validated on.

    Args:
        chosen: the images chosen for the first network.
        store: the same, prepared.
        artifact: the other network.
        run: the run that trained it, if it is known.
        name: its name, for warnings.

    Raises:
        DataError: no image is left.
    """
    seen = artifact.seen or (None if run is None else seen_by(run.folder))
    if seen is None or not seen.is_all:
        chosen = chosen.with_warning(f"{name} {_UNKNOWN}")
    if seen is None:
        return chosen
    contents = {each.path: store.content(each.path) for each in chosen.source.images if each.path in store.rows}
    learned = {path for path, content in contents.items() if content in seen.train}
    if chosen.split == "train":
        warning = f"{name} learned from {len(learned)} of {len(contents)} images"
        return chosen.with_warning(warning) if learned else chosen
    validated = {path for path, content in contents.items() if content in seen.val} - learned
    left_out = learned if chosen.split == "val" else learned | validated
    if len(left_out) == len(contents) and len(learned) < len(contents):
        left_out = learned
        chosen = chosen.with_warning(
            f"{name} was not trained on these images, but validated on {len(validated)} of them"
        )
    if not left_out:
        return chosen
    if len(left_out) == len(contents):
        raise DataError(f"{name} learned from all {len(contents)} images on which the first model can be evaluated")
    what = "learned from" if left_out == learned else "learned from or was validated on"
    warning = f"left out {len(left_out)} of {len(contents)} images that {name} {what}"
    return chosen.without(left_out).with_warning(warning)


def _run_split(source: Source, store: Store, run: ModelRun, wanted: str, *, is_run_data: bool) -> Selection | None:
    """Return a split of the run if all of it is here; if only some is, all of the data and a warning; else None."""
    if not is_run_data and source.in_split(wanted):
        return None
    found = find_run_images(run, source, store, wanted)
    if is_run_data:
        refuse_incomplete(run, found, source, wanted)
        return Selection(source.with_images(found.images), wanted, found.warnings)
    where = f"the run {str(run.folder)!r}"
    if found.images and not found.missing:
        warning = f"these are the {wanted} images of {where}, recognised by content"
        return Selection(source.with_images(found.images), wanted, (warning, *found.warnings))
    if found.images:
        n = len(found.images) + len(found.missing)
        warning = f"only {len(found.images)} of the {n} {wanted} images of {where} are here"
        return Selection(source, None, (warning,))
    return None


def _leave_out_own(chosen: Selection, store: Store, seen: SeenImages) -> Selection:
    """Leave out the images that the network was trained on and, unless ``val`` is wanted, validated on."""
    contents = {each.path: store.content(each.path) for each in chosen.source.images if each.path in store.rows}
    learned = {path for path, content in contents.items() if content in seen.train}
    validated = {path for path, content in contents.items() if content in seen.val} - learned
    is_split = any(each.split for each in chosen.source.images)
    if chosen.split in ("train", "val") and not is_split:
        kept = learned if chosen.split == "train" else validated
        if not kept:
            raise DataError(f"no image in {chosen.source.name!r} is of the network's {chosen.split}")
        chosen, contents = chosen.without(contents.keys() - kept), {path: contents[path] for path in kept}
    n = len(contents)
    if chosen.split == "train":
        share = f"{len(learned)} of {n} images"
        warning = f"the network learned from {share}: these scores do not say how good it is on new images"
        return chosen.with_warning(warning) if learned else chosen
    left_out = contents.keys() & (learned if chosen.split == "val" else learned | validated)
    if len(left_out) == n and validated and chosen.split != "val":
        left_out = learned
        chosen = chosen.with_warning("these are val images: the network was not trained on them, but validated on them")
    if not left_out and chosen.split == "test" and not is_split:
        raise DataError(f"{chosen.source.name!r} is not split; leave out --split to evaluate on all of it")
    if not left_out:
        return chosen
    if len(left_out) == n:
        raise DataError(
            f"the network learned from all {n} images in {chosen.source.name!r}; give other images, or use --split "
            "train for its training accuracy"
        )
    what = "learned from" if left_out == learned else "learned from or was validated on"
    return chosen.without(left_out).with_warning(f"left out {len(left_out)} of {n} images that the network {what}")


def _choose_split(source: Source, split: str | None, *, is_known: bool) -> str | None:
    """Return the split to evaluate on; None for all of data that is not split.

    Of such data ``split`` can be chosen only where it is known what the network learned from.
    """
    present = {image.split for image in source.images}
    if present == {None}:
        if split is not None and not is_known:
            raise DataError(f"{source.name!r} is not split, and this model {_UNKNOWN}; leave out --split to use all")
        return split
    wanted = split or "test"
    if wanted not in present:
        have = " and ".join(name for name in SPLITS if name in present)
        raise DataError(f"{source.name!r} has no {wanted} images, only {have}; choose with --split")
    return wanted
