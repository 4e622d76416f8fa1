"""Exports a trained network: made, compared with its original on real images, and only then kept."""

import os
from pathlib import Path
from typing import get_args

import numpy as np

from alexnet.data.parallel import Track, untracked
from alexnet.errors import ArtifactError, SettingsError, nearest, shown
from alexnet.exporting.comparison import Limits, Logits, compare, logits_of
from alexnet.exporting.graph import Graph
from alexnet.exporting.images import ExportImages, open_images
from alexnet.exporting.low_rank import Shrunk
from alexnet.exporting.low_rank import shrink as shrink_graph
from alexnet.exporting.onnx import exact_probabilities, to_onnx, write_onnx, write_openvino
from alexnet.exporting.place import (
    Exported,
    ExportFormat,
    comparison_path,
    comparison_text,
    metadata,
    n_bytes,
    name_ending,
    original,
    place_for,
)
from alexnet.exporting.quantisation import MOST_IMAGES, to_float16, to_int8
from alexnet.exporting.torch import open_program, write_program
from alexnet.files.atomic import atomic_path, write_atomically
from alexnet.inference.engines.engine import EngineName, Numbers, open_engine
from alexnet.model.artifact import CONFIG, WEIGHTS, Artifact, load_model
from alexnet.model.exported import Export, Format, Precision, SelfTest
from alexnet.model.opening import load_artifact

ENGINES: dict[Format, EngineName] = {"onnx": "onnxruntime", "openvino": "openvino"}
# How far the probabilities of the self-test may be from the expected ones. In int8, those of a network of trashnet5
# were within 0.0006 of them in ONNX Runtime and OpenVINO; weights of 8 bits were off by 0.048 where sums saturate.
TOLERANCES: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-4, "int8": 0.01}


def export(
    model: str | os.PathLike[str],
    format: ExportFormat = "onnx",  # noqa: A002 - the field's word
    *,
    precision: Precision = "fp32",
    shrink: bool = False,
    max_loss: float = 0.01,
    calibrate: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    track: Track = untracked,
) -> Exported:
    """Export a trained network for other programs, and for prediction without torch.

    The export takes uint8 images of the network's size and returns probabilities: normalisation and temperature are
    inside, as are the class names, the preprocessing, and a self-test of eight small training images. Whoever loads it
    with this package repeats the self-test on their own processor.

    It is compared with its original on the run's ``test`` images before it is kept. What falls short leaves nothing
    behind: see ``comparison.Limits``.

    Args:
        model: a run folder, a model folder, or ``hf:user/name`` on the Hugging Face hub.
        format: ``onnx``, ``openvino``, ``torch`` (a ``.pt2``), or ``web`` (one HTML file).
        precision: ``fp32``; ``fp16``, half the size; ``int8``, a quarter of the size and about twice as fast.
        shrink: replace the hidden layers by smaller ones: see ``low_rank.shrink``.
        max_loss: by how much shrinking may lower the top-1, a share in [0, 1].
        calibrate: images for all this, as for training; those of the run where not given.
        out: where to write it; beside the run where not given. An older export there is replaced, nothing else.
        force: keep it although it falls short.
        data_dir: where named sets are.
        track: how progress is shown.

    Raises:
        ArtifactError: there is no such model, it is damaged, or the export falls short.
        DataError: the images are gone or have changed.
        SettingsError: an option is wrong, does not fit another, or a package is missing.
    """
    _check_options(format, precision, max_loss)
    if format == "web":
        from alexnet.exporting.web import export_web

        return export_web(
            model,
            shrink=shrink,
            max_loss=max_loss,
            calibrate=calibrate,
            out=out,
            force=force,
            data_dir=data_dir,
            track=track,
        )
    artifact = original(model)
    path = place_for(model, artifact, out, name_ending(format, precision, shrink=shrink))
    network = load_model(artifact)
    graph = Graph(network, artifact)
    images = open_images(artifact, calibrate, data_dir, track)
    shrunk = shrink_graph(graph, images, max_loss, force=force, track=track) if shrink else Shrunk()
    with atomic_path(path) as unfinished:
        _write(graph, artifact, images, unfinished, format, precision, shrunk, track)
        # The engine repeats the self-test: a file that fails on this processor is of no use here.
        try:
            after = _open(unfinished, format)
        except ArtifactError as error:
            raise ArtifactError(f"export refused: {str(error).replace(str(unfinished), str(path))}") from error
        comparison = compare(
            logits_of(network, artifact),
            after,
            images,
            artifact.calibration.temperature,
            n_bytes_before=sum(n_bytes(artifact.folder / name) for name in (CONFIG, WEIGHTS)),
            n_bytes=n_bytes(unfinished),
            track=track,
        )
        limits = Limits.of(precision, comparison.n_images, max_loss if shrunk.ranks else None)
        fault = comparison.fault(limits)
        if fault is not None and not force:
            raise ArtifactError(
                f"export refused: {fault}; {_advice(precision, shrink=bool(shrunk.ranks))}, or keep it with --force"
            )
    write_atomically(comparison_path(path), comparison_text(comparison, path))
    notes = (*shrunk.notes, *([] if fault is None else [f"it falls short of its original: {fault}"]))
    return Exported(path, comparison, notes)


