"""The test that an exported model must pass on this machine before it predicts."""

from collections.abc import Callable

import numpy as np

from alexnet.errors import AlexNetError, ArtifactError, one_line
from alexnet.images.decoding import Pixels
from alexnet.inference.engines.outputs import Numbers
from alexnet.inference.probability import log_softmax
from alexnet.model.artifact import Artifact

_ADVICE = {
    "int8": "this CPU may add 8-bit products in too few bits; export it without --int8, or use another engine",
    "fp16": "copy the file again, or export it without --fp16",
    "fp32": "copy the file again, or use another engine",
}


def self_test(artifact: Artifact, logits: Callable[[Pixels], Numbers], engine: str) -> None:
    """Compare what an exported model predicts for its test images with what it must predict.

    Args:
        artifact: the model; nothing is compared for a model folder.
        logits: computes its logits for images ``(N, image_size, image_size, C)`` uint8.
        engine: the name of what computes them, for the error.

    Raises:
        ArtifactError: a probability differs by more than the tolerance.
    """
    export = artifact.export
    if export is None:
        return
    test = export.self_test
    try:
        computed = logits(test.images)
    except (AlexNetError, MemoryError):
        raise
    except Exception as error:  # what an engine raises where the file does not fit what it says of itself
        raise ArtifactError(
            f"{engine} cannot run {str(artifact.folder)!r} ({one_line(error)}); copy or export it again"
        ) from error
    predicted = np.exp(log_softmax(computed, artifact.calibration.temperature))
    if predicted.shape != test.probabilities.shape:
        shapes = f"outputs {predicted.shape}, it should be {test.probabilities.shape}"
        raise ArtifactError(f"{str(artifact.folder)!r} {shapes}; export it again")
    differences = np.abs(predicted - test.probabilities)
    image, label = np.unravel_index(differences.argmax(), differences.shape)
    if differences[image, label] > test.tolerance:
        raise ArtifactError(
            f"{str(artifact.folder)!r} fails its own test on this machine: {engine} predicts "
            f"{predicted[image, label]:.4f} for the class {artifact.classes[label]!r} of test image {image + 1}, it "
            f"should be {test.probabilities[image, label]:.4f}; {_ADVICE[export.precision]}"
        )
