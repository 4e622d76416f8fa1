"""Makes folders from a line of text, for tests of how they are read."""

from collections import Counter
from pathlib import Path

from PIL import Image

from alexnet.data.source import Source


def make_tree(root: Path, spec: str) -> Path:
    """Make folders with two images each. A name with a dot is one file, a name that ends with "/" an empty folder.

    No two images are the same. "~" stands for a space.
    """
    for number, part in enumerate(spec.split()):
        place = root / part.replace("~", " ")
        if part.endswith("/"):
            place.mkdir(parents=True)
            continue
        for file in [place] if place.suffix else [place / "0.png", place / "1.png"]:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix in (".png", ".jpg"):
                Image.new("RGB", (8, 8), (number, len(file.stem), int(file.stem == "1"))).save(file)
            else:
                file.write_text("some text")
    return root


def counts(source: Source) -> dict[str | None, dict[str, int]]:
    """Return how many images of each class each split has."""
    pairs = Counter((image.split, image.label) for image in source.images)
    splits = dict.fromkeys(split for split, _ in pairs)
    return {split: {label: n for (each, label), n in pairs.items() if each == split} for split in splits}
