"""The folders that names make, and how many images are below each."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from alexnet.data.source import natural_key
from alexnet.data.sources.container import Names
from alexnet.data.sources.vocabulary import holds_annotations, holds_images, is_filler, one_name, split_of
from alexnet.errors import shown


@dataclass(eq=False)
class Tree:
    """A folder.

    Attributes:
        path: where it is in its container; empty for the container itself.
        folders: those in it, by name, in natural order.
        images: paths of the images that lie in it, not below.
        others: paths of the other files that lie in it.
        n_images: in it and below.
        n_files: in it and below, images too.
    """

    path: str
    folders: dict[str, "Tree"] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    n_images: int = 0
    n_files: int = 0

    @property
    def name(self) -> str:
        """Its own name, without the folders around it."""
        return self.path.rpartition("/")[2]

    @property
    def useful(self) -> list["Tree"]:
        """The folders in it that hold images, or nothing yet."""
        return [folder for folder in self.folders.values() if folder.n_images or not folder.n_files]

    @property
    def with_images(self) -> list["Tree"]:
        """The folders in it that hold images, in themselves or below."""
        return [folder for folder in self.folders.values() if folder.n_images]

    def said_of_useless(self) -> list[str]:
        """Return a line for each folder in it that holds files, none of which is an image."""
        useless = (folder for folder in self.folders.values() if folder.n_files and not folder.n_images)
        return [f"ignored {shown(each.path)}: {each.n_files} files in it, and no images" for each in useless]

    def walk(self) -> Iterator["Tree"]:
        """Yield it and all folders below, each before those in it."""
        left = [self]
        while left:
            folder = left.pop()
            yield folder
            left.extend(folder.folders.values())

    def sole(self) -> "Tree":
        """Return the folder in which all is, where each on the way holds just one that is no split."""
        folder = self
        while len(folder.useful) == 1 and not folder.images:
            below = folder.useful[0]
            if not below.useful or split_of(below.name):
                break
            folder = below
        return folder

    def inside(self, split: str | None = None) -> "Tree":
        """Return the folder that holds more than one other: train/train and train/images are no class of train.

        Args:
            split: which it is, where more than its own name says so.
        """
        split = split or split_of(self.name)
        folder = self
        while len(folder.useful) == 1 and not folder.images:
            below = folder.useful[0]
            is_same = one_name(below.name).lower() == one_name(folder.name).lower()
            is_same |= split is not None and split_of(below.name) == split
            holds_more = below.useful or (below.images and (is_same or holds_images(below.name)))
            if not holds_more or not (is_same or is_filler(below.name)):
                break
            folder = below
        return folder


def grow(names: Names, images: Set[str]) -> tuple[Tree, list[Tree]]:
    """Return the tree of what a container holds, and what was taken out of it: annotations beside images.

    Args:
        names: of its files and folders.
        images: the files among them that are images.
    """
    trees = {path: Tree(path) for path in ("", *sorted(names.folders, key=natural_key))}
    for path in names.files:
        folder = trees[path.rpartition("/")[0]]
        (folder.images if path in images else folder.others).append(path)
    for path, folder in trees.items():
        if path:
            trees[path.rpartition("/")[0]].folders[folder.name] = folder
    annotations = [folder for around in trees[""].walk() for folder in _annotations_in(around)]
    _count(trees[""])
    return trees[""], annotations


def _annotations_in(around: Tree) -> Iterator[Tree]:
    """Take folders of masks and the like out of one that also holds a folder of images."""
    if any(holds_images(name) for name in around.folders):
        for name in [name for name in around.folders if holds_annotations(name)]:
            dropped = around.folders.pop(name)
            _count(dropped)
            yield dropped


def _count(tree: Tree) -> None:
    for folder in reversed(list(tree.walk())):
        inside = folder.folders.values()
        folder.n_images = len(folder.images) + sum(each.n_images for each in inside)
        folder.n_files = len(folder.images) + len(folder.others) + sum(each.n_files for each in inside)
