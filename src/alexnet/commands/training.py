"""The command that trains a network, or measures a learning rate for it."""

import shlex
import signal
import time
from pathlib import Path
from typing import Annotated, Literal

from alexnet.errors import SettingsError, one_line
from alexnet.training.choices.settings import Settings


def train(
    data: Annotated[str | None, "common", "", "digits"] = None,
    /,
    *,
    out: Annotated[str | None, "common", "RUN", "runs/NAME"] = None,
    choices: Settings = Settings(),  # noqa: B008
    resume: Annotated[str | None, "common", "RUN"] = None,
    find_lr: Annotated[bool, "learning"] = False,
    settings: Annotated[str | None, "run", "FILE"] = None,
    report: Annotated[Literal["on", "off"], "run"] = "on",
) -> int:
    """Train a network on a folder of images.

    Ctrl-C saves and stops. auto leaves a choice to the recipe, the variant, the images or the machine.

    Args:
        data: A folder with one folder per class, a CSV, TSV or JSONL table, a zip or tar archive, the name of a set
            such as cifar10, or hf: and the name of a Hugging Face data set.
        out: Run folder to write.
        choices: How to train.
        resume: Stopped run to continue.
        find_lr: Measure a learning rate; train nothing.
        settings: Take defaults from a settings.json.
        report: Write report.html at the end.

    Examples:
        alexnet train images --time-limit 10m
        alexnet train images --out runs/small --variant small --image-size 64
        alexnet train images --init torchvision --variant torchvision --freeze conv
        alexnet train --resume runs/images
    """
    assert settings is None, "cli has read the file, and its values are the defaults here"
    from alexnet.commands.terminal import display, live
    from alexnet.commands.terminal.introduction import introduce
    from alexnet.training.session import Session

    if find_lr:
        if resume is not None:
            raise SettingsError("--find-lr measures for a new run, and --resume continues one; leave one out")
        return _find_lr("set:digits" if data is None else data, out, choices)
    session = Session.open(data, out=out, settings=choices, resume=resume, track=display.track)
    training, folder = session.training, session.run.folder
    introduce(session)
    with live.stop_on_signal(training):
        for _ in live.show(session.reports(), training):
            pass
    if training.stop.agreed:
        display.say(f"saved; continue with: alexnet train --resume {shlex.quote(str(folder))}")
        return 128 + (training.stop.signal or signal.SIGTERM)
    if training.group.is_main:
        print(f"trained {folder}: val top-1 {session.model_epoch.val_top1:.3f}", flush=True)
        if report == "on":
            _write_report(folder)
    return 0


def _write_report(folder: Path) -> None:
    """Write the report on a trained network. If that fails, the network is trained all the same."""
    from alexnet.commands.terminal import display

    began = time.monotonic()
    try:
        from alexnet.reporting.report import report

        file = report(folder, track=display.track)
    except (Exception, KeyboardInterrupt) as error:
        again = f"try again with: alexnet report {shlex.quote(str(folder))}"
        display.warn([f"no report was written ({type(error).__name__}: {one_line(error)}); {again}"])
        return
    display.say(f"report: {file} ({time.monotonic() - began:.0f} s)")


# Options of a whole run. --find-lr makes none.
UNUSED_BY_FIND_LR = ("lr", "epochs", "ema", "patience", "track", "checkpoint_minutes")


def _find_lr(data: str, out: str | None, settings: Settings) -> int:
    """Measure a learning rate, print it, and write the measurements into a folder of their own."""
    from alexnet.commands.terminal import display
    from alexnet.training.assembly import prepare_training
    from alexnet.training.finder import N_STEPS, LRCurve, find_lr, save_plot
    from alexnet.training.machine.distributed import is_launched
    from alexnet.training.run.out_folder import check_out_folder, create_out_folder

    unused = [name for name in UNUSED_BY_FIND_LR if getattr(settings, name) != getattr(Settings(), name)]
    if unused:
        raise SettingsError(f"--find-lr does not use --{unused[0].replace('_', '-')}; leave it out")
    if is_launched():
        raise SettingsError("--find-lr measures in one process; start it without torchrun")
    if out is not None:
        check_out_folder(out)
    source, store, training = prepare_training(data, settings, began=time.monotonic(), track=display.track)
    display.warn(source.warnings + store.warnings)
    display.warn_of_skipped(store.skipped)
    if training.note:
        display.say(training.note)
    batch_size, size = training.plan.recipe.batch_size, training.plan.size_at(0.0)
    display.say(f"up to {N_STEPS} steps with batches of {batch_size} at {size} px on {training.runtime.device}")
    trials = display.track(find_lr(training), N_STEPS, "learning rates tried")
    curve = LRCurve.of(trials, len(training.classes))
    file = create_out_folder(out, source, lambda folder: save_plot(curve, folder), "-lr")
    display.say(f"written to {file}")
    if curve.suggested is None:
        print("no learning rate suggested: the loss fell at none of them; check the images and their labels")
        return 1
    lr = f"{curve.suggested:.2g}"
    print(f"suggested learning rate: {lr} (for batches of {batch_size}); try: --lr {lr} --batch-size {batch_size}")
    return 0
