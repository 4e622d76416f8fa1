"""Folders that can be understood in more than one way: refused where one way would be wrong without a word, or said."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from alexnet.data.source import natural_key
from alexnet.data.sources.folders.archive import to_give
from alexnet.data.sources.folders.tree import Tree
from alexnet.data.sources.vocabulary import by_shared_words, is_no_part_of_class, one_name, split_of
from alexnet.errors import DataError, listed, shown


def refuse_class_called_train(
    where: str, splits: Mapping[str, tuple[str, Tree]], beside: Sequence[Tree], classes: set[str]
) -> None:
    """Refuse a lone split beside folders of images: it may be a class of that name, in folders of its own."""
    folders_of_images = [
        folder.name
        for folder in beside
        if folder.n_images and not split_of(folder.name) and not shares(classes, folder)
    ]
    if len(splits) == 1 and len(folders_of_images) > 1:
        name = next(iter(splits))
        raise DataError(
            f"{where!r} has the folder {shown(name)} of folders beside images in {listed(folders_of_images)}; if it is "
            f"a split, give {to_give(where, splits[name][1].path)}; if it is a class, put its images directly into it"
        )


def refuse_several(where: str, splits: Mapping[str, tuple[str, Tree]]) -> None:
    """Refuse numbered folders of one split, as of the folds of a cross-validation: val1 may well be in train2."""
    for split in ("train", "val", "test"):
        names = [name for name, (each, _) in splits.items() if each == split]
        if len(names) > 1 and any(re.search(r"\d", name) for name in names):
            raise DataError(
                f"{where!r} has {len(names)} folders that are {split}: {listed(names)}; put one of each split into a "
                "folder of its own, and give that"
            )


def refuse_sets(where: str, splits: Mapping[Tree, Sequence[Tree]]) -> None:
    """Refuse folders that hold splits of class folders: each is a set of its own.

    Args:
        where: what the user calls what holds them.
        splits: the folders, each with those in it that are called as splits.
    """
    sets = [folder for folder, below in splits.items() if any(len(each.inside().useful) > 1 for each in below)]
    if sets:
        what = "each with splits and classes of its own" if len(sets) > 1 else "which has splits and classes of its own"
        raise DataError(
            f"{where!r} holds {listed(folder.name for folder in sets)}, {what}; give {to_give(where, sets[0].path)}"
        )


def refuse_outside_splits(where: str, splits: Mapping[Tree, Sequence[Tree]]) -> None:
    """Refuse class folders that hold splits where some images are in none of them.

    Args:
        where: what the user calls what holds them.
        splits: the class folders, each with its splits.
    """
    outside = [folder.name for folder in splits if folder.images or _has_more_than_splits(folder)]
    if outside:
        example = next(below[0].path for below in splits.values() if below)
        raise DataError(
            f"{where!r} has splits in class folders, such as {shown(example)}, but images in {listed(outside)} that "
            "are in none; move those into splits too"
        )


def _has_more_than_splits(folder: Tree) -> bool:
    return any(not split_of(each.name) and not is_no_part_of_class(each.name) for each in folder.with_images)


def refuse_split_names(top: Tree, where: str) -> None:
    """Refuse classes that are called after splits too: cat_train and cat_test, or validation beside cat and dog."""
    by_class = by_shared_words(folder.name for folder in top.with_images)
    split = [names for names in by_class.values() if len(set(names.values())) > 1]
    if split:
        raise DataError(
            f"{where!r} has folders that are called after a class and a split ({listed(split[0])}); put the images "
            "of each class into folders train/CLASS and test/CLASS"
        )
    classes = [folder.name for folder in top.with_images if not split_of(folder.name)]
    # Things can be called train, and tests can be classes.
    splits = [each.name for each in top.with_images if split_of(each.name) not in (None, each.name.lower())]
    if len(classes) > 1 and splits:
        raise DataError(
            f"{where!r} has {listed(splits)} beside the class folders {listed(classes, 3)}; if it is a split, put "
            "class folders into it and into a folder called train; if not, call it otherwise"
        )


def refuse_versions(top: Tree, where: str, *, in_split: bool = False) -> None:
    """Refuse folders that hold the same folders each: color/cat, color/dog, grey/cat, grey/dog.

    Args:
        top: what holds them.
        where: what the user calls the container.
        in_split: whether it is a split, so that to give one of them would be to give one split.
    """
    below = {folder: _names_below(folder) for folder in top.with_images if not folder.images}
    first_with: dict[str, Tree] = {}
    for folder, names in below.items():
        before = Counter(first_with[name] for name in names if name in first_with)
        first_with |= {name: folder for name in names if name not in first_with}
        other = before.most_common(1)[0][0] if before else folder
        shared = names & below[other]
        if other is folder or len(shared) < 2 or 2 * len(shared) < min(len(names), len(below[other])):
            continue
        # Years or cameras of each class; but of patients that are numbered too, the classes may well be 0 and 1.
        if _are_numbered(shared) and not _are_numbered({each.name for each in below}):
            continue
        versions = [each.path if in_split else each.name for each in below if len(below[each] & shared) > 1]
        way_out = f"give one of these, such as {to_give(where, other.path)}"
        if in_split:
            way_out = f"put those of one of these directly into {shown(top.path)}"
        raise DataError(
            f"{where!r} has the same folders ({listed(sorted(shared, key=natural_key), 3)}) in each of "
            f"{listed(versions, 3)}; if those are the classes, {way_out}; if not, put the images directly into their "
            "class folders"
        )


def refuse_repeats(top: Tree, where: str) -> None:
    """Refuse a folder that holds folders called as those beside it: cat, dog, test/cat, test/dog."""
    names = {one_name(folder.name).lower() for folder in top.folders.values()}
    for folder in top.with_images:
        shared = names & _names_below(folder) - {one_name(folder.name).lower()}
        if len(shared) > 1:
            split = split_of(folder.name)
            way_out = f"move it away, or give {to_give(where, folder.path)}"
            if split:
                way_out = f"put those into a folder called {'test' if split == 'train' else 'train'}"
            raise DataError(
                f"{where!r} has {shown(folder.path)} beside class folders, and folders of the same names in it "
                f"({listed(sorted(shared, key=natural_key), 3)}); {way_out}"
            )


def called_as_splits(top: Tree) -> list[str]:
    """Return a line on each class that is called as a split."""
    return [
        f"{shown(each.name)} is read as a class; if it is a split, put the images of each class in it into a folder"
        for each in top.useful
        if split_of(each.name)
    ]


def splits_below(classes: Iterable[Tree]) -> list[str]:
    """Return a line on folders below those of classes that are called as splits."""
    below = [each for folder in classes for each in folder.walk() if each is not folder and each.n_images]
    below = [each for each in below if split_of(each.name)]
    if not below:
        return []
    what = f"images in {listed(each.path for each in below)} count for their class"
    return [f"{what}, and not as a split; all class folders would need the same splits in them"]


def all_nested(classes: Sequence[Tree]) -> list[str]:
    """Return a line on classes of which all images lie in folders below, which might be the classes instead."""
    if not classes or any(folder.inside().images for folder in classes):
        return []
    below = {each.name: None for folder in classes for each in folder.inside().with_images}
    names = listed(dict.fromkeys(folder.name for folder in classes), 3)
    return [f"the classes are {names}; the folders in them ({listed(below, 3)}) say nothing more"]


def shares(classes: set[str], folder: Tree) -> bool:
    """Return whether a folder holds folders of these names, in lower case: two of them, or all."""
    return len(classes & _names_below(folder)) >= min(2, len(classes))


def _names_below(folder: Tree) -> set[str]:
    return {one_name(each.name).lower() for each in folder.inside().with_images}


def _are_numbered(names: set[str]) -> bool:
    """Whether names are those of years, cameras or sessions, which say nothing of what images show."""
    return len({re.sub(r"\d+", "", name) for name in names}) == 1
