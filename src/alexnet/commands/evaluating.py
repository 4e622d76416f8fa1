"""The command that evaluates a trained network."""

from typing import Annotated, Literal

from alexnet.commands.usage import UsageError, at_least_1


def evaluate(
    model: str,
    data: Annotated[str | None, "options", "", "the run's own"] = None,
    /,
    *,
    split: Literal["train", "val", "test"] | None = None,
    views: Literal[1, 10] = 1,
    ensemble: Annotated[tuple[str, ...], "options", "MODEL"] = (),
    compare: Annotated[str | None, "options", "MODEL"] = None,
    errors: Annotated[str | None, "options", "FILE"] = None,
    out_of_fold: Annotated[int | None, "options", "K"] = None,
    max_pixels: int | None = None,
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    data_dir: Annotated[str | None, "options", "FOLDER"] = None,
    json_: bool = False,
) -> int:
    """Evaluate a trained network on labelled images.

    Args:
        model: A run folder, its model folder, an export (.onnx, or a folder of OpenVINO), or hf:user/name on the hub.
        data: Labelled images, as for alexnet train. Those that the network learned from are left out.
        split: The part to evaluate; auto: test, or all images where the data is not split.
        views: 1: the whole image. 10: the mean over ten views as in the paper: corners, centre and their mirror images.
        ensemble: More models of the same classes: evaluate the mean of all, as in the paper.
        compare: Compare with another model on the same images.
        errors: Write a CSV of all images, those first whose label has the lowest probability.
        out_of_fold: With --errors: predict all images of the data, each by one of K small networks that are trained
            now and do not learn from it. Finds wrong labels among training images. auto: no.
        max_pixels: Images that claim more are skipped; auto: as in training.
        engine: torch runs model folders, onnxruntime and openvino run exports; auto: the fastest installed.
        data_dir: Where named sets are downloaded to; none: as in training.
        json_: Print one JSON object instead of tables.

    Examples:
        alexnet evaluate runs/images
        alexnet evaluate runs/images more-images --views 10
        alexnet evaluate runs/images --compare runs/other
        alexnet evaluate runs/images --errors errors.csv --out-of-fold 5
    """
    from alexnet.commands.terminal import display, scores
    from alexnet.evaluation import scoring
    from alexnet.evaluation.mistakes import check_new, write_errors

    at_least_1("max_pixels", max_pixels)
    if errors is not None:
        check_new(errors)
    if out_of_fold is not None:
        given = (split, views != 1, ensemble, compare, max_pixels, engine != "auto", json_)
        if errors is None or any(given):
            raise UsageError("--out-of-fold needs --errors FILE, and no other option but --data-dir")
        return _out_of_fold(model, data, out_of_fold, errors, data_dir)
    result = scoring.evaluate(
        model,
        data,
        split=split,
        views=views,
        ensemble=ensemble,
        compare=compare,
        max_pixels=max_pixels,
        engine=engine,
        data_dir=data_dir,
        track=display.track,
    )
    engines = result.engines if result.other is None else (*result.engines, *result.other.engines)
    display.say(f"engine: {'; '.join(dict.fromkeys(engines))}")
    display.warn(result.warnings)
    display.warn_of_skipped(result.skipped)
    if errors is not None:
        write_errors(result.outputs, errors)
        display.say(f"written to {errors}: {len(result.outputs.names)} images")
    if json_:
        print(scores.as_json(result))
    elif compare is None:
        print(scores.evaluation(result))
    else:
        print(scores.comparison(result, " + ".join((model, *ensemble)), compare))
    return 0


def _out_of_fold(model: str, data: str | None, n_folds: int, errors: str, data_dir: str | None) -> int:
    """Predict the images of the model's data, or other data, by networks that did not learn from them."""
    from alexnet.commands.terminal import display
    from alexnet.errors import whole_package
    from alexnet.evaluation.mistakes import write_errors
    from alexnet.evaluation.predicting import open_data
    from alexnet.model.opening import load_artifact

    with whole_package("alexnet evaluate --out-of-fold"):
        from alexnet.reporting.out_of_fold import out_of_fold

    source, how = open_data(model, data, data_dir), load_artifact(model).preprocessing
    result = out_of_fold(source, how, n_folds, track=display.track)
    display.warn(result.warnings)
    display.warn_of_skipped(result.skipped)
    outputs = result.outputs
    write_errors(outputs, errors)
    display.say(f"written to {errors}: {len(outputs.names)} images")
    share = outputs.is_right.mean()
    print(
        f"{n_folds} small networks predict {share:.3f} of the images that they did not learn from as they are labelled"
    )
    return 0
