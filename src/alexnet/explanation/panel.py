"""One image that shows all that is found out about an image: predictions, maps, neighbours, kernels, channels."""

import functools
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from alexnet.explanation.gallery import Gallery
from alexnet.explanation.kernels import Kernels
from alexnet.explanation.result import ClassMap, Explanation
from alexnet.images.decoding import Pixels
from alexnet.inference.classifier import Prediction

Point = tuple[int, int]
Colour = tuple[int, int, int]

WIDTH, MARGIN, GAP = 1120, 32, 24
# Sides of the image and its maps, of training images and of patches, in pixels.
LARGE, MIDDLE, SMALL = 256, 108, 56
N_NEIGHBOURS = 6
NEIGHBOURS_WIDTH = N_NEIGHBOURS * MIDDLE + (N_NEIGHBOURS - 1) * GAP // 2
TITLE, NORMAL, FINE = 22, 15, 13
BLACK, GREY, PALE, BLUE, ORANGE = (24, 24, 24), (100, 100, 100), (228, 228, 228), (43, 108, 176), (214, 106, 20)
# From nothing to most: the image stays visible below. Readable without colour too, as the most is the darkest.
HEAT = np.array([(255, 245, 190), (254, 190, 80), (236, 92, 32), (165, 15, 21)], dtype=np.float64)


_font = functools.cache(ImageFont.load_default)


def overlay(image: Pixels, found: ClassMap) -> Pixels:
    """Return an image ``(S, S, 3)`` in grey, coloured where it raises the logit of a class: yellow a little, red most.

    Args:
        image: the square image as the network sees it, of any size.
        found: the map; it is scaled to its own largest value.
    """
    grey = image.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.8 + 51
    most = found.values.max()
    if most <= 0:
        return np.asarray(grey.astype(np.uint8))
    share = found.field.enlarged(found.values / most, image.shape[0])
    stops = np.linspace(0, 1, len(HEAT))
    colour = np.stack([np.interp(share, stops, HEAT[:, channel]) for channel in range(3)], axis=2)
    covered = 0.75 * np.minimum(share * 2, 1)[..., None]
    return np.asarray((grey * (1 - covered) + colour * covered).round().astype(np.uint8))


def draw(explanation: Explanation, image: Pixels, kernels: Kernels, gallery: Gallery | None = None) -> Image.Image:
    """Return the panel of an image.

    Args:
        explanation: what was found out about it.
        image: the square image as the network sees it, ``(S, S, 3)``.
        kernels: the kernels of conv1.
        gallery: the training images that the explanation names.
    """
    # Higher than any panel; what is not used is cut off.
    page = _Page(Image.new("RGB", (WIDTH, 4000), "white"))
    top = page.text((MARGIN, 20), Path(explanation.path).name, WIDTH - 2 * MARGIN, TITLE)
    top = _predictions(page, top + 12, explanation, image)
    below = _kernels(page, top, kernels, aside=gallery is not None)
    if gallery is not None:
        below = max(below, _neighbours(page, top, explanation, gallery))
        below = _channels(page, below, explanation, image, gallery)
    return page.image.crop((0, 0, WIDTH, below))


