"""What a user may choose about pictures. Nothing heavy is imported, so that the command line can list it at once."""

from typing import Literal

Resize = Literal["squash", "crop", "pad"]
"""How a picture is made square: ``preprocessing.fit`` does it."""

Crop = Literal["resized", "paper", "whole"]
"""Which windows training sees: ``augment.draw_windows`` draws them."""

# Pillow's own limit, about 179 million: anything larger claims more memory than a photo needs.
MAX_PIXELS = 2 * (1 << 30) // 12
# A server that says nothing for so long says nothing more.
SERVER_SECONDS = 60.0
