"""The settings of a training run, and their JSON."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from alexnet.data.batches.augmentation import Augmentation, Crop
from alexnet.errors import SettingsError, nearest, shown
from alexnet.files.paths import expanded
from alexnet.files.typed_json import as_kind, parse_object
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.images.pixels import PixelKind
from alexnet.network.value.options import NetworkOptions
from alexnet.network.value.variants import VARIANTS
from alexnet.training.choices.recipe import OptimizerName, Recipe, RecipeName, change
from alexnet.training.choices.recipes import RECIPES

_BY_SWITCH = {"auto": None, "on": True, "off": False}
Precision = Literal["auto", "bf16", "fp32"]
Switch = Literal["auto", "on", "off"]
Balance = Literal["none", "loss", "sampler"]
TrackerName = Literal["tensorboard", "wandb", "mlflow"]
# With a time limit but no --epochs, a run has at most this many times the recipe's epochs. Only small data sets would
# get more, and those are learned by then.
TIMED_EPOCHS_FACTOR = 5
# Keys of a run's settings.json that are not settings.
NOT_SETTINGS = ("data", "resolved")


@dataclass(frozen=True, kw_only=True)
class Settings(NetworkOptions):
    """What to train, and how. None leaves a choice to the recipe, the data, the machine or the time limit.

    The words beside a type are for ``--help``, as ``commands.help`` says. docs/training.md explains each option.

    Raises:
        SettingsError: invalid values.
    """

    recipe: Annotated[RecipeName, "common"] = "modern"
    """modern, paper, article or original."""
    time_limit: Annotated[str | None, "common", "TIME"] = None
    """Finish in this time: 90s, 10m, 1.5h."""
    epochs: Annotated[int | None, "common"] = None
    """Passes over the training images."""
    image_size: Annotated[int | None, "common"] = None
    """Side of the images in pixels."""
    init: Annotated[str | None, "common", "WEIGHTS"] = None
    """Weights to start from: run, model or file."""

    optimizer: Annotated[Literal["auto", "sgd", "muon"], "learning"] = "auto"
    """sgd, or muon for the convolutions."""
    batch_size: Annotated[int | None, "learning"] = None
    """Images per step, over all processes."""
    lr: Annotated[float | None, "learning"] = None
    """Peak learning rate."""
    weight_decay: Annotated[float | None, "learning"] = None
    """Weight decay; 5e-4 in the paper."""
    label_smoothing: Annotated[float | None, "learning"] = None
    """Share of a label spread over all classes."""
    clip_norm: Annotated[float | None, "learning"] = None
    """Clip gradients to this norm; 0: never."""
    ema: Annotated[float | None, "learning"] = None
    """Weight average over this share of training."""
    balance: Annotated[Balance, "learning"] = "none"
    """Rare classes: more loss, or more samples."""
    patience: Annotated[int | None, "learning"] = None
    """Stop N epochs after the best; auto: never."""
    init_take: Annotated[Literal["all", "fitting"], "learning"] = "all"
    """Take all of --init, or only what fits."""
    init_pixels: Annotated[PixelKind, "learning"] = "rgb"
    """Pixels of --init: rgb, bgr or caffe."""
    init_key: Annotated[str | None, "learning", "KEY"] = None
    """Key in the --init file, such as model_ema."""
    freeze: Annotated[str | None, "learning", "LAYER"] = None
    """Freeze --init up to this layer, or conv."""

    in_channels: Annotated[Literal[3, 1] | None, "images"] = None
    """3 for colour, 1 for grey."""
    resize: Annotated[Resize, "images"] = "squash"
    """How images become square."""
    max_pixels: Annotated[int, "images"] = MAX_PIXELS
    """Skip images that claim more."""
    data_dir: Annotated[str | None, "images", "FOLDER"] = None
    """Where named sets are downloaded to."""
    crop: Annotated[Crop | None, "images"] = None
    """Random crops: resized, paper or whole."""
    flip: Annotated[Switch, "images"] = "auto"
    """Mirror half of the images."""
    turn: Annotated[Switch, "images"] = "auto"
    """Rotate images by quarter turns."""
    colour_shift: Annotated[float | None, "images"] = None
    """Shift colours; 0.1 in the paper, 0: off."""
    trivial_augment: Annotated[Switch, "images"] = "auto"
    """One TrivialAugment operation per image."""
    erasing: Annotated[float | None, "images"] = None
    """Share of images with an erased rectangle."""
    mixup: Annotated[float | None, "images"] = None
    """Alpha of mixup, such as 0.2; 0: off."""
    cutmix: Annotated[float | None, "images"] = None
    """Alpha of cutmix, such as 1; 0: off."""

    device: Annotated[str, "machine", "DEVICE"] = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: Annotated[Precision, "machine"] = "auto"
    """Arithmetic of the network."""
    compile: Annotated[Switch, "machine"] = "off"
    """Compile the network first."""
    accumulate: Annotated[int, "machine"] = 1
    """Compute a step in N parts, to save memory."""

    seed: Annotated[int, "run"] = 0
    """Same seed: same split, weights, batches."""
    split_seed: Annotated[int | None, "run", "N", "--seed"] = None
    """Seed of the split alone."""
    checkpoint_minutes: Annotated[float, "run"] = 5.0
    """Minutes between checkpoints."""
    track: Annotated[tuple[TrackerName, ...], "run"] = ()
    """Report to tensorboard, wandb or mlflow."""

    def __post_init__(self) -> None:
        choices: tuple[tuple[str, str | None, Iterable[str | None]], ...] = (
            ("recipe", self.recipe, RECIPES),
            ("variant", self.variant, (None, *VARIANTS)),
            ("optimizer", self.optimizer, ("auto", *get_args(OptimizerName))),
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
        for name in ("seed", "split_seed"):
            if isinstance(value := getattr(self, name), int) and not 0 <= value < 2**63:
                raise SettingsError(f"{name} is {value}; it must be 0 or more, and below 2^63")
        if self.max_pixels < 1:
            raise SettingsError(f"max_pixels is {self.max_pixels}; it must be at least 1")
        for name in (
            "epochs",
            "batch_size",
            "image_size",
            "accumulate",
            "patience",
            "seed",
            "split_seed",
            "max_pixels",
        ):
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
                    f"{name} is {getattr(self, name)!r}, but there are no weights to load; give --init too"
                )
        if self.freeze is not None and self.init is None:
            raise SettingsError(f"freeze is {self.freeze!r}, but random layers cannot be frozen; give --init too")
        if not 0 < self.checkpoint_minutes < float("inf"):
            raise SettingsError(f"checkpoint_minutes is {self.checkpoint_minutes}; it must be a number above 0")
        self.time_limit_seconds()
        _ = self.resolved_recipe
        # Before any image is read.
        self.check(image_size=self.image_size, in_channels=self.in_channels)
        if self.n_channels not in (1, 3):
            raise SettingsError(f"in_channels is {self.n_channels}; it must be 3, or 1 for luminance")

    @property
    def n_channels(self) -> int:
        """Channels of the images; 3 where they are still to be chosen."""
        return self.in_channels or self.base.in_channels

    def time_limit_seconds(self) -> float | None:
        """Return the time limit in seconds."""
        return None if self.time_limit is None else parse_duration(self.time_limit)

    @cached_property
    def resolved_recipe(self) -> Recipe:
        """The recipe with the user's changes. An option changes the field of the same name in it or its augmentation.

        ``--flip auto`` also depends on the data.
        """
        augmentation = self._given_for(Augmentation)
        augmentation |= {name: _BY_SWITCH[augmentation[name]] for name in ("flip", "turn", "trivial_augment")}
        given = self._given_for(Recipe) | {"optimizer": None if self.optimizer == "auto" else self.optimizer}
        recipe = RECIPES[self.recipe]
        # Own networks keep their dropout and their random weights.
        own = None if self.architecture is None else self.network()
        given["dropout"] = self.dropout if own is None else own.dropout
        given["initialisation"] = None if own is None else own.initialisation
        if recipe.few_passes is not None and given["dropout"] is not None:
            given["few_passes"] = replace(recipe.few_passes, dropout=given["dropout"])
        return change(recipe, augmentation=augmentation, **given)

    def _given_for(self, value: type[Augmentation] | type[Recipe]) -> dict[str, Any]:
        """Return the options that are fields of a class."""
        return {field.name: getattr(self, field.name) for field in fields(value) if hasattr(self, field.name)}

    def n_epochs(self) -> int:
        """Return the maximum number of epochs."""
        if self.epochs is None and self.time_limit is not None:
            return TIMED_EPOCHS_FACTOR * RECIPES[self.recipe].epochs
        return self.resolved_recipe.epochs

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary that ``from_json`` turns into an equal value."""
        saved = asdict(self)
        if self.architecture is not None and self.architecture.startswith("{"):
            saved["architecture"] = json.loads(self.architecture)
        return saved

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Settings":
        """Read the output of ``to_json``, or a run's ``settings.json``, which has more keys.

        Raises:
            SettingsError: unknown fields (the nearest known one is named) or invalid values.
        """
        known = {field.name for field in fields(cls)}
        saved = {name: value for name, value in saved.items() if name not in NOT_SETTINGS}
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
    """Read the ``settings.json`` of a run, or a file with some of its keys.

    Returns:
        The data, if the file names any, as an argument of ``open_source``; and the settings.

    Raises:
        SettingsError: the file cannot be read, or has an unknown or invalid setting.
    """
    try:
        saved = parse_object(expanded(path).read_text(encoding="utf-8"))
        data = as_kind(str | None, saved.get("data"), "data")
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read the settings in {os.fspath(path)!r}: {error}") from error
    if data is not None and "resolved" in saved:  # written by a run
        from alexnet.data.sources.open import as_recorded  # imported late: it would slow the start of the command line

        data = as_recorded(data)
    try:
        return data, Settings.from_json(saved)
    except TypeError as error:  # such as a number instead of text
        raise SettingsError(f"{os.fspath(path)!r} has a setting of the wrong type: {error}") from error


# Neither the standard library nor a dependency parses "1.5h": argparse and tyro leave durations to the caller.
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Return the seconds in ``90``, ``90s``, ``10m`` or ``1.5h``.

    Raises:
        SettingsError: the text has another form, or is not above zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(text).strip())
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds < float("inf"):
        raise SettingsError(f"time_limit is {str(text)[:40]!r}; give a time such as 90s, 10m or 1.5h")
    return seconds
