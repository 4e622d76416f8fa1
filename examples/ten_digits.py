"""Show ten test images of a run on digits, write them as PNG files, and print what the network predicts.

python examples/ten_digits.py RUN FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import alexnet
from alexnet.data.record import SPLITS_FILE, read_splits
from alexnet.data.sources.open import open_source
from alexnet.images.decoding import decode

SHADES = " ░▒▓█"
PER_ROW = 5
# The set's 8x8 images are stored four times as large.
ENLARGED = 4


def rows_of_text(digit: np.ndarray) -> list[str]:
    """Return a digit as eight lines of 16 characters: two for each pixel, as characters are high."""
    levels = digit[::ENLARGED, ::ENLARGED, 0].astype(int) * len(SHADES) // 256
    return ["".join(2 * SHADES[level] for level in row) for row in levels]


run, folder = Path(sys.argv[1]), Path(sys.argv[2])
source = open_source("set:digits")
never_seen = {row.path for row in read_splits(run / SPLITS_FILE) if row.split == "test"}
digits = []
folder.mkdir(parents=True, exist_ok=True)
for label in source.classes:
    image = next(each for each in source.images if each.label == label and each.path in never_seen)
    ((_, read),) = source.reader.each([image.path])
    digits.append(decode(read()))
    Image.fromarray(digits[-1]).save(folder / f"a_{label}.png")

classifier = alexnet.load(run)
predicted = [result.predictions[0] for result in classifier.predict(folder)]
print("Ten digits that the network has never seen, and what it predicts:\n")
for first in range(0, len(digits), PER_ROW):
    row = slice(first, first + PER_ROW)
    for parts in zip(*map(rows_of_text, digits[row]), strict=True):
        print("".join(parts).rstrip())
    print("".join(f"{f'{each.label} ({each.probability:.0%})':^16}" for each in predicted[row]).rstrip() + "\n")
print(f"To look at in a browser: {run / 'report.html'}\n")
print("Now your own images, in a folder with one folder of images per class:\n")
print("  .venv/bin/alexnet check FOLDER")
print("  .venv/bin/alexnet train FOLDER --out runs/mine --time-limit 10m")
print("  .venv/bin/alexnet evaluate runs/mine")
print("  .venv/bin/alexnet predict runs/mine IMAGE")
