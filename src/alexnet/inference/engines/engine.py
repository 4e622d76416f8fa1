"""What every engine can do, and the choice of one for a saved model."""

import shlex
from typing import Literal, Protocol, get_args

from alexnet.data.parallel import n_cores
from alexnet.errors import SettingsError
from alexnet.files.installed import is_installed
from alexnet.images.decoding import Pixels
from alexnet.inference.engines.outputs import Numbers as Numbers
from alexnet.inference.engines.self_test import self_test
from alexnet.model.artifact import Artifact
from alexnet.model.exported import Format
from alexnet.model.onnx_file import Floats
from alexnet.network.value.checks import check_choice

EngineName = Literal["auto", "torch", "onnxruntime", "openvino"]
# What can run a model; first what is fastest for one image of a network that is not shrunk (docs/benchmarks.md).
# None: a model folder.
_ABLE: dict[Format | None, tuple[EngineName, ...]] = {
    None: ("torch",),
    "onnx": ("onnxruntime", "openvino"),
    "openvino": ("openvino",),
}


class Engine(Protocol):
    """Runs a network: uint8 images in, numbers out.

    Images are ``(N, image_size, image_size, C)`` uint8, as ``Preprocessing.apply`` returns them.

    Attributes:
        name: torch, onnxruntime or openvino.
        title: for people: the engine, its version and the precision of the weights.
    """

    name: str
    title: str

    def logits(self, pixels: Pixels) -> Numbers:
        """Return logits ``(N, n_classes)``, before the temperature.

        Raises:
            ArtifactError: an output is not finite.
        """
        ...

    def embeddings(self, pixels: Pixels) -> Numbers:
        """Return the last hidden layer, ``(N, n_features)``.

        Raises:
            ArtifactError: an output is not finite.
        """
        ...

    def maps(self, pixels: Pixels) -> Numbers:
        """Return what the last pool reads, ``(N, C, h, w)``; without a pool, the output of the last conv layer.

        Raises:
            ArtifactError: an output is not finite.
        """
        ...

    def weights(self) -> dict[str, Floats]:
        """Return weights by their names in the state dict, in float32: at least those of conv1 and of the fc layers.

        A layer ``fc6`` of two factors has ``fc6.linear.0`` (to the rank) and ``fc6.linear.1`` (from it).

        Raises:
            ArtifactError: they are damaged.
        """
        ...


def choose_engine(artifact: Artifact, engine: EngineName = "auto") -> EngineName:
    """Return the name of the engine that runs a model: the given one, or the fastest that is installed.

    Raises:
        SettingsError: the engine cannot run this model, or is not installed.
    """
    check_choice("engine", engine, get_args(EngineName))
    where, is_folder = str(artifact.folder), artifact.export is None
    able = _ABLE[None if artifact.export is None else artifact.export.format]
    if engine not in ("auto", *able):
        advice = (
            f"export it first, with: alexnet export {shlex.quote(where)}" if is_folder else f"use {' or '.join(able)}"
        )
        raise SettingsError(f"{engine} cannot run {where!r}; {advice}")
    wanted = able if engine == "auto" else (engine,)
    for name in wanted:
        if is_installed(name):
            return name
    if is_folder:
        raise SettingsError(
            f"{where!r} is a model folder, which needs torch; install it with: pip install alexnet; or export the "
            "model where torch is installed, with: alexnet export, and give the export"
        )
    raise SettingsError(
        f"{where!r} needs {' or '.join(wanted)}, which is not installed; install it with: pip install {wanted[0]}"
    )


def open_engine(artifact: Artifact, engine: EngineName = "auto", *, n_threads: int | None = None) -> Engine:
    """Open a saved model with an engine. An exported model is tested first: see ``self_test``.

    Args:
        artifact: the model.
        engine: the engine; auto: the fastest that is installed.
        n_threads: how many threads compute; by default as many as there are cores, and with torch as many as it is
            set to.

    Raises:
        ArtifactError: the model is damaged, or fails its own test on this machine.
        SettingsError: the engine cannot run this model, or is not installed.
    """
    opened = _opened(artifact, choose_engine(artifact, engine), n_threads)
    self_test(artifact, opened.logits, opened.title)
    return opened


def _opened(artifact: Artifact, name: EngineName, n_threads: int | None) -> Engine:
    # Imported here: torch takes 1.5 seconds, and not all of them are installed.
    if name == "onnxruntime":
        from alexnet.inference.engines.onnxruntime_engine import OnnxRuntimeEngine

        return OnnxRuntimeEngine(artifact, n_threads or n_cores())
    if name == "openvino":
        from alexnet.inference.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(artifact, n_threads or n_cores())
    from alexnet.inference.engines.torch_engine import TorchEngine

    return TorchEngine(artifact, n_threads)
