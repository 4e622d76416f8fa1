"""What training says as it goes: a report a step and one an epoch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepReport:
    """One step done."""

    epoch: int
    step: int
    n_steps: int
    loss: float
    images_per_second: float
    progress: float
    seconds_left: float


@dataclass(frozen=True)
class EpochReport:
    """One epoch done: a line of ``metrics.jsonl``.

    Attributes:
        epoch: its number, from 1.
        train_loss: mean loss while training, in nats, label smoothing and augmentation included.
        val_loss: mean cross-entropy on ``val``, in nats.
        val_top1: share of ``val`` recognised, in [0, 1].
        lr: learning rate at its end.
        seconds: time spent training, validation not included.
        images_per_second: training images a second.
        image_size: side of the images of ``val`` when it was judged, in pixels. Those it learned from are as large,
            unless the clock cut the epoch short: then ``val`` is judged at the size of use.
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
        """Training images that were seen; fewer than there are where the clock cut the epoch short."""
        return round(self.images_per_second * self.seconds)

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:3d}  {self.image_size} px  loss {self.train_loss:.3f}  "
            f"val loss {self.val_loss:.3f}  val top-1 {self.val_top1:.3f}  {self.images_per_second:.0f} images/s"
        )


@dataclass(frozen=True)
class TrainingWarning:
    """Something about the training that a user should know."""

    text: str

    def __str__(self) -> str:
        return f"warning: {self.text}"


Report = StepReport | EpochReport | TrainingWarning
