"""Checks for ambiguous folders: an error if a wrong guess would stay unnoticed, else a warning."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from alexnet.data.sources.folders.archive import what_to_give
from alexnet.data.sources.folders.tree import Tree
from alexnet.data.sources.vocabulary import is_mask_or_thumbnail_folder, nfc, split_of, splits_by_other_words
from alexnet.errors import DataError, listed, shown
from alexnet.files.paths import natural_key


def refuse_lone_split(
    where: str, splits: Mapping[str, tuple[str, Tree]], beside: Sequence[Tree], classes: set[str]
) -> None:
    """Refuse a single split beside folders of images: it may be a class of that name, with folders in it."""
    folders_of_images = [
        folder.name
        for folder in beside
        if folder.n_images and not split_of(folder.name) and not has_same_classes(classes, folder)
    ]
    if len(splits) == 1 and len(folders_of_images) > 1:
        name = next(iter(splits))
        raise DataError(
            f"{where!r} has the folder {shown(name)} with folders in it beside images in {listed(folders_of_images)}; "
            f"if it is a split, give {what_to_give(where, splits[name][1].path)}; if it is a class, put its images "
            "directly into it"
        )


def refuse_folds(where: str, splits: Mapping[str, tuple[str, Tree]]) -> None:
    """Refuse several numbered folders of one split, such as folds of a cross-validation: val1 may be part of train2."""
    for split in ("train", "val", "test"):
        names = [name for name, (each, _) in splits.items() if each == split]
        if len(names) > 1 and any(re.search(r"\d", name) for name in names):
            raise DataError(
                f"{where!r} has {len(names)} folders that are {split}: {listed(names)}; put one folder of each split "
                "into a new folder, and give that"
            )


def refuse_nested_sets(where: str, splits: Mapping[Tree, Sequence[Tree]]) -> None:
    """Refuse folders that hold splits with class folders: each is a data set of its own.

    Args:
        where: the user's name for the container.
        splits: the folders, each with the folders in it that are named like splits.
    """
    sets = [
        folder for folder, below in splits.items() if any(len(each.skip_fillers().candidates) > 1 for each in below)
    ]
    if sets:
        what = "each with its own splits and classes" if len(sets) > 1 else "which has its own splits and classes"
        names = listed(folder.name for folder in sets)
        raise DataError(f"{where!r} holds {names}, {what}; give {what_to_give(where, sets[0].path)}")


def refuse_images_outside_splits(where: str, splits: Mapping[Tree, Sequence[Tree]]) -> None:
    """Refuse class folders that hold splits if some images are outside these splits.

    Args:
        where: the user's name for the container.
        splits: the class folders, each with its splits.
    """
    outside = [folder.name for folder in splits if folder.images or _has_more_than_splits(folder)]
    if outside:
        example = next(below[0].path for below in splits.values() if below)
        raise DataError(
            f"{where!r} has splits in class folders, such as {shown(example)}, but images in {listed(outside)} are "
            "outside splits; move them into splits too"
        )


def _has_more_than_splits(folder: Tree) -> bool:
    return any(not split_of(each.name) and not is_mask_or_thumbnail_folder(each.name) for each in folder.with_images)


def refuse_split_names(top: Tree, where: str) -> None:
    """Refuse class folders that are named like splits: cat_train and cat_test, or validation beside cat and dog."""
    by_class = splits_by_other_words(folder.name for folder in top.with_images)
    split = [names for names in by_class.values() if len(set(names.values())) > 1]
    if split:
        raise DataError(
            f"{where!r} has folders that are named after a class and a split ({listed(split[0])}); put the images "
            "of each class into folders train/CLASS and test/CLASS"
        )
    classes = [folder.name for folder in top.with_images if not split_of(folder.name)]
    # "train" and "test" may be the names of classes. Other words for splits rarely are.
    splits = [each.name for each in top.with_images if split_of(each.name) not in (None, each.name.lower())]
    if len(classes) > 1 and splits:
        raise DataError(
            f"{where!r} has {listed(splits)} beside the class folders {listed(classes, 3)}; if it is a split, put "
            "class folders into it and into a folder named train; if not, rename it"
        )


def refuse_versions(top: Tree, where: str, *, in_split: bool = False) -> None:
    """Refuse folders that all hold the same folders: color/cat, color/dog, grey/cat, grey/dog.

    Args:
        top: the folder that holds them.
        where: the user's name for the container.
        in_split: whether ``top`` is a split. Then the user cannot give one of them: the other splits would be missing.
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
        # Numbered folders in each class are years or cameras. In numbered patients, 0 and 1 may be the classes.
        if _are_numbered(shared) and not _are_numbered({each.name for each in below}):
            continue
        versions = [each.path if in_split else each.name for each in below if len(below[each] & shared) > 1]
        way_out = f"give one of these, such as {what_to_give(where, other.path)}"
        if in_split:
            way_out = f"move them from one of these directly into {shown(top.path)}"
        raise DataError(
            f"{where!r} has the same folders ({listed(sorted(shared, key=natural_key), 3)}) in each of "
            f"{listed(versions, 3)}; if they are the classes, {way_out}; if not, put the images directly into their "
            "class folders"
        )


