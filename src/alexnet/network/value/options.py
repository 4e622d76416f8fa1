"""The network options, shared by every command that builds a network."""

import contextlib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Annotated, cast

from alexnet.errors import SettingsError
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.changes import Changes, NormName, PoolName, load_architecture, resolve
from alexnet.network.value.layers import Activation, Place
from alexnet.network.value.variants import VARIANTS, Variant


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network. None keeps what the variant, or the file, has.

    The words beside a type are for ``--help``, as ``commands.help`` says. docs/training.md explains each option.
    """

    variant: Annotated[Variant | None, "common"] = None
    """batchnorm, original, paper, caffenet, torchvision or small."""

    architecture: Annotated[str | None, "network", "FILE"] = None
    """Your own network: a JSON file or JSON text."""
    width: Annotated[float | None, "network"] = None
    """Multiply the channels of convolutions."""
    hidden: Annotated[tuple[int, ...] | None, "network"] = None
    """Sizes of hidden layers, such as 512 512."""
    dropout: Annotated[float | None, "network"] = None
    """Share of numbers dropped in training."""
    norm: Annotated[NormName | None, "network"] = None
    """Norm: batch, group, local or none."""
    norm_place: Annotated[Place | None, "network"] = None
    """Norm before or after activation, or pooled."""
    activation: Annotated[Activation | None, "network"] = None
    """relu, tanh, gelu or silu."""
    pool: Annotated[PoolName | None, "network"] = None
    """overlapping, separate or average."""
    groups: Annotated[int | None, "network"] = None
    """Groups in conv2, 4 and 5; 2 in the paper."""

    @property
    def base(self) -> Architecture:
        """The variant, or the network in the file, before any change; ``batchnorm`` if neither is given.

        Raises:
            SettingsError: both are given, or the file cannot be read.
        """
        if self.architecture is None:
            return VARIANTS[self.variant or "batchnorm"]
        # Earlier versions saved batchnorm, their default, beside an architecture.
        if self.variant not in (None, "batchnorm"):
            given = "JSON" if self.architecture.startswith("{") else repr(self.architecture)
            raise SettingsError(
                f"variant is {self.variant!r} and architecture is {given}; give one of them, "
                "or use --architecture none to clear it"
            )
        return self._from_file

    @cached_property
    def _from_file(self) -> Architecture:
        """The network in the file, which is read once."""
        assert self.architecture is not None
        return load_architecture(self.architecture)

    def check(self, *, in_channels: int | None = None, image_size: int | None = None) -> None:
        """Check that the network can be built. If training chooses the variant, one that it may choose is enough.

        Raises:
            SettingsError: it cannot.
        """
        try:
            self.network(in_channels=in_channels, image_size=image_size)
        except SettingsError:
            if self.variant is None and self.architecture is None:
                given = {each.name: getattr(self, each.name) for each in fields(NetworkOptions)}
                with contextlib.suppress(SettingsError):
                    small = NetworkOptions(**given | {"variant": "small"})
                    small.network(in_channels=in_channels, image_size=image_size)
                    return
            raise

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
