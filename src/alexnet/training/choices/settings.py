"""What a user chooses for a training run, and how it is written down."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from alexnet.data.batches.augmentation import Crop
from alexnet.errors import SettingsError, nearest, shown
from alexnet.files.paths import expanded
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.images.pixels import PixelKind
from alexnet.network.value.options import NetworkOptions
from alexnet.network.value.variants import VARIANTS
from alexnet.training.choices.recipe import Recipe, RecipeName, change
from alexnet.training.choices.recipes import RECIPES

_BY_SWITCH = {"auto": None, "on": True, "off": False}
Precision = Literal["auto", "bf16", "fp32"]
Switch = Literal["auto", "on", "off"]
Balance = Literal["none", "loss", "sampler"]
TrackerName = Literal["tensorboard", "wandb", "mlflow"]
# With a time limit alone, a run has at most this many times its recipe's epochs: a set so small that more would fit has
# long been learned by then.
MOST_TIMED = 5
# What a run's settings.json holds beside the settings: the data, and what followed from both.
BESIDE = ("data", "resolved")


@dataclass(frozen=True, kw_only=True)
class Settings(NetworkOptions):
    """What to train, and how. What is None is chosen by the recipe, the data, the machine and the time there is.

    Raises:
        SettingsError: values that cannot work.
    """

    recipe: RecipeName = "modern"
    """How the network learns."""
    epochs: int | None = None
    """Passes over the training images; auto: the recipe's, or as many as the time limit allows."""
    time_limit: str | None = None
    """End within this time, preparation included: 90s, 10m, 1.5h. Sizes, epochs and learning rate follow from it."""
    image_size: int | None = None
    """Side of the images in pixels; auto: the recipe's, the network's, or less where images are small or time is
    short."""
    in_channels: Literal[3, 1] | None = None
    """Channels of the images: 3 for colour, 1 for their luminance; auto: 3, or those of the network in the file."""
    resize: Resize = "squash"
    """How images become square: squash changes the aspect, crop cuts the ends off, pad adds borders."""
    max_pixels: int = MAX_PIXELS
    """Images that claim more are skipped, before any of them is decoded."""
    data_dir: str | None = None
    """Folder of the named sets, to which they are downloaded; none: one of your system's."""
    batch_size: int | None = None
    """Images a step, of all processes together; auto: the recipe's, which for modern follows data and device."""
    accumulate: int = 1
    """Parts in which a step is computed, one after another, where memory is short; batch norm sees each alone."""
    lr: float | None = None
    """Peak learning rate; auto: the recipe's, in proportion to the batch size."""
    weight_decay: float | None = None
    """Shrinking of weights at each step, 5e-4 in the paper; auto: the recipe's."""
    label_smoothing: float | None = None
    """Share of each label spread over all classes; auto: the recipe's."""
    clip_norm: float | None = None
    """Longest gradient, the norm over all weights; 0 for any; auto: the recipe's."""
    ema: float | None = None
    """Share of the training so far over which the kept weights are averaged; 0 for none; auto: the recipe's."""
    balance: Balance = "none"
    """For classes of unequal size: loss counts rare images for more, sampler shows them more often."""
    patience: int | None = None
    """Stop after so many epochs without a better loss on val, and keep the best epoch; auto: never."""
    init: str | None = None
    """Weights to begin with: a run, a model, a .safetensors, .pth or .npz file, torchvision (in full
    torchvision:IMAGENET1K_V1), or hf:user/name of the Hugging Face hub. They learn at a fifth of the rate."""
    init_take: Literal["all", "fitting"] = "all"
    """Of --init: all of it, but for classes, channels and size, or else nothing; or whatever fits."""
    init_pixels: PixelKind = "rgb"
    """What --init was trained on: rgb, bgr, or caffe: bgr from 0 to 255 less the mean."""
    init_key: str | None = None
    """Which weights to take, where the file of --init holds several, as model_ema; none: the only ones."""
    freeze: str | None = None
    """Layers of --init to leave as they are: up to and with this one, as conv3, or conv for all convolutions."""
    flip: Switch = "auto"
    """Mirror half of the images; auto: unless mirroring changes what they are, as with digits."""
    crop: Crop | None = None
    """Crops: resized vary in area and aspect, paper are 7/8 of the side wide, whole is none; auto: the recipe's."""
    colour_shift: float | None = None
    """Spread of random shifts along the principal colours, 0.1 in the paper; auto: the recipe's."""
    trivial_augment: Switch = "auto"
    """One random operation of TrivialAugment an image; auto: the recipe's."""
    turn: Switch = "auto"
    """Turn images by quarters, for things that have no way up; auto: the recipe's."""
    erasing: float | None = None
    """Share of images of which a rectangle is erased; auto: the recipe's."""
    mixup: float | None = None
    """Alpha of mixup, which blends images in pairs, as 0.2; 0 for none; auto: the recipe's."""
    cutmix: float | None = None
    """Alpha of cutmix, which puts a rectangle of one image into another, as 1; 0 for none; auto: the recipe's."""
    seed: int = 0
    """The same seed gives the same split, weights and batches."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Precision = "auto"
    """Arithmetic; auto: bf16 where the hardware computes faster with it, else fp32."""
    compile: Switch = "off"
    """Compile the network first, which takes a minute; needs a C++ compiler on a CPU; auto: on CUDA."""
    checkpoint_minutes: float = 5.0
    """Minutes between checkpoints; one is saved at the end in any case."""
    track: tuple[TrackerName, ...] = ()
    """Where to report epochs to, beside metrics.jsonl: tensorboard, wandb, mlflow; each is an extra to install."""

    def __post_init__(self) -> None:
        choices: tuple[tuple[str, str | None, Iterable[str | None]], ...] = (
            ("recipe", self.recipe, RECIPES),
            ("variant", self.variant, VARIANTS),
            ("flip", self.flip, get_args(Switch)),
            ("trivial_augment", self.trivial_augment, get_args(Switch)),
            ("turn", self.turn, get_args(Switch)),
            ("compile", self.compile, get_args(Switch)),
            ("balance", self.balance, get_args(Balance)),
            *(("tracker", each, get_args(TrackerName)) for each in self.track),
            ("crop", self.crop, (None, *get_args(Crop))),
            ("resize", self.resize, get_args(Resize)),
            ("init_take", self.init_take, ("all", "fitting")),
            ("init_pixels", self.init_pixels, get_args(PixelKind)),
            ("precision", self.precision, get_args(Precision)),
        )
        for name, choice, known in choices:
            if choice not in (known := tuple(known)):
                raise SettingsError(f"unknown {name} {shown(choice)}{nearest(str(choice), filter(None, known))}")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"seed is {self.seed}; it must be 0 or more, and below 2^63")
        if self.max_pixels < 1:
            raise SettingsError(f"max_pixels is {self.max_pixels}; it must be at least 1")
        for name in ("epochs", "batch_size", "image_size", "accumulate", "patience", "seed", "max_pixels"):
            if not isinstance(value := getattr(self, name), int | None):
                raise SettingsError(f"{name} is {value!r}; it must be a whole number")
        for name in ("data_dir", "init", "freeze", "device", "architecture"):
            if not isinstance(value := getattr(self, name), str | os.PathLike | None):
                raise SettingsError(f"{name} is {shown(value)}; it must be text")
        for name in ("accumulate", "patience"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise SettingsError(f"{name} is {value}; it must be at least 1")
        for name in ("init_take", "init_pixels", "init_key"):
            if self.init is None and getattr(self, name) != getattr(Settings, name):
                raise SettingsError(
                    f"{name} is {getattr(self, name)!r}, but there are no weights to take; give --init too"
                )
        if self.freeze is not None and self.init is None:
            raise SettingsError(f"freeze is {self.freeze!r}, but untrained layers would never learn; give --init too")
        if not 0 < self.checkpoint_minutes < float("inf"):
            raise SettingsError(f"checkpoint_minutes is {self.checkpoint_minutes}; it must be a number above 0")
        self.seconds()
        self.resolved_recipe()
        # Refuses what cannot be built, or a size that it cannot take, before any image is read.
        if self.n_channels not in (1, 3):
            raise SettingsError(f"in_channels is {self.n_channels}; images have 3, or 1 for their luminance")

    @property
    def n_channels(self) -> int:
        """Channels of the images."""
        return self.network(image_size=self.image_size, in_channels=self.in_channels).in_channels

    def seconds(self) -> float | None:
        """Return the time limit in seconds."""
        return None if self.time_limit is None else parse_duration(self.time_limit)

    def resolved_recipe(self) -> Recipe:
        """Return the recipe with this run's changes; whether ``auto`` mirrors depends on the data as well."""
        augmentation = {
            "flip": _BY_SWITCH[self.flip],
            "crop": self.crop,
            "colour_shift": self.colour_shift,
            "trivial_augment": _BY_SWITCH[self.trivial_augment],
            "turn": _BY_SWITCH[self.turn],
            "erasing": self.erasing,
            "mixup": self.mixup,
            "cutmix": self.cutmix,
        }
        recipe = RECIPES[self.recipe]
        return change(
            recipe,
            batch_size=self.batch_size,
            lr=self.lr,
            augmentation=augmentation,
            epochs=self.epochs,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            clip_norm=self.clip_norm,
            ema=self.ema,
        )

    def n_epochs(self) -> int:
        """Return the number of epochs at most."""
        if self.epochs is None and self.time_limit is not None:
            return MOST_TIMED * RECIPES[self.recipe].epochs
        return self.resolved_recipe().epochs

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary that ``from_json`` turns into an equal value."""
        saved = asdict(self)
        if self.architecture is not None and self.architecture.startswith("{"):
            saved["architecture"] = json.loads(self.architecture)
        return saved

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Settings":
        """Rebuild a value from ``to_json``, or from what a run's ``settings.json`` holds, which is that and more.

        Raises:
            SettingsError: unknown fields (the nearest known one is named) or values that cannot work.
        """
        known = {field.name for field in fields(cls)}
        saved = {name: value for name, value in saved.items() if name not in BESIDE}
        for key in saved:
            if key not in known:
                raise SettingsError(f"unknown setting {shown(key)}{nearest(key, known)}")
        track, architecture = saved.get("track", ()), saved.get("architecture")
        saved["track"] = (track,) if isinstance(track, str) else tuple(track)
        if isinstance(saved.get("hidden"), list):
            saved["hidden"] = tuple(saved["hidden"])
        if isinstance(architecture, dict):
            saved["architecture"] = json.dumps(architecture)
        return cls(**saved)


def load_settings(path: str | os.PathLike[str]) -> tuple[str | None, Settings]:
    """Read the ``settings.json`` of a run, or a file like it that holds some of the options by name.

    Returns:
        The data it was trained on, where the file says, as ``open_source`` takes it anywhere; and the settings.

    Raises:
        SettingsError: the file cannot be read, or holds what is no setting.
    """
    try:
        saved = parse_object(expanded(path).read_text(encoding="utf-8"))
        data = as_kind(str | None, saved.get("data"), "data")
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read the settings in {os.fspath(path)!r}: {error}") from error
    if data is not None and "resolved" in saved:  # by a run
        from alexnet.data.sources.open import as_recorded  # imports more than the command line may at its start

        data = as_recorded(data)
    try:
        return data, Settings.from_json(saved)
    except TypeError as error:  # a number where text should be
        raise SettingsError(f"{os.fspath(path)!r} holds a setting of the wrong kind: {error}") from error


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Return seconds for ``90``, ``90s``, ``10m`` or ``1.5h``.

    Raises:
        SettingsError: the text is none of these, or not above zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(text).strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"time_limit is {str(text)[:40]!r}; give a time such as 90s, 10m or 1.5h")
    return seconds
