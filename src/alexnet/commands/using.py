"""Commands that use a trained network: predict, report, push."""

from typing import Annotated, Literal

from alexnet.commands.usage import UsageError, at_least_1


def predict(
    model: str,
    image: tuple[str, ...],
    /,
    *,
    top: int = 5,
    ensemble: Annotated[tuple[str, ...], "options", "MODEL"] = (),
    max_pixels: int | None = None,
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    format_: Literal["table", "json", "csv"] = "table",
) -> int:
    """Predict the classes of images.

    An image that cannot be read never stops the others; the exit status is then 1. Other files in a folder are left
    out.

    Args:
        model: A run folder, the model folder in it, an export of it (.onnx, .pt2, or the folder of OpenVINO), or
            hf:user/name for a model on the Hugging Face hub.
        image: Images, or folders of images.
        top: Number of classes to print, most probable first.
        ensemble: More models of the same classes: predict the mean of all, as in the paper.
        max_pixels: Images that claim more are refused; auto: as in training.
        engine: What computes: torch for a model folder; onnxruntime or openvino for an export, without torch. auto: the
            fastest that is installed.
        format_: Print plain text, JSON or CSV: one line per image.

    Examples:
        alexnet predict runs/images new.jpg
        alexnet predict runs/images folder --top 1 --format csv
        alexnet predict runs/images.onnx new.jpg
    """
    from alexnet.commands.terminal import display, tables
    from alexnet.errors import listed
    from alexnet.inference.classifier import load
    from alexnet.inference.inputs import expand

    if not image:
        raise UsageError("predict needs at least one image or folder")
    at_least_1("top", top)
    at_least_1("max_pixels", max_pixels)
    classifier = load(model, max_pixels=max_pixels, ensemble=ensemble, engine=engine)
    if classifier.is_export:
        display.say(f"engine: {classifier.engines}")
    top = min(top, len(classifier.classes))
    n_failed = 0
    line = tables.prediction_lines(format_, top)
    if header := tables.prediction_header(format_, top):
        print(header)
    left_out: list[str] = []
    images = (each for given in image for each in expand(given, left_out))
    for result in classifier.predict_each(images, top):
        n_failed += result.error is not None
        print(line(result), flush=True)
    if left_out:
        display.warn([f"left out, not an image: {listed(left_out)}"])
    return 1 if n_failed else 0


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
