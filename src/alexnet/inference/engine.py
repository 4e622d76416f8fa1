"""Run a saved model: uint8 images in, logits or embeddings out, numpy on both sides."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.errors import ArtifactError
from alexnet.images import tensors
from alexnet.images.decoding import Pixels
from alexnet.model.artifact import Artifact, load_model

Numbers = npt.NDArray[np.float32]


class TorchEngine:
    """Runs a saved model with torch, on the first GPU if there is one.

    It computes in float32: in bfloat16 the third digit of an output would depend on the other images of the batch. (The
    float32 of a recent GPU is a little less exact than a CPU's.)

    Attributes:
        model: the network, in evaluation mode.

    Raises:
        ArtifactError: the weights are missing, damaged, or of another network; or an output is not finite.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = load_model(artifact).to(self._device)
        self._preprocessing = artifact.preprocessing
        self._folder = artifact.folder

    def logits(self, pixels: Pixels) -> Numbers:
        """Return logits ``(N, n_classes)`` for images ``(N, image_size, image_size, C)`` uint8."""
        return self._run(self.model, pixels)

    def embeddings(self, pixels: Pixels) -> Numbers:
        """Return the last hidden layer ``(N, n)`` for images ``(N, image_size, image_size, C)`` uint8."""
        return self._run(self.model.embed, pixels)

    def normalised(self, pixels: Pixels) -> Tensor:
        """Return images ``(N, image_size, image_size, C)`` uint8 as the network takes them, ``(N, C, H, W)``."""
        how = self._preprocessing
        return tensors.normalise(tensors.to_tensor(pixels).to(self._device), how.mean, how.std).contiguous()

    def _run(self, function: Callable[[Tensor], Tensor], pixels: Pixels) -> Numbers:
        with torch.inference_mode():
            numbers = np.asarray(function(self.normalised(pixels)).cpu().numpy())
        if not np.isfinite(numbers).all():
            raise ArtifactError(
                f"the model in {str(self._folder)!r} outputs NaN or infinity: its weights are too large; "
                "train it again at a lower learning rate"
            )
        return numbers
