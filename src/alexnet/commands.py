"""The commands: one function each, its signature the options, its docstring the help.

Nothing heavy is imported before a command needs it: ``alexnet --help`` answers at once.
"""

import signal
import time
from pathlib import Path
from typing import Annotated, Literal

import tyro

from alexnet.data.choices import MAX_PIXELS, Resize
from alexnet.errors import SettingsError
from alexnet.network.custom import Custom
from alexnet.training.settings import Settings
from alexnet.usage import UsageError


def summary(
    *,
    custom: Annotated[Custom, tyro.conf.arg(name="")] = Custom(),  # noqa: B008
    n_classes: int = 3,
    in_channels: int = 3,
    image_size: int | None = None,
    as_: Annotated[Literal["table", "mermaid", "json"], tyro.conf.arg(name="as")] = "table",
) -> int:
    """Show a network layer by layer: shapes, parameters, multiply-adds.

    Args:
        custom: Which network.
        n_classes: Classes to tell apart.
        in_channels: Channels of a picture: 3 for RGB, 1 for grey.
        image_size: Side of the pictures, in pixels; auto: the variant's, 224 in most.
        as_: A table, a Mermaid drawing for Markdown, or JSON.
    """
    from alexnet.network import diagram

    draw = {"table": diagram.table, "mermaid": diagram.mermaid, "json": diagram.as_json}[as_]
    print(draw(custom.network(n_classes=n_classes, in_channels=in_channels, image_size=image_size)))
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
    _at_least_1("max_pixels", max_pixels)
    source = open_source(data, data_dir)
    display.warn_of(source.remarks)
    report = look(source, max_pixels=max_pixels, track=display.track)
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
    _at_least_1("size", size)
    _at_least_1("max_pixels", max_pixels)
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
    settings_file: Annotated[
        str | None, tyro.conf.arg(name="settings", metavar="FILE", help_behavior_hint="(default: none)")
    ] = None,
    find_lr: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
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
        settings_file: The settings.json of a run, to train like it: what it says are the defaults of all options.
        find_lr: Measure which learning rate suits instead of training: writes lr.csv and lr.png into RUN, and trains
            nothing.
        settings: How to train.
    """
    assert settings_file is None, "cli has read it before the other options, whose defaults it sets"
    from alexnet import display
    from alexnet.training.distributed import leave
    from alexnet.training.session import Session

    if find_lr:
        if resume is not None:
            raise SettingsError("--find-lr measures for a new run, and --resume continues one; leave one out")
        return _find_lr("digits" if data is None else data, out, settings)
    session = Session.open(data, out=out, settings=settings, resume=resume, track=display.track)
    training, folder = session.training, session.run.folder
    display.introduce(session)
    with display.stop_on_signal(training.stop, alone=training.group.n_ranks == 1):
        for _ in display.show(session.reports()):
            pass
    leave()
    if training.stop.agreed:
        display.say(f"saved; go on with: alexnet train --resume {folder}")
        return 128 + (training.stop.signal or signal.SIGTERM)
    if training.group.leads:
        print(f"trained {folder}: val top-1 {session.kept_epoch.val_top1:.3f}")
    return 0


# What says how long a run is, or where it is kept; --find-lr makes none.
UNUSED_BY_FIND_LR = ("lr", "epochs", "ema", "patience", "track", "checkpoint_minutes")


def _find_lr(data: str, out: str | None, settings: Settings) -> int:
    """Measure which learning rate suits, print it, and leave what was measured in a folder of its own."""
    from alexnet import display
    from alexnet.training.assembly import get_ready
    from alexnet.training.distributed import is_launched
    from alexnet.training.finder import N_STEPS, Finding, find_lr, save_plot
    from alexnet.training.run import refuse_existing
    from alexnet.training.session import free_folder

    unused = [name for name in UNUSED_BY_FIND_LR if getattr(settings, name) != getattr(Settings(), name)]
    if unused:
        raise SettingsError(f"--find-lr has no use for --{unused[0].replace('_', '-')}; leave it out")
    if is_launched():
        raise SettingsError("--find-lr measures in one process; start it without torchrun")
    if out is not None:
        refuse_existing(Path(out))
    source, store, training = get_ready(data, settings, began=time.monotonic(), track=display.track)
    display.warn_of(source.remarks)
    display.warn_of_skipped(store.skipped)
    batch_size, size = training.plan.recipe.batch_size, training.plan.size_at(0.0)
    display.say(f"up to {N_STEPS} steps with batches of {batch_size} at {size} px on {training.runtime.device}")
    trials = display.track(find_lr(training), N_STEPS, "learning rates tried")
    finding = Finding.of(trials, len(training.classes))
    folder = Path(out) if out else free_folder(source, "-lr")
    plot = save_plot(finding, folder)
    display.say(f"see {plot or folder / 'lr.csv'}")
    if plot is None:
        display.say("for a picture of it: pip install 'alexnet[plots]'")
    if finding.suggested is None:
        print("no learning rate suggested: nothing was learnt at any of them; look at the pictures and their labels")
        return 1
    lr = f"{finding.suggested:.2g}"
    print(f"suggested learning rate: {lr} (for batches of {batch_size}); try: --lr {lr} --batch-size {batch_size}")
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
        model: A run folder, the model folder in it, or user/name on the Hugging Face hub.
        data: Labelled pictures, as for training.
        split: Which part of them; auto: test, or everything where the data is not split.
        max_pixels: Pictures that claim more are skipped; auto: as in training.
        data_dir: Folder of the named sets; none: as in training.
        json_: Print one JSON object instead of tables.
    """
    from alexnet import display, tables
    from alexnet.evaluation.scoring import evaluate as score

    _at_least_1("max_pixels", max_pixels)
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
        model: A run folder, the model folder in it, or user/name on the Hugging Face hub.
        picture: Pictures, or folders of them.
        top: How many classes to name, most probable first.
        max_pixels: Pictures that claim more are refused; auto: as in training.
        format_: A line of words, a JSON object, or a line of CSV for each picture.
    """
    from alexnet import tables
    from alexnet.inference.classifier import load

    if not picture:
        raise UsageError("predict needs at least one picture or folder")
    _at_least_1("top", top)
    _at_least_1("max_pixels", max_pixels)
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


def push(
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")],
    repo: Annotated[str, tyro.conf.arg(metavar="REPO")],
    /,
    *,
    private: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> int:
    """Give a trained network to others on the Hugging Face hub.

    Log in once before, with hf auth login. The weights, config.json and the README go out, and no pictures.

    Args:
        model: A run folder, or the model folder in it.
        repo: user/name on the hub; made where it does not exist.
        private: Only you may see it.
    """
    from alexnet.inference.hub import push as push_to_hub

    print(push_to_hub(model, repo, private=private))
    return 0


def _at_least_1(name: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise SettingsError(f"{name} is {value}; it must be at least 1")


COMMANDS = {
    "summary": summary,
    "check": check,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "push": push,
}
