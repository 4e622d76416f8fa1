"""What folder names usually mean: splits, images, masks, and the files that systems and tools leave behind."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

_SPLITS = {
    "train": ("train", "training", "trainval"),
    # Not "eval": in some data sets it is the test split, in others the validation split.
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
_WORDS_FOR_IMAGES = frozenset(
    {"image", "images", "img", "imgs", "pic", "pics", "picture", "pictures", "photo", "photos"}
)
# Words without meaning beside the name of a split: test_set, seg_train, training images, TrainData. Years and small
# numbers have none either: train2017, test1.
_FILLERS = _WORDS_FOR_IMAGES | {"set", "sets", "data", "dataset", "split", "folder", "dir", "seg"}
_IMAGES = _WORDS_FOR_IMAGES | {"jpg", "jpeg", "png", "jpegimages", "rgb", "original", "originals"}
# Masks belong to the images beside them. A mask folder inside a class folder holds no more images of the class.
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
    """Return the split that a folder, a cell of a table or a split of the hub is named after; None if there is none."""
    split, rest = _split_and_rest(name)
    return split if not rest else None


def find_splits(names: Iterable[str]) -> dict[str, str]:
    """Return the names that are splits, each with its split, among the folder names in one place.

    Splits may share other words: fruit_train and fruit_test are train and test of one set. cat_train and dog_test are
    not splits, because their other words differ.
    """
    names = list(names)
    splits = {name: split for name in names if (split := split_of(name))}
    if splits:
        return splits
    by_rest = splits_by_other_words(names)
    (found,) = by_rest.values() if len(by_rest) == 1 else ({},)
    return found if len(set(found.values())) > 1 and "train" in found.values() else {}


def splits_by_other_words(names: Iterable[str]) -> dict[tuple[str, ...], dict[str, str]]:
    """Group the names that hold a split and other words by these words: ("cat",) for cat_train and cat_test."""
    found: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        split, rest = _split_and_rest(name)
        if split and rest:
            found[rest][name] = split
    return dict(found)


def _split_and_rest(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the split in a name and its other words, without filler words."""
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
    """Return whether a folder's name says nothing about its images, such as images, data or dataset."""
    words = _words(name)
    return bool(words) and set(words) <= _FILLERS | _IMAGES  # a class may be named "+", which has no words


def is_image_folder(name: str) -> bool:
    """Return whether a folder's name means "images", such as images beside masks."""
    words = _words(name)
    return bool(words) and set(words) <= _IMAGES


def is_annotation_folder(name: str) -> bool:
    """Return whether a folder beside an image folder holds masks or other annotations."""
    words = _words(name)
    return bool(_ANNOTATIONS.intersection(words)) or "".join(words) in _MASKS


def is_mask_or_thumbnail_folder(name: str) -> bool:
    """Return whether a folder inside a class folder holds masks, annotations or thumbnails."""
    words = set(_words(name)) - _FILLERS - _IMAGES
    return (bool(words) and words <= _MASKS | _THUMBNAILS) or "".join(_words(name)) in _MASKS


def image_of_mask(stem: str) -> str | None:
    """Return the stem of the image that a file with this stem is a mask of: "a" for "a_mask"."""
    match = _MASK_OF.fullmatch(stem)
    return match and match[1]


def is_hidden_or_system(name: str) -> bool:
    """Return whether a file or a folder is hidden, or was left behind by a system or a tool."""
    return name.startswith((".", "~$")) or name.lower() in _LEFT_BEHIND


def nfc(name: str) -> str:
    """Return a name in Unicode's NFC form, in which a letter and its accent are one character."""
    return unicodedata.normalize("NFC", name)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(nfc(name))]
