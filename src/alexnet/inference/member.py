"""One saved model of a classifier: its own preprocessing, its own temperature, and the classes in a common order."""

from alexnet.errors import SettingsError, listed
from alexnet.images.decoding import Pixels
from alexnet.inference.engines.engine import EngineName, open_engine
from alexnet.inference.probability import Floats, log_softmax
from alexnet.model.artifact import Artifact


class Member:
    """A saved model that predicts probabilities of classes in a given order.

    Args:
        artifact: the saved model.
        classes: the order of the classes.
        engine: what runs it: see ``open_engine``.

    Raises:
        ArtifactError: its weights are missing or damaged, or an export fails its own test on this machine.
        SettingsError: it has other classes, or the engine cannot run it.
    """

    def __init__(self, artifact: Artifact, classes: tuple[str, ...], engine: EngineName = "auto") -> None:
        self.artifact = artifact
        self.columns = columns(artifact, classes)
        self.engine = open_engine(artifact, engine)

    @property
    def store_size(self) -> int:
        """The side to which it resizes images first, in pixels."""
        return self.artifact.preprocessing.store_size

    def preprocess(self, pixels: Pixels) -> Pixels:
        """Return a decoded image as the network takes it, ``(image_size, image_size, C)`` uint8."""
        return self.artifact.preprocessing.apply(pixels, self.artifact.architecture.image_size)

    def log_probabilities(self, pixels: Pixels) -> Floats:
        """Return log-probabilities ``(N, n_classes)`` of images ``(N, image_size, image_size, C)`` uint8."""
        logits = self.engine.logits(pixels)[:, self.columns]
        return log_softmax(logits, self.artifact.calibration.temperature)


def columns(artifact: Artifact, classes: tuple[str, ...]) -> list[int]:
    """Return the position of each class among those of a saved model.

    Raises:
        SettingsError: the model does not have exactly these classes.
    """
    unknown = [label for label in artifact.classes if label not in classes]
    missing = [label for label in classes if label not in artifact.classes]
    if unknown or missing:
        what = f"knows {listed(unknown)}" if unknown else f"does not know {listed(missing)}"
        raise SettingsError(
            f"the model in {str(artifact.folder)!r} {what}, unlike the first model; give models of the same classes"
        )
    return [artifact.classes.index(label) for label in classes]
