"""The reports of the training loop: one per step, one per epoch, and warnings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepReport:
    """The report of one step."""

    epoch: int
    step: int
    n_steps: int
    loss: float
    images_per_second: float
    progress: float
    seconds_left: float


@dataclass(frozen=True)
class EpochReport:
    """The report of one epoch: a line of ``metrics.jsonl``.

    Attributes:
        epoch: number of the epoch, from 1.
        train_loss: mean training loss in nats, with label smoothing and augmentation.
        val_loss: mean cross-entropy on ``val``, in nats.
        val_top1: top-1 accuracy on ``val``, in [0, 1].
        lr: learning rate at the end of the epoch.
        seconds: training time, without validation.
        images_per_second: training images per second.
        image_size: side of the ``val`` images, in pixels. Training images have the same size, unless the time limit
            ended the epoch early: then ``val`` is evaluated at the final size.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_top1: float
    lr: float
    seconds: float
    images_per_second: float
    image_size: int

    @property
    def n_images(self) -> int:
        """Training images seen; fewer than all if the time limit ended the epoch early."""
        return round(self.images_per_second * self.seconds)

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:3d}  {self.image_size} px  loss {self.train_loss:.3f}  "
            f"val loss {self.val_loss:.3f}  val top-1 {self.val_top1:.3f}  {self.images_per_second:.0f} images/s"
        )


@dataclass(frozen=True)
class TrainingWarning:
    """A warning to the user."""

    text: str

    def __str__(self) -> str:
        return f"warning: {self.text}"


Report = StepReport | EpochReport | TrainingWarning