def refuse_repeated_names(top: Tree, where: str) -> None:
    """Refuse a folder that holds folders with the names of those beside it: cat, dog, test/cat, test/dog."""
    names = {nfc(folder.name).lower() for folder in top.folders.values()}
    for folder in top.with_images:
        shared = names & _names_below(folder) - {nfc(folder.name).lower()}
        if len(shared) > 1:
            split = split_of(folder.name)
            way_out = f"move it away, or give {what_to_give(where, folder.path)}"
            if split:
                way_out = f"put the class folders into a folder named {'test' if split == 'train' else 'train'}"
            raise DataError(
                f"{where!r} has {shown(folder.path)} beside class folders, and folders of the same names in it "
                f"({listed(sorted(shared, key=natural_key), 3)}); {way_out}"
            )


def named_like_splits(top: Tree) -> list[str]:
    """Return a warning for each class that is named like a split."""
    return [
        f"{shown(each.name)} is read as a class; if it is a split, put its images into one folder for each class"
        for each in top.candidates
        if split_of(each.name)
    ]


def split_names_below(classes: Iterable[Tree]) -> list[str]:
    """Return a warning about folders inside class folders that are named like splits."""
    below = [each for folder in classes for each in folder.walk() if each is not folder and each.n_images]
    below = [each for each in below if split_of(each.name)]
    if not below:
        return []
    what = f"images in {listed(each.path for each in below)} are read as part of their class, not as splits"
    return [f"{what}; for splits, all class folders must hold the same ones"]


def nested_images(classes: Sequence[Tree]) -> list[str]:
    """Return a warning if all images are in folders inside the class folders, which may be the real classes."""
    if not classes or any(folder.skip_fillers().images for folder in classes):
        return []
    below = {each.name: None for folder in classes for each in folder.skip_fillers().with_images}
    names = listed(dict.fromkeys(folder.name for folder in classes), 3)
    return [f"the classes are {names}; the folders in them ({listed(below, 3)}) are not read as classes"]


def has_same_classes(classes: set[str], folder: Tree) -> bool:
    """Return whether a folder holds at least two, or all, of these classes; names in lower case."""
    return len(classes & _names_below(folder)) >= min(2, len(classes))


def _names_below(folder: Tree) -> set[str]:
    return {nfc(each.name).lower() for each in folder.skip_fillers().with_images}


def _are_numbered(names: set[str]) -> bool:
    """Return whether names differ only in their numbers, as years, cameras and sessions do."""
    return len({re.sub(r"\d+", "", name) for name in names}) == 1
