"""Write a few of the digits that a run has never seen as PNG files, to try ``alexnet predict`` on.

python examples/digit_pictures.py RUN FOLDER
"""

import sys
from pathlib import Path

from PIL import Image

from alexnet.data.image import decode
from alexnet.data.sources import open_source
from alexnet.data.split import apply_splits

run, folder = Path(sys.argv[1]), Path(sys.argv[2])
source = apply_splits(open_source("digits"), run / "splits.csv")
folder.mkdir(parents=True, exist_ok=True)
for label in source.classes:
    picture = next(picture for picture in source.in_split("test") if picture.label == label)
    ((_, read),) = source.reader.each([picture.path])
    Image.fromarray(decode(read())).save(folder / f"a_{label}.png")
