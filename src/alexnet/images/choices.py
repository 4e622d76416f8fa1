"""What a user may choose about pictures. Nothing heavy is imported, so that the command line can list it at once."""

from typing import Literal

Resize = Literal["squash", "crop", "pad"]
"""How a picture is made square: ``preprocessing.fit`` does it."""

# Pillow's own limit, about 179 million: anything larger claims more memory than a photo needs.
MAX_PIXELS = 2 * (1 << 30) // 12