class _Page:
    """A page to draw on; each method returns where the next thing below begins."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self._draw = ImageDraw.Draw(image)

    def text(
        self, at: Point, text: str, width: int, size: int = NORMAL, colour: Colour = BLACK, *, end: bool = False
    ) -> int:
        """Write one line, cut off where it is wider than ``width``; with ``end`` it ends there."""
        font = _font(size)
        text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
        shown, n = text, len(text)
        while n and font.getlength(shown) > width:
            n -= 1
            shown = f"{text[:n]}..."
        left = at[0] + width - round(font.getlength(shown)) if end else at[0]
        self._draw.text((left, at[1]), shown, colour, font)
        return at[1] + round(size * 1.4)

    def heading(self, at: Point, text: str, width: int) -> int:
        return self.text(at, text, width, NORMAL, GREY) + 4

    def tile(self, at: Point, pixels: Pixels, side: int, frame: Colour = PALE) -> int:
        """Draw an image as large as fits into a square, in its middle."""
        height, width = pixels.shape[:2]
        scale = side / max(height, width)
        fitted = max(1, round(width * scale)), max(1, round(height * scale))
        tile = Image.fromarray(np.ascontiguousarray(pixels)).resize(fitted, Image.Resampling.BICUBIC)
        left, top = at[0] + (side - fitted[0]) // 2, at[1] + (side - fitted[1]) // 2
        self.image.paste(tile, (left, top))
        self._draw.rectangle((left - 1, top - 1, left + fitted[0], top + fitted[1]), outline=frame)
        return at[1] + side

    def bar(self, at: Point, share: float, width: int, colour: Colour) -> int:
        height = 14
        self._draw.rectangle((at[0], at[1], at[0] + width, at[1] + height), fill=PALE)
        self._draw.rectangle((at[0], at[1], at[0] + max(1, round(width * share)), at[1] + height), fill=colour)
        return at[1] + height


def _predictions(page: _Page, top: int, explanation: Explanation, image: Pixels) -> int:
    """Draw the image, its most probable classes as bars, and its maps."""
    left, below = MARGIN, page.heading((MARGIN, top), "as the network sees it", LARGE)
    page.tile((left, below), image, LARGE)
    left += LARGE + GAP
    width = min(WIDTH - MARGIN - left - len(explanation.maps) * (LARGE + GAP), 2 * LARGE)
    page.heading((left, top), "prediction", width)
    _bars(page, (left, below), explanation.predictions, width)
    left += width + GAP
    for found in explanation.maps:
        is_blank = found.values.max() <= 0
        title = f"nothing speaks for {found.label}" if is_blank else f"what speaks for {found.label}"
        page.heading((left, top), title, LARGE)
        page.tile((left, below), overlay(image, found), LARGE)
        left += LARGE + GAP
    return below + LARGE + GAP


def _bars(page: _Page, at: Point, predictions: tuple[Prediction, ...], width: int) -> None:
    left, top = at
    for place, each in enumerate(predictions[:5]):
        page.text((left, top), f"{each.probability:.1%}", width, end=True)
        top = page.text((left, top), each.label, width - 70)
        top = page.bar((left, top), each.probability, width, GREY if place else BLUE) + 14


def _kernels(page: _Page, top: int, kernels: Kernels, *, aside: bool) -> int:
    """Draw the kernels; on the right if neighbours come beside them."""
    room = WIDTH - 2 * MARGIN - NEIGHBOURS_WIDTH - 2 * GAP
    left = WIDTH - MARGIN - room if aside else MARGIN
    top = page.heading((left, top), "kernels of conv1", room)
    drawn = kernels.draw()
    height, width = drawn.shape[:2]
    scale = min(room / width, MIDDLE / height)
    fitted = Image.fromarray(drawn).resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    page.image.paste(fitted, (left, top))
    text = f"structure {kernels.structure:.2f}; untrained: about 0"
    return page.text((left, top + MIDDLE + 4), text, room, FINE, GREY) + GAP


def _neighbours(page: _Page, top: int, explanation: Explanation, gallery: Gallery) -> int:
    """Draw the nearest training images, each with its class and distance."""
    top = page.heading((MARGIN, top), "nearest training images", NEIGHBOURS_WIDTH)
    below, first = top, explanation.predictions[0].label
    for place, each in enumerate(explanation.neighbours[:N_NEIGHBOURS]):
        left = MARGIN + place * (MIDDLE + GAP // 2)
        below = page.tile((left, top), gallery.image(each.row), MIDDLE)
        below = page.text((left, below + 4), each.label, MIDDLE, FINE, BLACK if each.label == first else ORANGE)
        below = page.text((left, below), f"distance {each.distance:.1f}", MIDDLE, FINE, GREY)
    return below + GAP


def _channels(page: _Page, top: int, explanation: Explanation, image: Pixels, gallery: Gallery) -> int:
    """Draw a row for each layer: its strongest channels, each with the patch of this image and those of others."""
    title = "strongest channels: the part of this image that excites each most, then parts of training images"
    top = page.heading((MARGIN, top), title, WIDTH - 2 * MARGIN) + 4
    name_width = 64
    for layer, channels in groupby(explanation.channels, key=lambda each: each.layer):
        page.text((MARGIN, top + SMALL // 2 - NORMAL // 2), layer, name_width)
        left, below = MARGIN + name_width, top
        for channel in channels:
            page.tile((left, top), channel.window.crop(image), SMALL, BLUE)
            for place, patch in enumerate(channel.patches):
                at = left + SMALL + 10 + place * (SMALL + 4), top
                page.tile(at, patch.window.crop(gallery.image(patch.row)), SMALL)
            text = f"channel {channel.number}, {channel.strength:+.1f} sd"
            below = page.text((left, top + SMALL + 4), text, 5 * SMALL, FINE, GREY)
            left += 5 * SMALL + 10 + 3 * 4 + GAP + 8
        top = below + 10
    return top + GAP // 2
