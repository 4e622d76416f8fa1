"""The augmentation of training images, as one frozen value; ``augment`` applies it."""

from dataclasses import dataclass
from typing import Literal, get_args

from alexnet.errors import SettingsError, nearest, shown

Crop = Literal["resized", "paper", "whole"]
"""How training images are cropped; ``crops.draw_windows`` draws the windows."""
# The side of the paper's crops, as a share of the image's. Section 4.1: crops of 224 pixels out of 256.
PAPER_SHARE = 224 / 256

ColourRule = Literal["paper", "program"]
"""How colours are shifted. ``paper``: by multiples of the eigenvalues of the principal components, as section 4.1 says.
``program``: of their standard deviations, and then everything is divided by 1 + ``colour_shift``, as in the program of
2012."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are augmented.

    Raises:
        SettingsError: a number is out of range.
    """

    crop: Crop = "resized"
    """``resized``: crops of random area and aspect. ``paper``: crops of 7/8 of the side (section 4.1).
    ``whole``: the whole image."""
    area: tuple[float, float] = (0.35, 1.0)
    """Smallest and largest area of a resized crop, as shares of the image."""
    aspect: float = 4 / 3
    """Largest aspect of a resized crop: width over height, or height over width."""
    flip: bool = True
    """Whether half of the images are mirrored (section 4.1)."""
    n_alike: int = 1
    """How many images in a row of a batch are cropped and mirrored alike; 32 in the program of 2012."""
    turn: bool = False
    """Whether images are rotated by a random multiple of 90 degrees: for images from above, which have no way up."""
    colour_shift: float = 0.0
    """Standard deviation of the shifts along the principal components of colour; 0.1 in section 4.1."""
    colour_rule: ColourRule = "paper"
    """What the components are multiplied by: see ``ColourRule``."""
    trivial_augment: bool = False
    """Whether one random operation of TrivialAugment is applied to each image (Mueller and Hutter, 2021)."""
    erasing: float = 0.0
    """Share of images in which a rectangle is erased (Zhong and others, 2017)."""
    mixup: float = 0.0
    """Alpha of mixup (Zhang and others, 2017): images and labels are blended in pairs."""
    cutmix: float = 0.0
    """Alpha of cutmix (Yun and others, 2019): a rectangle comes from another image, with a share of its label."""

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise SettingsError(f"crop area is {self.area}; it must rise from above 0 to at most 1")
        if not 0 < self.aspect < float("inf"):
            raise SettingsError(f"crop aspect is {self.aspect}; it must be a number above 0")
        if self.n_alike < 1:
            raise SettingsError(f"n_alike is {self.n_alike}; it must be at least 1")
        if self.colour_rule not in get_args(ColourRule):
            known = get_args(ColourRule)
            raise SettingsError(f"unknown colour_rule {shown(self.colour_rule)}{nearest(self.colour_rule, known)}")
        if not 0 <= self.erasing <= 1:
            raise SettingsError(f"erasing is {self.erasing}; it is a share of the images, from 0 to 1")
        for name in ("colour_shift", "mixup", "cutmix"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be 0 or more")

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with others of the batch."""
        return self.mixup > 0 or self.cutmix > 0
