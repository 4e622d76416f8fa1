"""What may happen to a training image, as one frozen value; ``augment`` does it."""

from dataclasses import dataclass
from typing import Literal

from alexnet.errors import SettingsError

Crop = Literal["resized", "paper", "whole"]
"""Which windows training sees: ``crops.draw_windows`` draws them."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to a training image.

    Raises:
        SettingsError: a number outside of its range.
    """

    crop: Crop = "resized"
    """``resized``: windows of varied area and aspect. ``paper``: windows of 7/8 of the side (section 4.1).
    ``whole``: the whole image, always."""
    area: tuple[float, float] = (0.35, 1.0)
    """Smallest and largest area of a resized crop, as shares of the image."""
    aspect: float = 4 / 3
    """Resized crops are up to this many times wider than high, or higher than wide."""
    flip: bool = True
    """Whether half of the images are mirrored (section 4.1)."""
    turn: bool = False
    """Whether images are turned by quarters, each way as often: for things seen from above, that have no way up."""
    colour_shift: float = 0.0
    """Spread of the shifts along the principal components of colour; 0.1 in section 4.1."""
    trivial_augment: bool = False
    """Whether each image goes through one random operation of TrivialAugment (Mueller and Hutter, 2021)."""
    erasing: float = 0.0
    """Share of images of which a rectangle is erased (Zhong and others, 2017)."""
    mixup: float = 0.0
    """Alpha of mixup (Zhang and others, 2017): images are blended in pairs, and so are their labels."""
    cutmix: float = 0.0
    """Alpha of cutmix (Yun and others, 2019): a rectangle comes from another image, and its label with it."""

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise SettingsError(f"crop area is {self.area}; it must rise from above 0 to at most 1")
        if not 0 < self.aspect < float("inf"):
            raise SettingsError(f"crop aspect is {self.aspect}; it must be a number above 0")
        if not 0 <= self.erasing <= 1:
            raise SettingsError(f"erasing is {self.erasing}; it is a share of the images, from 0 to 1")
        for name in ("colour_shift", "mixup", "cutmix"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be 0 or more")

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with their neighbours in the batch."""
        return self.mixup > 0 or self.cutmix > 0
