"""The options that say which network, for every command that builds one."""

from dataclasses import dataclass
from typing import Annotated

from alexnet.errors import SettingsError
from alexnet.network.value.architecture import Architecture
from alexnet.network.value.layers import Activation, Place
from alexnet.network.value.variants import Changes, NormName, PoolName, Variant, load_architecture, resolve


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network. None keeps what the variant, or the file, has.

    The words beside a type are for ``--help``, as ``commands.help`` says. docs/training.md explains each option.
    """

    variant: Annotated[Variant, "common"] = "batchnorm"
    """batchnorm, paper, caffenet, torchvision or small."""

    architecture: Annotated[str | None, "network", "FILE"] = None
    """Your own network: a JSON file or JSON text."""
    width: Annotated[float | None, "network"] = None
    """Multiply the channels of convolutions."""
    hidden: Annotated[tuple[int, ...] | None, "network"] = None
    """Sizes of hidden layers, such as 512 512."""
    dropout: Annotated[float | None, "network"] = None
    """Share of inputs dropped in training."""
    norm: Annotated[NormName | None, "network"] = None
    """Norm: batch, group, local or none."""
    norm_place: Annotated[Place | None, "network"] = None
    """Of the norm: before or after, or pooled."""
    activation: Annotated[Activation | None, "network"] = None
    """relu, tanh, gelu or silu."""
    pool: Annotated[PoolName | None, "network"] = None
    """overlapping, separate or average."""
    groups: Annotated[int | None, "network"] = None
    """Groups in conv2, 4 and 5; 2 in the paper."""

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
            mine = "the JSON given" if self.architecture.startswith("{") else repr(self.architecture)
            raise SettingsError(
                f"variant is {self.variant!r}, but {mine} is another network; use --architecture none to clear it"
            )
        return resolve(load_architecture(self.architecture), **changes)
