"""Drawn images: grey noise with one striped square, whose stripes are the class and whose place is free."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("across", "down")
# Sides of an image and of the square in it, in pixels.
SIDE, SQUARE = 64, 20


def drawn(label: str, left: int, top: int, seed: int) -> Image.Image:
    """Return an image with a square of stripes across or down at a place."""
    pixels = np.random.default_rng(seed).normal(128, 12, (SIDE, SIDE))
    stripes = np.where(np.arange(SQUARE) // 2 % 2, 218, 38)
    square = stripes[:, None] if label == "across" else stripes[None, :]
    pixels[top : top + SQUARE, left : left + SQUARE] = square
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")


def make_drawn_folder(root: Path, n_each: int = 60) -> Path:
    """Make a folder of two classes, with the square anywhere."""
    randomness = np.random.default_rng(0)
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number in range(n_each):
            left, top = randomness.integers(0, SIDE - SQUARE + 1, 2).tolist()
            seed = number + n_each * CLASSES.index(label)
            drawn(label, left, top, seed).save(root / label / f"{number}.png")
    return root
