"""The command that trains a network, and measures a learning rate for it."""

import shlex
import signal
import time
from typing import Annotated

import tyro

from alexnet.errors import SettingsError
from alexnet.training.choices.settings import Settings


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
    """Train a network on a folder of images.

    Ctrl-C saves and stops; --resume goes on from there.

    Args:
        data: A folder of class folders; one with train, val and test folders of those; a manifest (CSV, TSV, JSONL)
            with the columns path, label and maybe split; a .zip or .tar archive of any of these; or the name of a
            set, such as digits or cifar10 (set:digits where a folder is called so too), or hf: and a Hugging Face
            data set.
        out: The run folder to make, NAME being the data's; a run is never overwritten.
        resume: A run folder to continue, with its own settings; DATA says where its images are now, if they moved.
        settings_file: The settings.json of a run, to train like it: what it says are the defaults of all options.
        find_lr: Measure which learning rate suits instead of training: writes lr.csv and lr.png into RUN, and trains
            nothing.
        settings: How to train.
    """
    assert settings_file is None, "cli has read it before the other options, whose defaults it sets"
    from alexnet.commands import display
    from alexnet.training.session import Session

    if find_lr:
        if resume is not None:
            raise SettingsError("--find-lr measures for a new run, and --resume continues one; leave one out")
        return _find_lr("set:digits" if data is None else data, out, settings)
    session = Session.open(data, out=out, settings=settings, resume=resume, track=display.track)
    training, folder = session.training, session.run.folder
    display.introduce(session)
    with display.stop_on_signal(training.stop, alone=training.group.world_size == 1):
        for _ in display.show(session.reports()):
            pass
    if training.stop.agreed:
        display.say(f"saved; go on with: alexnet train --resume {shlex.quote(str(folder))}")
        return 128 + (training.stop.signal or signal.SIGTERM)
    if training.group.is_main:
        print(f"trained {folder}: val top-1 {session.model_epoch.val_top1:.3f}")
    return 0


# What says how long a run is, or where it is kept; --find-lr makes none.
UNUSED_BY_FIND_LR = ("lr", "epochs", "ema", "patience", "track", "checkpoint_minutes")


def _find_lr(data: str, out: str | None, settings: Settings) -> int:
    """Measure which learning rate suits, print it, and leave what was measured in a folder of its own."""
    from alexnet.commands import display
    from alexnet.training.assembly import prepare_training
    from alexnet.training.finder import N_STEPS, LRCurve, find_lr, save_plot
    from alexnet.training.machine.distributed import is_launched
    from alexnet.training.run.out_folder import check_out_folder, create_out_folder

    unused = [name for name in UNUSED_BY_FIND_LR if getattr(settings, name) != getattr(Settings(), name)]
    if unused:
        raise SettingsError(f"--find-lr has no use for --{unused[0].replace('_', '-')}; leave it out")
    if is_launched():
        raise SettingsError("--find-lr measures in one process; start it without torchrun")
    if out is not None:
        check_out_folder(out)
    source, store, training = prepare_training(data, settings, began=time.monotonic(), track=display.track)
    display.warn_of(source.warnings + store.warnings)
    display.warn_of_skipped(store.skipped)
    batch_size, size = training.plan.recipe.batch_size, training.plan.size_at(0.0)
    display.say(f"up to {N_STEPS} steps with batches of {batch_size} at {size} px on {training.runtime.device}")
    trials = display.track(find_lr(training), N_STEPS, "learning rates tried")
    curve = LRCurve.of(trials, len(training.classes))
    file = create_out_folder(out, source, lambda folder: save_plot(curve, folder), "-lr")
    display.say(f"see {file}")
    if file.suffix == ".csv":
        display.say("for an image of it: pip install 'alexnet[plots]'")
    if curve.suggested is None:
        print("no learning rate suggested: nothing was learnt at any of them; look at the images and their labels")
        return 1
    lr = f"{curve.suggested:.2g}"
    print(f"suggested learning rate: {lr} (for batches of {batch_size}); try: --lr {lr} --batch-size {batch_size}")
    return 0
