"""Commands that use a trained network: predict, report, push."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from alexnet.commands.usage import UsageError, at_least_1

if TYPE_CHECKING:
    from alexnet.commands.terminal.tables import PredictionFormat
    from alexnet.errors import ImageError
    from alexnet.inference.classifier import Classifier
    from alexnet.inference.results import Kind


def predict(
    model: str,
    image: tuple[str, ...],
    /,
    *,
    top: int = 5,
    ensemble: Annotated[tuple[str, ...], "options", "MODEL"] = (),
    max_pixels: int | None = None,
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    format_: Literal["table", "json", "csv"] | None = None,
    out: Annotated[str | None, "options", "FILE"] = None,
) -> int:
    """Predict the classes of images.

    An image that cannot be read never stops the others; the exit status is then 1. Other files in a folder are left
    out. With --out, the same command continues after a stop: it skips what FILE holds, and tries unreadable images
    again.

    Args:
        model: A run folder, the model folder in it, an export of it (.onnx, or the folder of OpenVINO), or
            hf:user/name for a model on the Hugging Face hub.
        image: Images, or folders of images.
        top: Number of classes to print, most probable first.
        ensemble: More models of the same classes: predict the mean of all, as in the paper.
        max_pixels: Images that claim more are refused; auto: as in training.
        engine: What computes: torch for a model folder; onnxruntime or openvino for an export, without torch. auto: the
            fastest that is installed.
        format_: Plain text, JSON or CSV, one line per image; auto: plain text, or as FILE ends.
        out: Add the lines to this file, which ends in .jsonl, .json or .csv, as they come.

    Examples:
        alexnet predict runs/images new.jpg
        alexnet predict runs/images folder --top 1 --format csv
        alexnet predict runs/images.onnx new.jpg
        alexnet predict runs/images folder --out predictions.jsonl
    """
    from alexnet.commands.terminal import display
    from alexnet.errors import ImageError, listed
    from alexnet.inference.classifier import load
    from alexnet.inference.inputs import expand

    if not image:
        raise UsageError("predict needs at least one image or folder")
    at_least_1("top", top)
    at_least_1("max_pixels", max_pixels)
    kind = _kind(format_, out)
    classifier = load(model, max_pixels=max_pixels, ensemble=ensemble, engine=engine)
    if classifier.is_export:
        display.say(f"engine: {classifier.engines}")
    top = min(top, len(classifier.classes))
    left_out: list[str] = []
    found = (each for given in image for each in expand(given, left_out))
    # Names only, so that their number is known; an image is read when it is predicted.
    images = [each if isinstance(each, ImageError) else str(each) for each in found]
    if kind == "table" or out is None:
        n_failed = _print(classifier, images, top, kind)
    else:
        n_failed = _add_to(out, classifier, images, top, kind)
    if left_out:
        display.warn([f"left out, not an image: {listed(left_out)}"])
    return 1 if n_failed else 0


def _kind(format_: "PredictionFormat | None", out: str | None) -> "PredictionFormat":
    """Return how predictions are written.

    Raises:
        UsageError: a file cannot be continued if they are written so, or its ending does not say how.
    """
    if out is None:
        return format_ or "table"
    from alexnet.inference.results import ENDINGS

    if format_ == "table":
        raise UsageError("--out takes lines of JSON or CSV; leave out --format table")
    ending = Path(out).suffix.lower()
    if format_ is None and ending not in ENDINGS:
        raise UsageError(f"--out is {out!r}; end it in .jsonl, .json or .csv, or give --format")
    return format_ or ENDINGS[ending]


def _print(classifier: "Classifier", images: "Sequence[str | ImageError]", top: int, kind: "PredictionFormat") -> int:
    """Print a line for each image. Return how many could not be read."""
    from alexnet.commands.terminal import display, tables

    stdout = sys.stdout  # a progress bar of rich puts its own in this place
    line = tables.prediction_lines(kind, top)
    if header := tables.prediction_header(kind, top):
        print(header)
    results = classifier.predict_each(images, top)
    n_failed = 0
    for result in results if stdout.isatty() else display.track(results, len(images), "predicted"):
        n_failed += result.error is not None
        print(line(result), file=stdout, flush=True)
    return n_failed


def _add_to(out: str, classifier: "Classifier", images: "Sequence[str | ImageError]", top: int, kind: "Kind") -> int:
    """Add a line to a file for each image that it does not hold. Return how many could not be read."""
    from alexnet.commands.terminal import display, tables
    from alexnet.inference.inputs import name_of
    from alexnet.inference.results import Origin, digest, open_results

    named = {name_of(image): image for image in images}
    models = tuple(digest(each.artifact.folder) for each in classifier.members)
    folder = None if all(map(os.path.isabs, named)) else str(Path.cwd())
    line = tables.prediction_lines(kind, top)
    n_done = n_failed = 0
    origin = Origin(models=models, top=top, kind=kind, folder=folder)
    with open_results(Path(out), origin, tables.prediction_header(kind, top)) as file:
        left = [image for name, image in named.items() if name not in file]
        try:
            for result in display.track(classifier.predict_each(left, top), len(left), "predicted"):
                file.add(line(result))
                n_done += 1
                n_failed += result.error is not None
        except KeyboardInterrupt:
            display.say(f"{out} holds {n_done} more images; run the same command again to continue")
            raise
    display.say(f"{out}: {n_done - n_failed} predicted, {len(named) - len(left)} skipped, {n_failed} failed")
    return n_failed


def report(
    run: str,
    /,
    *,
    data: Annotated[str | None, "options", "DATA"] = None,
    out: Annotated[str | None, "options", "FILE", "RUN/report.html"] = None,
) -> int:
    """Write a report on a finished run: one HTML file to look at.

    It holds scores, mistakes, what the network looks at, its curves, and the command that repeats the run. It needs no
    internet; its links lead to your images. alexnet train writes one at its end.

    Args:
        run: A run folder.
        data: Where the images of the run are now, if they have moved.
        out: The file to write. An older report there is replaced.

    Examples:
        alexnet report runs/images
    """
    from alexnet.commands.terminal import display
    from alexnet.reporting.report import report as write_report

    print(write_report(run, out, data=data, track=display.track))
    return 0


def push(
    model: str,
    repo: str,
    /,
    *,
    private: bool = False,
) -> int:
    """Upload a trained network to the Hugging Face hub.

    Log in once with: hf auth login. Uploads the weights, config.json and the README, but no images.

    Args:
        model: A run folder, or the model folder in it.
        repo: user/name on the hub. Created if it does not exist.
        private: Create it so that only you can see it.

    Examples:
        alexnet push runs/images anna/recycling
    """
    from alexnet.model.push import push as push_to_hub

    print(push_to_hub(model, repo, private=private))
    return 0