def _check_options(format: str, precision: str, max_loss: float) -> None:  # noqa: A002
    for name, value, known in (
        ("format", format, get_args(ExportFormat)),
        ("precision", precision, get_args(Precision)),
    ):
        if value not in known:
            raise SettingsError(f"unknown {name} {shown(value)}{nearest(str(value), known)}")
    if precision != "fp32" and format in ("torch", "web"):
        why = "always has weights of eight bits" if format == "web" else "is float32 only"
        raise SettingsError(f"the format {format} {why}; leave out --{precision}, or use --format onnx")
    if not 0 <= max_loss <= 1:
        raise SettingsError(f"max_loss is {max_loss}; it is a share, from 0 to 1")


def _write(
    graph: Graph,
    artifact: Artifact,
    images: ExportImages,
    path: Path,
    format: Format,  # noqa: A002
    precision: Precision,
    shrunk: Shrunk,
    track: Track,
) -> None:
    """Write an export with its self-test."""
    tested = images.self_test()

    def described(probabilities: Numbers) -> str:
        test = SelfTest(tested, probabilities, TOLERANCES[precision])
        return metadata(artifact, Export(format, precision, shrunk.ranks, test))

    if format == "torch":
        write_program(graph, path, described(graph.probabilities(tested)))
        return
    model = to_onnx(graph)
    # Of a shrunk network the comparison only counts what is lost, which a wrong conversion might not change.
    if shrunk.ranks and not np.allclose(exact_probabilities(model, tested), graph.probabilities(tested), atol=1e-4):
        raise ArtifactError(
            "export refused: the ONNX file computes other probabilities than the shrunk network; try --format torch"
        )
    if precision == "int8":
        model = to_int8(model, images.batches(images.train.sample(MOST_IMAGES), track, "finding ranges"))
    elif precision == "fp16":
        model = to_float16(model)
    text = described(exact_probabilities(model, tested))
    if format == "openvino":
        write_openvino(model, path, text)
    else:
        write_onnx(model, path, text)


def _open(path: Path, format: Format) -> Logits:  # noqa: A002
    """Return what computes the logits of an export that was just written."""
    return open_program(path) if format == "torch" else open_engine(load_artifact(path), ENGINES[format]).logits


def _advice(precision: Precision, *, shrink: bool) -> str:
    """Return what to try after an export fell short."""
    if shrink:
        return "try a smaller --max-loss" + (", or leave out --int8" if precision == "int8" else "")
    return {"fp32": "try --format torch", "fp16": "leave out --fp16", "int8": "leave out --int8, or try --fp16"}[
        precision
    ]
