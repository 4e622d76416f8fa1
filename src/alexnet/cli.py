"""The command ``alexnet``: one function a command, its signature the options, its docstring the help.

Nothing heavy is imported before a command needs it: ``alexnet --help`` answers at once.
"""

import contextlib
import functools
import inspect
import io
import os
import sys
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from alexnet.data.choices import MAX_PIXELS, Resize
from alexnet.errors import AlexNetError, SettingsError, nearest
from alexnet.network.architecture import Variant
from alexnet.training.settings import Settings
from alexnet.usage import UsageError, one_line

DESCRIPTION = """Build, train, judge and use AlexNet image classifiers.

  alexnet train photos --time-limit 10m     photos holds one folder of pictures a class
  alexnet evaluate runs/photos
  alexnet predict runs/photos new.jpg"""


def summary(
    *,
    variant: Variant = "batchnorm",
    n_classes: int = 3,
    in_channels: int = 3,
    image_size: int = 224,
    as_: Annotated[Literal["table", "mermaid", "json"], tyro.conf.arg(name="as")] = "table",
) -> int:
    """Show a network layer by layer: shapes, parameters, multiply-adds.

    Args:
        variant: Which AlexNet.
        n_classes: Classes to tell apart.
        in_channels: Channels of a picture: 3 for RGB, 1 for grey.
        image_size: Side of the pictures, in pixels.
        as_: A table, a Mermaid drawing for Markdown, or JSON.
    """
    from alexnet.network import diagram
    from alexnet.network.architecture import resolve

    draw = {"table": diagram.table, "mermaid": diagram.mermaid, "json": diagram.as_json}[as_]
    print(draw(resolve(variant, n_classes=n_classes, in_channels=in_channels, image_size=image_size)))
    return 0


def check(
    data: Annotated[str, tyro.conf.arg(metavar="DATA")],
    /,
    *,
    json_: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = False,
    csv_: Annotated[bool, tyro.conf.arg(name="csv"), tyro.conf.FlagCreatePairsOff] = False,
    max_pixels: int = MAX_PIXELS,
    data_dir: str | None = None,
) -> int:
    """Look at pictures before training: what cannot be read, what is there twice, what is labelled twice.

    Reads every file and changes none. Exits with 1 where pictures cannot be read, where the same picture has two labels
    or is in two splits, else with 0.

    Args:
        data: Pictures, as for training.
        json_: Print one JSON object instead of tables.
        csv_: Print a line of CSV for each picture that something is wrong with.
        max_pixels: Pictures that claim more are unusable.
        data_dir: Folder of the named sets, to which they are downloaded; none: one of your system's.
    """
    from alexnet import display, tables
    from alexnet.data.check import check as look
    from alexnet.data.sources import open_source

    if json_ and csv_:
        raise UsageError("--json and --csv exclude each other; give one of them")
    report = look(open_source(data, data_dir), max_pixels=max_pixels, track=display.track)
    print((tables.check_json if json_ else tables.check_csv if csv_ else tables.check_report)(report))
    return 1 if report.is_harmful else 0


