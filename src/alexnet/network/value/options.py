"""The network options, shared by every command that builds a network."""

from dataclasses import dataclass

from alexnet.errors import SettingsError
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Activation, Place
from alexnet.network.value.variants import Changes, NormName, PoolName, Variant, load_architecture, resolve


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Options that describe a network. None keeps the value of the variant or the file."""

    variant: Variant = "batchnorm"
    """Which AlexNet."""
    architecture: str | None = None
    """A JSON file with a network of your own, or the JSON itself; summary --as json prints one."""
    width: float | None = None
    """Multiply the channels of all convolutional layers by this, to multiples of 8; auto: 1."""
    hidden: tuple[int, ...] | None = None
    """Sizes of the hidden fully-connected layers, as in --hidden 512 512; auto: the variant's, mostly 4096 4096."""
    dropout: float | None = None
    """Share of the inputs of each hidden layer that is dropped in training; auto: the variant's, 0.5."""
    norm: NormName | None = None
    """Normalisation: batch or group in all convolutional layers, local in the first two as in the paper, or none."""
    norm_place: Place | None = None
    """Place of the norm: before the activation, after it, or pooled: after the pool."""
    activation: Activation | None = None
    """The non-linearity after each layer except the last; auto: the variant's, relu."""
    pool: PoolName | None = None
    """Pools: overlapping 3x3 windows as in the paper, separate 2x2 ones, or the average of 3x3; auto: the variant's."""
    groups: int | None = None
    """Groups in conv2, conv4 and conv5, as the paper's two GPUs had them; auto: the variant's."""

    def network(
        self, *, n_classes: int | None = None, in_channels: int | None = None, image_size: int | None = None
    ) -> Architecture:
        """Return the architecture that the options describe.

        Raises:
            SettingsError: they do not fit together, or the file cannot be read.
        """
        changes = Changes(
            n_classes=n_classes,
            in_channels=in_channels,
            image_size=image_size,
            width=self.width,
            hidden=self.hidden,
            dropout=self.dropout,
            norm=self.norm,
            norm_place=self.norm_place,
            activation=self.activation,
            pool=self.pool,
            groups=self.groups,
        )
        if self.architecture is None:
            return resolve(self.variant, **changes)
        if self.variant != "batchnorm":
            given = "JSON" if self.architecture.startswith("{") else repr(self.architecture)
            raise SettingsError(
                f"variant is {self.variant!r} and architecture is {given}; give one of them, "
                "or use --architecture none to clear it"
            )
        return resolve(load_architecture(self.architecture), **changes)
