"""One training session: from what the user asked for to a finished run."""

import hashlib
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from alexnet.data.preprocessing import Preprocessing
from alexnet.data.reading import Track, untracked
from alexnet.data.source import Source
from alexnet.data.sources import open_source
from alexnet.data.split import apply_splits, refuse_changed, refuse_unlearnable, split
from alexnet.data.store import Store, prepare, store_size
from alexnet.errors import DataError, RunError, SettingsError
from alexnet.inference.artifact import Artifact, save_artifact
from alexnet.network.model import AlexNet
from alexnet.training.assembly import assemble
from alexnet.training.card import model_card
from alexnet.training.checkpoint import load_best, load_checkpoint, save_best, save_checkpoint
from alexnet.training.distributed import Group, join
from alexnet.training.loop import fit_steps
from alexnet.training.reports import EpochReport, Remark, Report, StepReport
from alexnet.training.run import Run, refuse_existing
from alexnet.training.runtime import detect
from alexnet.training.settings import Settings
from alexnet.training.state import Training
from alexnet.training.trackers import Tracker, check_trackers, open_trackers
from alexnet.training.watch import is_best

# Kept back of a time limit for validating, saving and a machine that slows down in the last epoch.
RESERVE_SHARE, RESERVE_SECONDS = 0.02, 3.0


