"""The options that say which network, for every command that builds one."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import cast

from alexnet.errors import SettingsError
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Activation, Place
from alexnet.network.value.variants import VARIANTS, Changes, NormName, PoolName, Variant, load_architecture, resolve


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network. What is None is as the variant, or the file, has it."""

    variant: Variant = "batchnorm"
    """Which AlexNet."""
    architecture: str | None = None
    """A JSON file with a network of your own instead, or the JSON itself; summary --as json prints one."""
    width: float | None = None
    """Multiply the channels of all convolutional layers by this, to multiples of 8; auto: 1."""
    hidden: tuple[int, ...] | None = None
    """Sizes of the hidden fully-connected layers, as in --hidden 512 512; auto: the variant's, mostly 4096 4096."""
    dropout: float | None = None
    """Share of inputs dropped before each hidden layer while training; auto: the variant's, 0.5."""
    norm: NormName | None = None
    """Normalisation: batch or group in all convolutional layers, local in the first two as in the paper, or none."""
    norm_place: Place | None = None
    """Where it stands: before the activation, after it, or pooled: after the pool."""
    activation: Activation | None = None
    """The non-linearity after each layer but the last; auto: the variant's, relu."""
    pool: PoolName | None = None
    """Pools: overlapping 3x3 windows as in the paper, separate 2x2 ones, or the average of 3x3; auto: the variant's."""
    groups: int | None = None
    """Groups in conv2, conv4 and conv5, as the paper's two GPUs had them; auto: the variant's."""

    @cached_property
    def base(self) -> Architecture:
        """The variant, or the network in the file, before any change. The file is read once.

        Raises:
            SettingsError: both are given, or the file cannot be read.
        """
        if self.architecture is None:
            return VARIANTS[self.variant]
        if self.variant != "batchnorm":
            mine = "the JSON given" if self.architecture.startswith("{") else repr(self.architecture)
            raise SettingsError(
                f"variant is {self.variant!r}, and {mine} is another network; give one of them "
                "(--architecture none clears the other)"
            )
        return load_architecture(self.architecture)

    def network(
        self, *, n_classes: int | None = None, in_channels: int | None = None, image_size: int | None = None
    ) -> Architecture:
        """Return the architecture that the options describe.

        Raises:
            SettingsError: they do not fit together, or the file cannot be read.
        """
        changes = {each.name: getattr(self, each.name) for each in fields(NetworkOptions)}
        del changes["variant"], changes["architecture"]
        changes |= {"n_classes": n_classes, "in_channels": in_channels, "image_size": image_size}
        return resolve(self.base, **cast(Changes, changes))
