"""Runs a model folder with torch."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from alexnet.images import tensors
from alexnet.images.decoding import Pixels
from alexnet.inference.engines.outputs import Numbers, finite
from alexnet.model.artifact import Artifact, load_model
from alexnet.model.onnx_file import Floats


class TorchEngine:
    """Runs a model folder with torch, on the first GPU if there is one. Several threads may use it.

    It computes in float32: in bfloat16 the third digit of an output would depend on the other images of the batch. (The
    float32 of a recent GPU is a little less exact than a CPU's.)

    Args:
        artifact: the saved model.
        n_threads: how many threads compute on a CPU; by default as many as torch is set to.

    Attributes:
        model: the network, in evaluation mode.

    Raises:
        ArtifactError: the weights are missing, damaged, or of another network; or an output is not finite.
    """

    name = "torch"

    def __init__(self, artifact: Artifact, n_threads: int | None = None) -> None:
        self.title = f"torch {torch.__version__}, fp32"
        self.model = load_model(artifact).to(device())
        self._preprocessing = artifact.preprocessing
        self._folder = artifact.folder
        self._n_threads = n_threads

    def logits(self, pixels: Pixels) -> Numbers:
        """Return logits ``(N, n_classes)`` for images ``(N, image_size, image_size, C)`` uint8."""
        return self._run(self.model, pixels)

    def embeddings(self, pixels: Pixels) -> Numbers:
        """Return the last hidden layer ``(N, n)`` for images ``(N, image_size, image_size, C)`` uint8."""
        return self._run(self.model.embed, pixels)

    def maps(self, pixels: Pixels) -> Numbers:
        """Return what the last pool reads, ``(N, C, h, w)``, for images ``(N, image_size, image_size, C)`` uint8.

        They are rectified, also in a network whose last activation comes after its max pool: see ``Conv.commuted``.
        """
        return self._run(self._last_maps, pixels)

    def weights(self) -> dict[str, Floats]:
        """Return all weights by their names in the state dict."""
        return {name: np.asarray(each.cpu().numpy()) for name, each in self.model.state_dict().items()}

    def normalised(self, pixels: Pixels) -> Tensor:
        """Return images ``(N, image_size, image_size, C)`` uint8 as the network takes them, ``(N, C, H, W)``."""
        how = self._preprocessing
        return tensors.normalise(tensors.to_tensor(pixels).to(device()), how.mean, how.std).contiguous()

    def _last_maps(self, images: Tensor) -> Tensor:
        net, outputs = self.model.architecture, self.model.centred(images)
        *before, (last, layer, _) = net.conv_layers()
        for name, _, _ in before:
            outputs = self.model.get_submodule(name)(outputs)
        modules = dict(self.model.get_submodule(last).named_children())
        for part in ("conv", *layer.commuted(net.activation)):
            if part == "pool":
                return outputs
            outputs = modules[part](outputs)
        return outputs

    def _run(self, function: Callable[[Tensor], Tensor], pixels: Pixels) -> Numbers:
        with torch.inference_mode(), threads(self._n_threads):
            return finite(np.asarray(function(self.normalised(pixels)).cpu().numpy()), self._folder)


def device() -> torch.device:
    """Return the first GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Compute with some number of threads while the block runs; None: as many as torch is set to."""
    before = torch.get_num_threads()
    if n is not None:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        if n is not None:
            torch.set_num_threads(before)
