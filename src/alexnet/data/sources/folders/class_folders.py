"""Finds the folders of a tree that are splits, and those that are classes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from alexnet.data.source import SPLIT_NAMES, SPLITS
from alexnet.data.sources.folders import doubts
from alexnet.data.sources.folders.tree import Tree
from alexnet.data.sources.vocabulary import find_splits, is_filler, nfc, split_of
from alexnet.errors import listed, shown


@dataclass(frozen=True)
class ClassFolder:
    """A folder of one class: all images in it and below have its label."""

    tree: Tree
    label: str
    split: str | None


@dataclass(frozen=True)
class ClassFolders:
    """The class folders of a tree.

    Attributes:
        top: the folder in which splits or classes were found.
        class_folders: the class folders of all splits.
        around: the folders that hold the class folders.
        flat: by split, the split folders with images but without class folders.
        warnings: what a user should know, one line each.
    """

    top: Tree
    class_folders: tuple[ClassFolder, ...] = ()
    around: tuple[Tree, ...] = ()
    flat: Mapping[str, Tree] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def find_top(tree: Tree, *, stop: Iterable[str] = ()) -> Tree:
    """Skip folders that hold only one folder, which most archives have at the top; return the first with more.

    Args:
        tree: the whole tree.
        stop: paths of folders below which it does not look.
    """
    top = tree
    while top.path not in stop and not top.images:
        inside = top.candidates
        if len(inside) > 1:  # empty folders may be future classes, but not beside a folder named data
            inside = [folder for folder in top.with_images if is_filler(folder.name)]
            inside = inside if len(top.with_images) == 1 else []
        # A folder of splits may have only one split.
        if len(inside) != 1 or split_of(inside[0].name) or not (inside[0].candidates or inside[0].path in stop):
            break
        top = inside[0]
    return top


def find_class_folders(top: Tree, where: str) -> ClassFolders:
    """Find the class folders in a folder.

    Args:
        top: the folder, as ``find_top`` returned it.
        where: the user's name for the container.

    Raises:
        DataError: the folders are ambiguous; the message says what to give instead.
    """
    named = find_splits(folder.name for folder in top.candidates)
    # A class may be named "train" or "test", but then it holds no folders.
    splits = {
        name: (split, inside)
        for name, split in named.items()
        if (inside := top.folders[name].skip_fillers(split)).candidates
    }
    if splits and (len(splits) == len(top.candidates) or "train" in {split for split, _ in splits.values()}):
        return _read_splits(top, where, splits)
    flat = {split: top.folders[name] for name, split in named.items() if top.folders[name].n_images}
    if len(flat) > 1 and "train" in flat and not splits:
        return ClassFolders(top, flat=flat)
    return _read_splits_in_classes(top, where) or _read_classes(top, where)


def _read_splits(top: Tree, where: str, splits: Mapping[str, tuple[str, Tree]]) -> ClassFolders:
    above, splits = splits, _skip_wrappers(splits)
    beside = [folder for folder in top.folders.values() if folder.name not in splits]
    classes = {nfc(name).lower() for _, folder in splits.values() for name in folder.folders}
    doubts.refuse_lone_split(where, splits, beside, classes)
    doubts.refuse_folds(where, splits)
    warnings = [*_unused_warnings(beside, splits, classes), *_renamed_splits(splits)]
    inside = [folder.path for name, (_, folder) in splits.items() if folder is not above[name][1]]
    if inside:
        warnings.append(f"the classes are the folders in {listed(inside)}")
    class_folders = []
    for split, folder in splits.values():
        doubts.refuse_versions(folder, where, in_split=True)
        doubts.refuse_repeated_names(folder, where)
        class_folders += [ClassFolder(each, nfc(each.name), split) for each in folder.candidates]
        warnings += folder.ignored_warnings()
    around = (top, *(folder for _, folder in splits.values()))
    with_images = [class_folder.tree for class_folder in class_folders if class_folder.tree.n_images]
    warnings += [*doubts.split_names_below(with_images), *doubts.nested_images(with_images)]
    return ClassFolders(top, tuple(class_folders), around, warnings=tuple(warnings))


def _skip_wrappers(splits: Mapping[str, tuple[str, Tree]]) -> Mapping[str, tuple[str, Tree]]:
    """Skip a folder around all classes of a split: train/pets/cat, test/pets/cat or test/all/cat.

    The folder is skipped if the classes in it are those of another split, or if it would be the only class of data with
    ``train``: one class cannot be learned. Without ``train`` one class is possible, to evaluate a network on.
    """
    below = {name: (split, folder.skip_wrappers()) for name, (split, folder) in splits.items()}
    wrapped = [name for name in splits if below[name][1] is not splits[name][1] and len(below[name][1].candidates) > 1]
    inner = {**splits, **{name: below[name] for name in wrapped}}
    classes = {name: {nfc(each.name).lower() for each in folder.candidates} for name, (_, folder) in inner.items()}
    labels = {nfc(each.name) for _, folder in splits.values() for each in folder.candidates}
    if len(labels) == 1 and len(wrapped) == len(splits) and "train" in {split for split, _ in splits.values()}:
        return inner
    agree = [
        name
        for name in wrapped
        if any(len(classes[name] & each) > 1 for other, each in classes.items() if other != name)
    ]
    return {**splits, **{name: below[name] for name in agree}}


def _unused_warnings(beside: list[Tree], splits: Iterable[str], classes: set[str]) -> list[str]:
    warnings = []
    if beside:
        warnings.append(f"ignored {listed(folder.name for folder in beside)} beside {listed(splits)}")
    same = [folder.name for folder in beside if doubts.has_same_classes(classes, folder)]
    if same:
        warnings.append(f"{listed(same)} has the same class folders; if it is a split, name it train, val or test")
    unused = [folder for folder in beside if folder.n_images and folder.name not in same]
    if unused:
        n = sum(folder.n_images for folder in unused)
        flat = not any(folder.skip_fillers().candidates for folder in unused)
        # Folders without the name of a split may be class folders.
        is_reason = flat and any(split_of(folder.name) for folder in unused)
        reason = ", because they are not in class folders" if is_reason else ""
        warnings.append(f"the {n} images in {listed(folder.name for folder in unused)} are not used{reason}")
    return warnings


def _renamed_splits(splits: Mapping[str, tuple[str, Tree]]) -> list[str]:
    """Return a warning about splits with other names than ours, or with more than one folder."""
    by_split = defaultdict(list)
    for name, (split, _) in splits.items():
        by_split[split].append(name)
    read = [
        f"{listed(by_split[split])} as {split}"
        for split in SPLITS
        if len(by_split[split]) > 1 or any(name.lower() not in SPLIT_NAMES for name in by_split[split])
    ]
    return [f"read {'; '.join(read)}"] if read else []


def _read_splits_in_classes(top: Tree, where: str) -> ClassFolders | None:
    """Read class folders that hold splits: cat/train, cat/test, dog/train, dog/test."""
    classes = top.with_images
    below = {folder: [each for each in folder.with_images if split_of(each.name)] for folder in classes}
    with_splits = [folder for folder in classes if below[folder]]
    found = {split_of(each.name) for folder in with_splits for each in below[folder]}
    if len(classes) < 2 or 2 * len(with_splits) <= len(classes):
        return None
    doubts.refuse_nested_sets(where, below)
    doubts.refuse_images_outside_splits(where, below)
    class_folders = [
        ClassFolder(each, nfc(folder.name), split_of(each.name)) for folder in classes for each in below[folder]
    ]
    class_folders += [ClassFolder(folder, nfc(folder.name), None) for folder in top.candidates if not folder.n_images]
    named = " and ".join(split for split in SPLITS if split in found)
    warning = f"read the folders {named} in each class folder as splits, such as {shown(class_folders[0].tree.path)}"
    return ClassFolders(top, tuple(class_folders), warnings=(warning, *top.ignored_warnings()))


def _read_classes(top: Tree, where: str) -> ClassFolders:
    doubts.refuse_nested_sets(
        where,
        {
            folder: [each for each in folder.skip_wrappers().candidates if split_of(each.name)]
            for folder in top.with_images
        },
    )
    doubts.refuse_split_names(top, where)
    doubts.refuse_versions(top, where)
    doubts.refuse_repeated_names(top, where)
    class_folders = tuple(ClassFolder(folder, nfc(folder.name), None) for folder in top.candidates)
    classes = top.with_images
    warnings = [*top.ignored_warnings(), *doubts.named_like_splits(top)]
    warnings += [*doubts.split_names_below(classes), *doubts.nested_images(classes)]
    return ClassFolders(top, class_folders, (top,), warnings=tuple(warnings))