def prepare(
    data: Annotated[str | None, tyro.conf.arg(metavar="[DATA]", help_behavior_hint="")] = None,
    /,
    *,
    size: int = 256,
    resize: Resize = "squash",
    max_pixels: int = MAX_PIXELS,
    data_dir: str | None = None,
    where: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    clear: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> int:
    """Decode pictures once, so that training starts at once.

    The prepared pictures go to the cache folder of your system, or to the folder that ALEXNET_CACHE names, never into
    your own. Training and evaluating find them there, and make them where they are missing. A preparation that was
    stopped goes on from there.

    Args:
        data: Pictures, as for training.
        size: Side of the prepared pictures in pixels; less where all pictures are smaller. Training takes 256, or 8/7
            of an --image-size above 224.
        resize: How pictures become square: squash changes the aspect, crop cuts the ends off, pad adds borders.
        max_pixels: Pictures that claim more are skipped, before any of them is decoded.
        data_dir: Folder of the named sets, to which they are downloaded; none: one of your system's.
        where: Say where prepared pictures are kept, and how large they are.
        clear: Delete all prepared pictures; nothing of yours.
    """
    from alexnet import display
    from alexnet.data import store
    from alexnet.data.catalogue import cache_folder
    from alexnet.data.sources import open_source

    if [data is not None, where, clear].count(True) != 1:
        raise UsageError("prepare needs DATA, or --where, or --clear")
    if where:
        print(f"{cache_folder()}  {store.cache_size() / 1e6:.0f} MB")
        return 0
    if clear:
        print(f"deleted {store.clear() / 1e6:.0f} MB of prepared pictures from {cache_folder()}")
        return 0
    assert data is not None
    if size < 1:
        raise SettingsError(f"size is {size}; it must be at least 1")
    source = open_source(data, data_dir)
    display.warn_of(source.remarks)
    prepared = store.prepare(source, size, resize=resize, max_pixels=max_pixels, track=display.track)
    display.warn_of_skipped(prepared.skipped)
    megabytes = len(prepared.rows) * prepared.size**2 * 3 / 1e6
    print(f"{len(prepared.rows)} pictures of {len(source.classes)} classes, {prepared.size} px, {megabytes:.0f} MB")
    print(f"prepared in {prepared.folder}")
    return 0


def train(
    data: Annotated[str | None, tyro.conf.arg(metavar="[DATA]", help_behavior_hint="(default: digits)")] = None,
    /,
    *,
    out: Annotated[str | None, tyro.conf.arg(metavar="RUN", help_behavior_hint="(default: runs/NAME)")] = None,
    resume: Annotated[str | None, tyro.conf.arg(metavar="RUN", help_behavior_hint="(default: a new run)")] = None,
    settings: Annotated[Settings, tyro.conf.arg(name="")] = Settings(),  # noqa: B008
) -> int:
    """Train a network on a folder of photos.

    Ctrl-C saves and stops; --resume goes on from there.

    Args:
        data: A folder of class folders; one with train, val and test folders of those; a manifest (CSV, TSV, JSONL)
            with the columns path, label and maybe split; a .zip or .tar archive of any of these; or the name of a
            set, such as digits or cifar10, or hf: and a Hugging Face data set.
        out: The run folder to make, NAME being the data's; a run is never overwritten.
        resume: A run folder to continue, with its own data and settings.
        settings: How to train.
    """
    from alexnet import display
    from alexnet.training.session import Session

    session = Session.open(data, out=out, settings=settings, resume=resume, track=display.track)
    display.introduce(session)

    with display.stop_on_signal() as stop:
        for _ in display.show(session.reports()):
            if stop.number is not None:
                session.save()
                display.say(f"saved; go on with: alexnet train --resume {session.run.folder}")
                return 128 + stop.number
    print(f"trained {session.run.folder}: val top-1 {session.run.metrics()[-1]['val_top1']:.3f}")
    return 0


def evaluate(
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")],
    data: Annotated[str | None, tyro.conf.arg(metavar="[DATA]", help_behavior_hint="(default: the run's own)")] = None,
    /,
    *,
    split: Literal["train", "val", "test"] | None = None,
    max_pixels: int | None = None,
    data_dir: str | None = None,
    json_: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = False,
) -> int:
    """Judge a trained network on labelled pictures.

    Args:
        model: A run folder, or the model folder in it.
        data: Labelled pictures, as for training.
        split: Which part of them; auto: test, or everything where the data is not split.
        max_pixels: Pictures that claim more are skipped; auto: as in training.
        data_dir: Folder of the named sets; none: as in training.
        json_: Print one JSON object instead of tables.
    """
    from alexnet import display, tables
    from alexnet.evaluation.scoring import evaluate as score

    judged = score(model, data, split=split, max_pixels=max_pixels, data_dir=data_dir, track=display.track)
    display.warn_of(judged.remarks)
    display.warn_of_skipped(judged.skipped)
    print(tables.evaluation_json(judged) if json_ else tables.evaluation(judged))
    return 0


def predict(
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")],
    picture: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PICTURE [PICTURE ...]")],
    /,
    *,
    top: int = 5,
    max_pixels: int | None = None,
    format_: Annotated[Literal["table", "json", "csv"], tyro.conf.arg(name="format")] = "table",
) -> int:
    """Say what is in pictures; one that cannot be read never stops the others.

    Args:
        model: A run folder, or the model folder in it.
        picture: Pictures, or folders of them.
        top: How many classes to name, most probable first.
        max_pixels: Pictures that claim more are refused; auto: as in training.
        format_: A line of words, a JSON object, or a line of CSV for each picture.
    """
    from alexnet import tables
    from alexnet.inference.classifier import load

    if not picture:
        raise UsageError("predict needs at least one picture or folder")
    if top < 1:
        raise SettingsError(f"top is {top}; it must be at least 1")
    classifier = load(model, max_pixels=max_pixels)
    top = min(top, len(classifier.classes))
    n_failed = 0
    line = tables.answer_lines(format_, top)
    if header := tables.answer_header(format_, top):
        print(header)
    for answer in classifier.answers(picture, top):
        n_failed += answer.error is not None
        print(line(answer), flush=True)
    return 1 if n_failed else 0


COMMANDS = {
    "summary": summary,
    "check": check,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit.

    0: done. 1: the data or the settings are at fault. 2: wrong usage. 130 and 143: stopped by Ctrl-C or SIGTERM.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are no text
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        status = _fail(error, 2)
    except AlexNetError as error:
        status = _fail(error, 1)
    except KeyboardInterrupt:
        status = _fail("stopped", 130)
    except BrokenPipeError:
        # Whoever read our output has seen enough, as in "alexnet predict ... | head".
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        # A full disk, a folder that may not be written: the system's own words say what and where.
        status = _fail(f"{error}; check the disk and the permissions", 1)
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    Raises:
        UsageError: the command line cannot be understood.
        AlexNetError: the command cannot be done.
    """
    if not arguments:
        raise UsageError(f"give a command: {', '.join(COMMANDS)}; see alexnet --help")
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name not in COMMANDS:
        raise UsageError(f"unknown command {name!r}{nearest(name, COMMANDS)}; see alexnet --help")

    said = io.StringIO()
    registry = ConstructorRegistry()
    registry.primitive_rule(_auto)
    wants_help = bool({"-h", "--help"} & set(rest))
    try:
        with registry, contextlib.redirect_stderr(said), contextlib.nullcontext() if wants_help else _very_wide():
            command = tyro.cli(_deferred(COMMANDS[name]), prog=f"alexnet {name}", args=rest)
    except SystemExit as stop:
        if stop.code in (None, 0):
            return 0
        raise UsageError(f"{one_line(said.getvalue())}; see alexnet {name} --help") from None
    return int(command())


def _help() -> str:
    """Return what ``alexnet --help`` says. Ours, since tyro would read every command's options for it first."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {(inspect.getdoc(each) or '').splitlines()[0]}" for name, each in COMMANDS.items()]
    commands = "\n".join(lines)
    return f"usage: alexnet COMMAND ...\n\n{DESCRIPTION}\n\ncommands:\n{commands}\n\nalexnet COMMAND --help says more."


def _deferred(function: Any) -> Any:
    """Return a function that tyro reads like ``function``, but that only notes the arguments: parsing ends first."""

    @functools.wraps(function)
    def note(*args: Any, **kwargs: Any) -> functools.partial[int]:
        return functools.partial(function, *args, **kwargs)

    return note


@contextlib.contextmanager
def _very_wide() -> Iterator[None]:
    """Keep tyro from breaking what it says of wrong usage into lines, which ``one_line`` puts together again."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "2000"
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _auto(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Show an option that may be None as one that may be "auto"; text stays text, since a folder may be called so."""
    inner = [each for each in get_args(info.type) if each is not NoneType]
    if info.type_origin not in (Union, UnionType) or len(inner) != 1 or len(get_args(info.type)) != 2:
        return None
    kind = inner[0]
    choices = ("auto", *get_args(kind)) if get_origin(kind) is Literal else None
    convert = str if choices else kind
    nothing = "none" if kind is str else "auto"

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(choices) + "}" if choices else kind.__name__.upper(),
        choices=choices,
        instance_from_str=lambda words: None if words[0] == "auto" and kind is not str else convert(words[0]),
        is_instance=lambda value: value is None or isinstance(value, convert),
        str_from_instance=lambda value: [nothing if value is None else str(value)],
    )


def _fail(error: object, status: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return status
