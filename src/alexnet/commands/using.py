"""Commands that use a trained network: judge it, ask it, give it away."""

from typing import Annotated, Literal

import tyro

from alexnet.commands.usage import UsageError, at_least_1


def evaluate(
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")],
    data: Annotated[str | None, tyro.conf.arg(metavar="[DATA]", help_behavior_hint="(default: the run's own)")] = None,
    /,
    *,
    split: Literal["train", "val", "test"] | None = None,
    views: Literal[1, 10] = 1,
    max_pixels: int | None = None,
    data_dir: str | None = None,
    json_: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = False,
) -> int:
    """Judge a trained network on labelled images.

    Args:
        model: A run folder, the model folder in it, or hf:user/name for one of the Hugging Face hub.
        data: Labelled images, as for training; those that the network learned from are left out.
        split: Which part of them; auto: test, or everything where the data is not split.
        views: The whole image once, or the mean over ten views as in the paper: corners and middle, and mirrored.
        max_pixels: Images that claim more are skipped; auto: as in training.
        data_dir: Folder of the named sets; none: as in training.
        json_: Print one JSON object instead of tables.
    """
    from alexnet.commands import display, tables
    from alexnet.evaluation.scoring import evaluate as score

    at_least_1("max_pixels", max_pixels)
    judged = score(model, data, split=split, views=views, max_pixels=max_pixels, data_dir=data_dir, track=display.track)
    display.warn_of(judged.warnings)
    display.warn_of_skipped(judged.skipped)
    print(tables.evaluation_json(judged) if json_ else tables.evaluation(judged))
    return 0


def predict(
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")],
    image: Annotated[tuple[str, ...], tyro.conf.arg(metavar="IMAGE [IMAGE ...]")],
    /,
    *,
    top: int = 5,
    max_pixels: int | None = None,
    format_: Annotated[Literal["table", "json", "csv"], tyro.conf.arg(name="format")] = "table",
) -> int:
    """Say what is in images; one that cannot be read never stops the others.

    Exits with 1 where any cannot be read, those included that a folder holds in formats such as HEIC. What is no
    image in a folder is left out.

    Args:
        model: A run folder, the model folder in it, or hf:user/name for one of the Hugging Face hub.
        image: Images, or folders of them.
        top: How many classes to name, most probable first.
        max_pixels: Images that claim more are refused; auto: as in training.
        format_: A line of words, a JSON object, or a line of CSV for each image.
    """
    from alexnet.commands import display, tables
    from alexnet.errors import listed
    from alexnet.inference.classifier import load
    from alexnet.inference.inputs import expand

    if not image:
        raise UsageError("predict needs at least one image or folder")
    at_least_1("top", top)
    at_least_1("max_pixels", max_pixels)
    classifier = load(model, max_pixels=max_pixels)
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
        display.warn_of([f"left out what is no image: {listed(left_out)}"])
    return 1 if n_failed else 0


def push(
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")],
    repo: Annotated[str, tyro.conf.arg(metavar="REPO")],
    /,
    *,
    private: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> int:
    """Give a trained network to others on the Hugging Face hub.

    Log in once before, with hf auth login. The weights, config.json and the README go out, and no images.

    Args:
        model: A run folder, or the model folder in it.
        repo: user/name on the hub; made where it does not exist.
        private: Only you may see it.
    """
    from alexnet.model.push import push as push_to_hub

    print(push_to_hub(model, repo, private=private))
    return 0
