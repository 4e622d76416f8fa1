"""Images that show none of the classes: what does the network predict for them?"""

import numpy as np
from PIL import Image, ImageDraw

from alexnet.images.decoding import Pixels
from alexnet.inference.classifier import Classifier
from alexnet.reporting.facts import Foreign

SIDE = 256
N_PREDICTIONS = 3
# scikit-learn ships these two, in the order of their file names.
SAMPLES = ("a temple (from scikit-learn)", "a flower (from scikit-learn)")


def predict_foreign(classifier: Classifier) -> tuple[Foreign, ...]:
    """Return what a network predicts for images that show none of its classes."""
    images = foreign_images()
    results = classifier.predict_each(images.values(), top=N_PREDICTIONS)
    return tuple(
        Foreign(title, pixels, result.predictions)
        for (title, pixels), result in zip(images.items(), results, strict=True)
    )


def foreign_images() -> dict[str, Pixels]:
    """Return drawn images and scikit-learn's two sample images, ``(H, W, 3)`` uint8, by what they show."""
    from sklearn.datasets import load_sample_images

    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    gradient = np.broadcast_to(np.linspace(0, 255, SIDE).astype(np.uint8)[None, :, None], (SIDE, SIDE, 3)).copy()
    drawn = {"noise": noise, "plain grey": grey, "a gradient": gradient, "drawn shapes": _shapes()}
    return drawn | dict(zip(SAMPLES, load_sample_images().images, strict=True))


def _shapes() -> Pixels:
    image = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((24, 24, 124, 124), fill=(214, 69, 65))
    draw.rectangle((140, 90, 232, 182), fill=(46, 117, 182))
    draw.polygon(((40, 232), (96, 140), (152, 232)), fill=(87, 166, 74))
    return np.asarray(image)
