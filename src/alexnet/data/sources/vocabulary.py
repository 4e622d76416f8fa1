"""What the names of folders say by custom: splits, images, masks, and what systems and tools leave behind."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_SPLITS = {
    "train": ("train", "training", "trainval"),
    # Not "eval": one set calls its test images so, another those of val.
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
_WORDS_FOR_IMAGES = frozenset(
    {"image", "images", "img", "imgs", "pic", "pics", "picture", "pictures", "photo", "photos"}
)
# Words that say nothing beside that of a split, as in test_set, seg_train, training images and TrainData; nor do
# years and small numbers, as in train2017 and test1.
_FILLERS = _WORDS_FOR_IMAGES | {"set", "sets", "data", "dataset", "split", "folder", "dir", "seg"}
_IMAGES = _WORDS_FOR_IMAGES | {"jpg", "jpeg", "png", "jpegimages", "rgb", "original", "originals"}
# Masks and the like are drawn for images and lie beside them; below a class, such a folder is never more of it.
_MASKS = frozenset(
    {"mask", "masks", "annotation", "annotations", "annot", "groundtruth", "gt", "segmentation", "segmentations"}
)
_ANNOTATIONS = _MASKS | {"label", "labels", "bbox", "bboxes", "box", "boxes"}
_MASK_OF = re.compile(r"(.+?)[ _-](?:mask|seg|segmentation|gt|groundtruth)(?:[ _-]\d+)?", re.IGNORECASE)
_THUMBNAILS = frozenset({"thumb", "thumbs", "thumbnail"})
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_NUMBER = re.compile(r"(19|20)\d\d|\d\d?")
_GLUED = re.compile(rf"({'|'.join(_SPLIT_OF)})({'|'.join(sorted(_FILLERS))})")

# Folders and files that systems, network drives and tools leave behind; hidden ones begin with a dot.
_LEFT_BEHIND = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__"}
    | {"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "$recycle.bin", "recycler", "recycled"}
    | {"system volume information", "lost+found", "network trash folder", "temporary items", "thumbnails", "_thumbs"}
    | {"@tmp", "found.000"}
)


def split_of(name: str) -> str | None:
    """Return which split a folder, a word in a table or a split of the hub is called after; None where after none."""
    split, rest = _split_and_rest(name)
    return split if not rest else None


def splits_among(names: Iterable[str]) -> dict[str, str]:
    """Return which of the names of folders in one place are splits, and which.

    They may share words that say nothing: fruit_train and fruit_test are train and test of one set. Those that do not,
    as cat_train and dog_test, are none.
    """
    names = list(names)
    splits = {name: split for name in names if (split := split_of(name))}
    if splits:
        return splits
    by_rest = by_shared_words(names)
    (found,) = by_rest.values() if len(by_rest) == 1 else ({},)
    return found if len(set(found.values())) > 1 and "train" in found.values() else {}


def by_shared_words(names: Iterable[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """Return which names say a split beside other words, by those words: ("cat",) for cat_train and cat_test."""
    found: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        split, rest = _split_and_rest(name)
        if split and rest:
            found[rest][name] = split
    return dict(found)


def _split_and_rest(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the split that a name says, and its other words; those that say nothing are left out."""
    words = _words(name)
    if len(words) == 1 and (glued := _GLUED.fullmatch(words[0])):
        words = [glued[1]]
    words = [word for word in words if word not in _FILLERS and not _NUMBER.fullmatch(word)]
    splits = [word for word in words if word in _SPLIT_OF]
    if len(splits) != 1:
        return None, tuple(words)
    words.remove(splits[0])
    return _SPLIT_OF[splits[0]], tuple(words)


def is_filler(name: str) -> bool:
    """Return whether a folder's name says nothing of what its images show, as images, data and dataset do."""
    words = _words(name)
    return bool(words) and set(words) <= _FILLERS | _IMAGES  # a class may be called "+"


def holds_images(name: str) -> bool:
    """Return whether a folder is called after the images in it, as images is beside masks."""
    words = _words(name)
    return bool(words) and set(words) <= _IMAGES


def holds_annotations(name: str) -> bool:
    """Return whether a folder beside one of images holds what was drawn or noted for them."""
    words = _words(name)
    return bool(_ANNOTATIONS.intersection(words)) or "".join(words) in _MASKS


def is_no_part_of_class(name: str) -> bool:
    """Return whether a folder below that of a class holds something else: masks, notes or thumbnails."""
    words = set(_words(name)) - _FILLERS - _IMAGES
    return (bool(words) and words <= _MASKS | _THUMBNAILS) or "".join(_words(name)) in _MASKS


def image_of_mask(stem: str) -> str | None:
    """Return the name, without ending, of the image for which a file would be a mask, as "a" for "a_mask"."""
    match = _MASK_OF.fullmatch(stem)
    return match and match[1]


def is_left_behind(name: str) -> bool:
    """Return whether a file or a folder is hidden, or one that a system or a tool has left behind."""
    return name.startswith((".", "~$")) or name.lower() in _LEFT_BEHIND


def one_name(name: str) -> str:
    """Return a name as it is compared: a letter and its accent as one, whichever system wrote it."""
    return unicodedata.normalize("NFC", name)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(one_name(name))]
