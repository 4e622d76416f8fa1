"""The command that explains predictions."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from alexnet.commands.usage import UsageError, at_least_1

if TYPE_CHECKING:
    from alexnet.explanation.result import Explanation


def explain(
    model: str,
    image: tuple[str, ...],
    /,
    *,
    out: Annotated[str, "options", "FOLDER"] = "explained",
    data: Annotated[str | None, "options", "DATA"] = None,
    max_pixels: int | None = None,
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    json_: bool = False,
) -> int:
    """Explain predictions: draw what a network looks at in images.

    Draws one PNG for each image: the predicted classes; the parts of the image that speak for them (Grad-CAM); the
    nearest training images; the kernels of conv1; and the strongest channels of each layer, with parts of training
    images that excite them too. Training images are shown where the run and its images are there. An image that cannot
    be read never stops the others; the exit status is then 1.

    Args:
        model: A run folder, the model folder in it, an export of it (.onnx, or the folder of OpenVINO), or
            hf:user/name for a model on the Hugging Face hub.
        image: Images, or folders of images.
        out: Where to draw. Existing files are kept: a new one gets a number.
        data: Where the images of the run are now, if they have moved.
        max_pixels: Images that claim more are refused; auto: as in training.
        engine: What computes: torch for a model folder; onnxruntime or openvino for an export, without torch. auto: the
            fastest that is installed.
        json_: Print one JSON object: all but the kernels as numbers.

    Examples:
        alexnet explain runs/images new.jpg
        alexnet explain runs/images folder --out panels --json > panels.json
    """
    from alexnet.commands.terminal import display
    from alexnet.errors import listed
    from alexnet.explanation.explain import Explainer, panel_folder
    from alexnet.explanation.result import Explanations
    from alexnet.inference.classifier import load
    from alexnet.inference.inputs import expand

    if not image:
        raise UsageError("explain needs at least one image or folder")
    at_least_1("max_pixels", max_pixels)
    panel_folder(out)  # before the images of the run are looked at
    classifier = load(model, max_pixels=max_pixels, engine=engine)
    if classifier.is_export:
        display.say(f"engine: {classifier.engines}")
    explainer = Explainer.of(classifier, data=data, track=display.track)
    display.warn(explainer.notes)
    left_out: list[str] = []
    images = [each for given in image for each in expand(given, left_out)]
    results: Iterable[Explanation] = explainer.explain_each(images, out)
    if json_:
        results = tuple(display.track(results, len(images), "explaining"))
        explanations = Explanations(results, explainer.kernels.structure, explainer.notes)
        print(json.dumps(explanations.to_json(), allow_nan=False))
    n_failed = 0
    for each in results:
        n_failed += each.error is not None
        if not json_:
            print(_line(each), flush=True)
    if left_out:
        display.warn([f"left out, not an image: {listed(left_out)}"])
    return 1 if n_failed else 0


def _line(explanation: "Explanation") -> str:
    if explanation.error is not None:
        return f"{explanation.path}  cannot be read: {explanation.error}"
    first = explanation.predictions[0]
    return f"{explanation.path}  {first.label} {first.probability:.1%}  {explanation.panel}"
