"""Which folders of a tree are splits and which are classes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from alexnet.data.source import SPLIT_NAMES, SPLITS
from alexnet.data.sources.folders import doubts
from alexnet.data.sources.folders.tree import Tree
from alexnet.data.sources.vocabulary import is_filler, one_name, split_of, splits_among
from alexnet.errors import listed, shown


@dataclass(frozen=True)
class Shelf:
    """A class folder: every image in it and below has one label."""

    tree: Tree
    label: str
    split: str | None


@dataclass(frozen=True)
class Shelves:
    """How a tree was understood.

    Attributes:
        top: the folder in which splits or classes were found.
        shelves: the class folders; those of each split where there are splits.
        around: the folders in which the class folders lie.
        flat: the folders that are splits, and hold images but no class folders, by split.
        warnings: what a user should know, one line each.
    """

    top: Tree
    shelves: tuple[Shelf, ...] = ()
    around: tuple[Tree, ...] = ()
    flat: Mapping[str, Tree] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def find_top(tree: Tree, *, stop: Iterable[str] = ()) -> Tree:
    """Return the folder that holds everything, where there is just one: archives are made so.

    Args:
        tree: what there is.
        stop: the folders not to look below, by path.
    """
    top = tree
    while top.path not in stop and not top.images:
        inside = top.useful
        if len(inside) > 1:  # empty folders are classes to be, but not beside one called data, say
            inside = [folder for folder in top.with_images if is_filler(folder.name)]
            inside = inside if len(top.with_images) == 1 else []
        # A folder of splits may well have only one of them.
        if len(inside) != 1 or split_of(inside[0].name) or not (inside[0].useful or inside[0].path in stop):
            break
        top = inside[0]
    return top


def find_shelves(top: Tree, where: str) -> Shelves:
    """Find the class folders in a folder.

    Args:
        top: the folder, as ``find_top`` returned it.
        where: what the user calls the container.

    Raises:
        DataError: the folders can be understood in more than one way; the message says what to give instead.
    """
    named = splits_among(folder.name for folder in top.useful)
    # A class may be called "train" or "test", but holds no folders itself.
    splits = {
        name: (split, inside) for name, split in named.items() if (inside := top.folders[name].inside(split)).useful
    }
    if splits and (len(splits) == len(top.useful) or "train" in {split for split, _ in splits.values()}):
        return _in_splits(top, where, splits)
    flat = {split: top.folders[name] for name, split in named.items() if top.folders[name].n_images}
    if len(flat) > 1 and "train" in flat and not splits:
        return Shelves(top, flat=flat)
    return _with_splits_below(top, where) or _without_splits(top, where)


def _in_splits(top: Tree, where: str, splits: Mapping[str, tuple[str, Tree]]) -> Shelves:
    above, splits = splits, _looked_into(splits)
    beside = [folder for folder in top.folders.values() if folder.name not in splits]
    classes = {one_name(name).lower() for _, folder in splits.values() for name in folder.folders}
    doubts.refuse_class_called_train(where, splits, beside, classes)
    doubts.refuse_several(where, splits)
    warnings = [*_not_used(beside, splits, classes), *_read_as(splits)]
    inside = [folder.path for name, (_, folder) in splits.items() if folder is not above[name][1]]
    if inside:
        warnings.append(f"the classes are the folders in {listed(inside)}")
    shelves = []
    for split, folder in splits.values():
        doubts.refuse_versions(folder, where, in_split=True)
        doubts.refuse_repeats(folder, where)
        shelves += [Shelf(each, one_name(each.name), split) for each in folder.useful]
        warnings += folder.said_of_useless()
    around = (top, *(folder for _, folder in splits.values()))
    with_images = [shelf.tree for shelf in shelves if shelf.tree.n_images]
    warnings += [*doubts.splits_below(with_images), *doubts.all_nested(with_images)]
    return Shelves(top, tuple(shelves), around, warnings=tuple(warnings))


def _looked_into(splits: Mapping[str, tuple[str, Tree]]) -> Mapping[str, tuple[str, Tree]]:
    """Return the splits without the folder around all classes of one: train/pets/cat, test/pets/cat or test/all/cat.

    It is one where two splits have the same classes in it, or beside it; or if it were the only class, of which nothing
    can be learned. Without train there may well be one, to judge a network on.
    """
    below = {name: (split, folder.sole()) for name, (split, folder) in splits.items()}
    wrapped = [name for name in splits if below[name][1] is not splits[name][1] and len(below[name][1].useful) > 1]
    inner = {**splits, **{name: below[name] for name in wrapped}}
    classes = {name: {one_name(each.name).lower() for each in folder.useful} for name, (_, folder) in inner.items()}
    labels = {one_name(each.name) for _, folder in splits.values() for each in folder.useful}
    if len(labels) == 1 and len(wrapped) == len(splits) and "train" in {split for split, _ in splits.values()}:
        return inner
    agree = [
        name
        for name in wrapped
        if any(len(classes[name] & each) > 1 for other, each in classes.items() if other != name)
    ]
    return {**splits, **{name: below[name] for name in agree}}


def _not_used(beside: list[Tree], splits: Iterable[str], classes: set[str]) -> list[str]:
    warnings = []
    if beside:
        warnings.append(f"ignored {listed(folder.name for folder in beside)} beside {listed(splits)}")
    alike = [folder.name for folder in beside if doubts.shares(classes, folder)]
    if alike:
        warnings.append(f"{listed(alike)} has the same class folders; if it is a split, call it train, val or test")
    unused = [folder for folder in beside if folder.n_images and folder.name not in alike]
    if unused:
        n = sum(folder.n_images for folder in unused)
        flat = not any(folder.inside().useful for folder in unused)
        # Those that are called otherwise may well be class folders, of no split.
        is_why = flat and any(split_of(folder.name) for folder in unused)
        why = ", since they lie in no class folder" if is_why else ""
        warnings.append(f"the {n} images in {listed(folder.name for folder in unused)} are not used{why}")
    return warnings


def _read_as(splits: Mapping[str, tuple[str, Tree]]) -> list[str]:
    """Return a line on splits that are called otherwise, or are more than one folder."""
    by_split = defaultdict(list)
    for name, (split, _) in splits.items():
        by_split[split].append(name)
    said = [
        f"{listed(by_split[split])} as {split}"
        for split in SPLITS
        if len(by_split[split]) > 1 or any(name.lower() not in SPLIT_NAMES for name in by_split[split])
    ]
    return [f"read {'; '.join(said)}"] if said else []


def _with_splits_below(top: Tree, where: str) -> Shelves | None:
    """Understand class folders that hold splits: cat/train, cat/test, dog/train, dog/test."""
    classes = top.with_images
    below = {folder: [each for each in folder.with_images if split_of(each.name)] for folder in classes}
    with_splits = [folder for folder in classes if below[folder]]
    found = {split_of(each.name) for folder in with_splits for each in below[folder]}
    if len(classes) < 2 or 2 * len(with_splits) <= len(classes):
        return None
    doubts.refuse_sets(where, below)
    doubts.refuse_outside_splits(where, below)
    shelves = [Shelf(each, one_name(folder.name), split_of(each.name)) for folder in classes for each in below[folder]]
    shelves += [Shelf(folder, one_name(folder.name), None) for folder in top.useful if not folder.n_images]
    named = " and ".join(split for split in SPLITS if split in found)
    warning = f"read the folders {named} in each class folder as splits, such as {shown(shelves[0].tree.path)}"
    return Shelves(top, tuple(shelves), warnings=(warning, *top.said_of_useless()))


def _without_splits(top: Tree, where: str) -> Shelves:
    doubts.refuse_sets(
        where, {folder: [each for each in folder.sole().useful if split_of(each.name)] for folder in top.with_images}
    )
    doubts.refuse_split_names(top, where)
    doubts.refuse_versions(top, where)
    doubts.refuse_repeats(top, where)
    shelves = tuple(Shelf(folder, one_name(folder.name), None) for folder in top.useful)
    classes = top.with_images
    warnings = [*top.said_of_useless(), *doubts.called_as_splits(top)]
    warnings += [*doubts.splits_below(classes), *doubts.all_nested(classes)]
    return Shelves(top, shelves, (top,), warnings=tuple(warnings))
