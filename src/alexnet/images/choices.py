"""What a user may choose about images. Nothing heavy is imported, so that the command line can list it at once."""

from typing import Literal

Resize = Literal["squash", "crop", "pad"]
"""How an image is made square: ``preprocessing.fit`` does it."""

# Pillow's own limit, about 179 million: anything larger claims more memory than an image needs.
MAX_PIXELS = 2 * (1 << 30) // 12
