"""The HTML file of `alexnet export --format web` against `alexnet predict`, on real images in Chromium.

    python -m benchmarks.web PAGE.html MODEL IMAGES [-n 50] [--screenshot FILE]

The page is opened from the disk. Printed are: its size, how many images have the same top-1, the largest difference of
a probability, the milliseconds of an image from its file to its map, and what the page asked for or complained of.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.inference.classifier import load
from alexnet.inference.inputs import expand

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Reads the labels, the probabilities and the milliseconds of each card.
READ = """() => [...document.querySelectorAll(".card")].map(card => ({
  labels: [...card.querySelectorAll(".bars span")].map(each => each.textContent),
  probabilities: [...card.querySelectorAll(".bars li")].map(each => +each.style.getPropertyValue("--share")),
  milliseconds: parseFloat(card.querySelector(":scope > div > .fine")?.textContent),
}))"""


def in_browser(page: Path, images: list[Path], screenshot: str | None) -> tuple[list[Any], list[str]]:
    """Return what the page predicts for images, and what it asked for or complained of."""
    from playwright.sync_api import expect, sync_playwright

    noticed: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page()
        shown.on("console", lambda message: noticed.append(message.text))
        shown.on("pageerror", lambda error: noticed.append(str(error)))
        shown.on("request", lambda request: noticed.append(request.url[:80]))
        shown.goto(page.absolute().as_uri())
        shown.locator("#files").set_input_files(images)
        expect(shown.locator("[aria-busy]")).to_have_count(0, timeout=600_000)
        found = shown.evaluate(READ)
        if screenshot is not None:
            shown.screenshot(path=screenshot)
        browser.close()
    own = (page.absolute().as_uri(), "blob:", "data:")
    return found, [each for each in noticed if not each.startswith(own)]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("-n", type=int, default=50)
    parser.add_argument("--screenshot")
    chosen = parser.parse_args()
    every = [path for path in expand(chosen.images) if isinstance(path, Path)]
    images = [every[place] for place in np.linspace(0, len(every) - 1, min(chosen.n, len(every))).astype(int)]
    classifier = load(chosen.model)
    expected = classifier.predict(images, top=len(classifier.classes))
    found, noticed = in_browser(chosen.page, images, chosen.screenshot)
    same, largest = 0, 0.0
    for each, theirs in zip(expected, found, strict=True):
        of = {prediction.label: prediction.probability for prediction in each.predictions}
        same += each.label == theirs["labels"][0]
        pairs = zip(theirs["labels"], theirs["probabilities"], strict=True)
        largest = max(largest, *(abs(of[label] - value) for label, value in pairs if label in of))
    taken = np.array([each["milliseconds"] for each in found])
    print(f"{chosen.page.stat().st_size / 1e6:.2f} MB; same top-1 for {same} of {len(images)} images")
    print(f"largest difference of a probability {largest:.4f}")
    print(f"milliseconds an image: median {np.median(taken):.0f}, largest {taken.max():.0f}")
    print(f"asked for or complained of: {noticed or 'nothing'}")


if __name__ == "__main__":
    main()