@dataclass
class Session:
    """A run in progress.

    Attributes:
        run: its folder.
        training: the network being trained.
        source: the pictures, split.
        store: the same, prepared.
        settings: what the user chose.
        began: when the run began, on ``time.monotonic``'s clock, as if it had never been interrupted.
    """

    run: Run
    training: Training
    source: Source
    store: Store
    settings: Settings
    began: float

    @classmethod
    def open(
        cls,
        data: str | os.PathLike[str] | None = None,
        *,
        out: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        resume: str | os.PathLike[str] | None = None,
        track: Track = untracked,
    ) -> "Session":
        """Start a new run, or resume one if ``resume`` names it.

        Raises:
            SettingsError: something else is given beside ``resume``.
            AlexNetError: see ``start`` and ``resume``.
        """
        settings = settings or Settings()
        if resume is None:
            return cls.start("digits" if data is None else data, out, settings, track=track)
        if data is not None or out is not None or settings != Settings():
            raise SettingsError("--resume continues a run with its own data and settings; leave out all others")
        return cls.resume(resume, track=track)

    @classmethod
    def start(
        cls,
        data: str | os.PathLike[str],
        out: str | os.PathLike[str] | None,
        settings: Settings,
        *,
        track: Track = untracked,
    ) -> "Session":
        """Get everything ready for a new run; its folder is made last, when nothing can be wrong any more.

        Raises:
            DataError: the data is missing, empty or of one class.
            RunError: ``out`` holds something already.
            SettingsError: the settings do not fit the data or the machine.
        """
        began = time.monotonic()
        if settings.data_dir is not None:  # a run may be resumed from elsewhere
            settings = replace(settings, data_dir=str(Path(settings.data_dir).expanduser().absolute()))
        if out is not None:
            refuse_existing(Path(out))
        check_trackers(settings.track)
        runtime = detect(settings.device, settings.precision)
        group = join(runtime.device)
        source = open_source(data, settings.data_dir)
        refuse_unlearnable(source)
        image_size = settings.image_size or settings.resolved_recipe().image_size
        with group.one_at_first():
            store = _prepare(source, settings, store_size(image_size), track=track)
        source = split(source, store, settings.seed)
        _refuse_different(source, store, group)
        training = assemble(source, store, settings, runtime, group=group, deadline=_deadline(settings, began))
        folder = group.led(Path(out) if out else _free_folder(source))
        if group.leads:
            run = Run.create(folder, _settings_json(source, store, settings, training), source, store)
        else:
            run = Run(folder, here=False)
        session = cls(run, training, source, store, settings, began)
        if settings.init is not None:
            session.save()  # a resumed run does not ask for these weights again
        return session

    @classmethod
    def resume(cls, folder: str | os.PathLike[str], *, track: Track = untracked) -> "Session":
        """Get a run ready to go on from its newest checkpoint, with its own settings and data.

        Raises:
            RunError: the folder is no run, has ended, or is damaged.
            DataError: its data has gone.
        """
        run = Run(Path(folder))
        if run.is_finished:
            raise RunError(f"the run {str(folder)!r} has ended; its model is in {str(run.model_folder)!r}")
        saved = run.settings()
        try:
            chosen = {name: value for name, value in saved.items() if name not in ("data", "resolved")}
            settings = Settings.from_json(chosen)
            resolved = saved["resolved"]
            image_size, size = int(resolved["image_size"]), int(resolved["store_size"])
            loaded = None if settings.init is None else frozenset(map(str, resolved["loaded"]))
            source = apply_splits(open_source(saved["data"], settings.data_dir), run.folder / "splits.csv")
        except (KeyError, TypeError) as error:
            raise RunError(
                f"{str(run.folder / 'settings.json')!r} is damaged ({error!r}); put back the one that training wrote"
            ) from error
        runtime = detect(settings.device, settings.precision)
        group = join(runtime.device)
        with group.one_at_first():
            store = _prepare(source, settings, size, exact=True, track=track)
        refuse_changed(source, store, run.folder / "splits.csv")
        deadline = _deadline(settings, time.monotonic())
        training = assemble(
            source, store, settings, runtime, group=group, image_size=image_size, loaded=loaded, deadline=deadline
        )
        began = time.monotonic() - load_checkpoint(run.checkpoints, training)
        training.plan.deadline = _deadline(settings, began)
        with group.one_at_first():
            if group.leads:
                run.tidy(training.position.epoch)
        training.history = run.history()
        return cls(run, training, source, store, settings, began)

    def reports(self) -> Iterator[Report]:
        """Train to the end, saving on the way and the model at the end.

        To stop before, set ``training.stop.signal``: the reports end after the step in hand, with everything saved.
        Leaving the loop stops too; then ``save``.

        Raises:
            RunError: another process is training this run, or the loss is no longer a number.
        """
        saved = time.monotonic()
        with self.run.held() if self.training.group.leads else nullcontext():
            trackers = self._trackers()
            try:
                for report in fit_steps(self.training):
                    self._note(report)
                    for tracker in trackers:
                        tracker.note(report)
                    is_due = time.monotonic() - saved > 60 * self.settings.checkpoint_minutes
                    if isinstance(report, EpochReport) or (isinstance(report, StepReport) and is_due):
                        self.save()
                        saved = time.monotonic()
                    yield report
                if self.training.stop.agreed:
                    self.save()
                elif self.training.group.leads:
                    self._save_model()
            finally:
                for tracker in trackers:
                    tracker.close()

    def _trackers(self) -> list[Tracker]:
        """Open where epochs are reported to; the leading process speaks for all."""
        if not self.training.group.leads:
            return []
        return open_trackers(self.settings.track, self.run.folder, self.run.settings())

    def _note(self, report: Report) -> None:
        """Write an epoch down, and keep its weights if they are the best and will be asked for."""
        if not isinstance(report, EpochReport) or not self.training.group.leads:
            return
        self.run.append(report)
        if self.settings.patience is not None and is_best(self.training.history):
            save_best(self.run.checkpoints, self.training.kept.state_dict())

    def save(self) -> None:
        """Save a checkpoint of where training stands."""
        if self.training.group.leads:
            save_checkpoint(self.run.checkpoints, self.training, time.monotonic() - self.began)

    def _save_model(self) -> None:
        model = self.training.model
        assert isinstance(model, AlexNet)
        history = self.training.history
        if self.settings.patience is None:
            kept, weights = history[-1], self.training.kept.state_dict()
        else:
            kept, weights = min(history, key=lambda each: each.val_loss), load_best(self.run.checkpoints)
        provenance = {
            "alexnet": version("alexnet"),
            "torch": torch.__version__,
            "data": self.source.name,
            "n_train": len(self.training.train),
            "n_val": len(self.training.val),
            "recipe": asdict(self.training.plan.recipe),
            "seed": self.settings.seed,
            "precision": self.training.runtime.precision,
            "epochs": kept.epoch,
            "val_top1": kept.val_top1,
            "val_loss": kept.val_loss,
            "init": self.settings.init,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        artifact = Artifact(
            folder=self.run.model_folder,
            architecture=model.architecture,
            classes=self.source.classes,
            preprocessing=Preprocessing(
                store_size=self.store.size,
                image_size=model.architecture.image_size,
                mean=self.training.mean,
                std=self.training.std,
                resize=self.settings.resize,
                max_pixels=self.settings.max_pixels,
            ),
            provenance=provenance,
        )
        save_artifact(artifact, weights, model_card(artifact))


def train(
    data: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    resume: str | os.PathLike[str] | None = None,
    verbose: bool = True,
) -> Run:
    """Train a network and return its run folder.

    Args:
        data: what ``open_source`` takes: a folder, a table, an archive or a name; ``digits`` where not given.
        out: where the run goes; ``runs/`` and the data's name where not given.
        settings: how to train.
        resume: a run folder to continue instead, with its own data and settings.
        verbose: whether to print a line an epoch.

    Raises:
        AlexNetError: see ``Session.open``.
    """
    session = Session.open(data, out=out, settings=settings, resume=resume)
    for report in session.reports():
        if verbose and isinstance(report, EpochReport | Remark):
            print(report)
    return session.run


def _prepare(source: Source, settings: Settings, size: int, *, exact: bool = False, track: Track) -> Store:
    resize, max_pixels = settings.resize, settings.max_pixels
    return prepare(source, size, resize=resize, exact=exact, max_pixels=max_pixels, track=track)


def _refuse_different(source: Source, store: Store, group: Group) -> None:
    """Refuse to train on pictures that are not the same for all processes."""
    lines = "\n".join(f"{each.path}\t{each.label}\t{each.split}" for each in source.pictures)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    theirs = group.gathered((store.fingerprint, digest))
    if len(set(theirs)) > 1:
        rank = next(rank for rank, each in enumerate(theirs) if each != theirs[0])
        raise DataError(f"process {rank} sees other pictures in {source.name!r} than process 0; copy the same to all")


def _deadline(settings: Settings, began: float) -> float | None:
    limit = settings.seconds()
    if limit is None:
        return None
    return began + limit - max(RESERVE_SECONDS, RESERVE_SHARE * limit)


def _free_folder(source: Source) -> Path:
    """Return ``runs/NAME``, or ``runs/NAME-2`` and so on: a run is never overwritten."""
    path = Path(source.name)
    # Of photos.tar.gz and photos/manifest.csv, "photos" says most.
    name = path.parent.name if path.stem == "manifest" else path.name.partition(".")[0] or path.name
    name = name.replace(":", "-")
    numbers = (Path("runs", name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(folder for folder in numbers if not folder.exists())


def _settings_json(source: Source, store: Store, settings: Settings, training: Training) -> dict[str, Any]:
    """Return what the user chose, by the names of the options, and under ``resolved`` what followed from it."""
    plan = training.plan
    resolved = {
        "image_size": plan.architecture.image_size,
        "store_size": store.size,
        "device": str(training.runtime.device),
        "precision": training.runtime.precision,
        "recipe": asdict(plan.recipe),
        "n_train": len(training.train),
        "n_val": len(training.val),
        "n_processes": training.group.n_ranks,
        "loaded": list(training.loaded.kept) if training.loaded else [],
        "alexnet": version("alexnet"),
        "torch": torch.__version__,
    }
    return {"data": source.name, **settings.to_json(), "resolved": resolved}
