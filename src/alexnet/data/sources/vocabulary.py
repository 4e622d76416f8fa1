"""What the names of folders say by custom: splits, and what systems and tools leave behind."""

import re
import unicodedata

_SPLITS = {
    "train": ("train", "training", "trainval"),
    # Not "eval": one set calls its test pictures so, another those of val.
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
# Words that say nothing beside that of a split, as in test_set, seg_train, training images and TrainData; nor do years.
_FILLERS = frozenset(
    {"set", "sets", "data", "dataset", "split", "folder", "dir", "seg", "image", "images", "img", "imgs", "pic", "pics"}
    | {"picture", "pictures", "photo", "photos"}
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_YEAR = re.compile(r"(19|20)\d\d")
_GLUED = re.compile(rf"({'|'.join(_SPLIT_OF)})({'|'.join(_FILLERS)})")

# Folders and files that systems, network drives and tools leave behind; hidden ones begin with a dot.
_LEFT_BEHIND = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__"}
    | {"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "$recycle.bin", "recycler", "recycled"}
    | {"system volume information", "lost+found", "network trash folder", "temporary items", "thumbnails", "_thumbs"}
)


def split_of(name: str) -> str | None:
    """Return which split a folder, a word in a table or a split of the hub is called after; None where after none."""
    words = [word.lower() for word in _WORDS.findall(one_name(name))]
    if len(words) == 1 and (glued := _GLUED.fullmatch(words[0])):
        words = [glued[1]]
    said = [word for word in words if word not in _FILLERS and not _YEAR.fullmatch(word)]
    return _SPLIT_OF.get(said[0]) if len(said) == 1 else None


def is_left_behind(name: str) -> bool:
    """Return whether a file or a folder is hidden, or one that a system or a tool has left behind."""
    return name.startswith((".", "~$")) or name.lower() in _LEFT_BEHIND


def one_name(name: str) -> str:
    """Return a name as it is compared: a letter and its accent as one, whichever system wrote it."""
    return unicodedata.normalize("NFC", name)
