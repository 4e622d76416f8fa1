"""Write some test images of a run on digits as PNG files, to try ``alexnet predict``.

python examples/digit_images.py RUN FOLDER
"""

import sys
from pathlib import Path

from PIL import Image

from alexnet.data.record import SPLITS_FILE, read_splits
from alexnet.data.sources.open import open_source
from alexnet.images.decoding import decode

run, folder = Path(sys.argv[1]), Path(sys.argv[2])
source = open_source("set:digits")
never_seen = {row.path for row in read_splits(run / SPLITS_FILE) if row.split == "test"}
folder.mkdir(parents=True, exist_ok=True)
for label in source.classes:
    image = next(each for each in source.images if each.label == label and each.path in never_seen)
    ((_, read),) = source.reader.each([image.path])
    Image.fromarray(decode(read())).save(folder / f"a_{label}.png")
