"""Options for images. Nothing heavy is imported here, since the command line needs them at once."""

from typing import Literal

Resize = Literal["squash", "crop", "pad"]
"""How an image is made square: see ``preprocessing.fit``."""

# Pillow's own limit, about 179 million pixels. A larger image may be an attack on the memory.
MAX_PIXELS = 2 * (1 << 30) // 12
