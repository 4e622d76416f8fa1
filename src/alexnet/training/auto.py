"""Choose the variant and the channels, where they are auto, by the images or by the weights to start from."""

from dataclasses import replace
from typing import Literal

from alexnet.data.store.store import Store
from alexnet.network.value.variants import VARIANTS, Variant
from alexnet.pretrained.loading import saved_architecture
from alexnet.training.choices.recipes import RECIPES
from alexnet.training.choices.settings import Settings

# Images up to this size are small: CIFAR-10 has 32 px, Tiny ImageNet 64.
MAX_SMALL = 64


def choose_by_init(settings: Settings) -> tuple[Settings, str]:
    """Return the settings with the variant and channels of the model in ``--init``, if these are auto, and a note.

    Weights in other formats do not record them: then they are ``batchnorm`` and 3.

    Raises:
        ArtifactError: the model cannot be read.
    """
    is_chosen = settings.variant is not None and settings.in_channels is not None
    if settings.init is None or settings.architecture is not None or is_chosen:
        return settings, ""
    net = saved_architecture(settings.init)
    why = "not recorded in --init" if net is None else "as in --init"
    # A network of one's own may have another name, and any number of channels.
    variant: Variant = next((name for name in VARIANTS if net is not None and name == net.variant), "batchnorm")
    return _chosen(settings, variant, why, 1 if net is not None and net.in_channels == 1 else 3, why)


def choose_by_images(settings: Settings, store: Store) -> tuple[Settings, str]:
    """Return the settings with variant and channels chosen for the images, if these are auto, and a note.

    The variant is ``small`` if no image is longer than ``MAX_SMALL`` pixels, else ``batchnorm``; the image size of the
    settings does not matter. A recipe with its own image size is for ``batchnorm``. Grey images have one channel.
    """
    if settings.architecture is not None:
        return settings, ""
    recipe_size, longest = RECIPES[settings.recipe].image_size, store.longest_side
    variant: Variant = "small" if recipe_size is None and longest <= MAX_SMALL else "batchnorm"
    compared = "at most" if longest <= MAX_SMALL else "more than"
    why = f"the longest side of any image is {longest} px, {compared} {MAX_SMALL}"
    if recipe_size is not None:
        why = f"the recipe {settings.recipe} has images of {recipe_size} px"
    colours = "all images are grey" if store.is_grey else "not all images are grey"
    return _chosen(settings, variant, why, 1 if store.is_grey else 3, colours)


def _chosen(
    settings: Settings, variant: Variant, why_variant: str, n_channels: Literal[3, 1], why_channels: str
) -> tuple[Settings, str]:
    """Return the settings with what is auto replaced, and a note on why."""
    notes = []
    if settings.variant is None:
        notes.append(f"variant {variant}: {why_variant}")
    if settings.in_channels is None:
        notes.append(f"{n_channels} {'channel' if n_channels == 1 else 'channels'}: {why_channels}")
    chosen = replace(settings, variant=settings.variant or variant, in_channels=settings.in_channels or n_channels)
    return chosen, "; ".join(notes)
