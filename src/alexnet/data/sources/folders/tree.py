"""A container's folders as a tree, with the number of images below each."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from alexnet.data.sources.container import Names
from alexnet.data.sources.vocabulary import is_annotation_folder, is_filler, is_image_folder, nfc, split_of
from alexnet.errors import shown
from alexnet.files.paths import natural_key


@dataclass(eq=False)
class Tree:
    """A folder.

    Attributes:
        path: its path in the container; empty for the container itself.
        folders: the folders in it, by name, in natural order.
        images: paths of the images directly in it.
        others: paths of the other files directly in it.
        n_images: number of images in it and below.
        n_files: number of files in it and below, images too.
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
    def candidates(self) -> list["Tree"]:
        """The folders in it that can be classes: they hold images, or no files yet."""
        return [folder for folder in self.folders.values() if folder.n_images or not folder.n_files]

    @property
    def with_images(self) -> list["Tree"]:
        """The folders in it that hold images, directly or below."""
        return [folder for folder in self.folders.values() if folder.n_images]

    def ignored_warnings(self) -> list[str]:
        """Return a warning for each folder in it that holds files but no images."""
        ignored = (folder for folder in self.folders.values() if folder.n_files and not folder.n_images)
        return [f"ignored {shown(each.path)}: it holds {each.n_files} files but no images" for each in ignored]

    def walk(self) -> Iterator["Tree"]:
        """Yield it and all folders below, a folder before the folders in it."""
        left = [self]
        while left:
            folder = left.pop()
            yield folder
            left.extend(folder.folders.values())

    def skip_wrappers(self) -> "Tree":
        """Follow folders that hold only one folder, which is not a split; return the last one."""
        folder = self
        while len(folder.candidates) == 1 and not folder.images:
            below = folder.candidates[0]
            if not below.candidates or split_of(below.name):
                break
            folder = below
        return folder

    def skip_fillers(self, split: str | None = None) -> "Tree":
        """Follow folders that hold only one folder of the same or a filler name, such as train/train or train/images.

        Args:
            split: the split that this folder is, if its name alone does not say it.
        """
        split = split or split_of(self.name)
        folder = self
        while len(folder.candidates) == 1 and not folder.images:
            below = folder.candidates[0]
            is_same = nfc(below.name).lower() == nfc(folder.name).lower()
            is_same |= split is not None and split_of(below.name) == split
            holds_more = below.candidates or (below.images and (is_same or is_image_folder(below.name)))
            if not holds_more or not (is_same or is_filler(below.name)):
                break
            folder = below
        return folder


def build_tree(names: Names, images: Set[str]) -> tuple[Tree, list[Tree]]:
    """Return the tree of a container's folders, and the annotation folders that were removed from it.

    Args:
        names: the container's files and folders.
        images: the files that are images.
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
    """Remove and yield folders of masks and other annotations that lie beside an image folder."""
    if any(is_image_folder(name) for name in around.folders):
        for name in [name for name in around.folders if is_annotation_folder(name)]:
            dropped = around.folders.pop(name)
            _count(dropped)
            yield dropped


def _count(tree: Tree) -> None:
    for folder in reversed(list(tree.walk())):
        inside = folder.folders.values()
        folder.n_images = len(folder.images) + sum(each.n_images for each in inside)
        folder.n_files = len(folder.images) + len(folder.others) + sum(each.n_files for each in inside)
