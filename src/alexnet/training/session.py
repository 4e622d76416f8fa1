"""One training session: from what the user asked for to a finished run."""

import itertools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from alexnet.data.preprocessing import Preprocessing
from alexnet.data.reading import Track, untracked
from alexnet.data.source import Source
from alexnet.data.sources import open_source
from alexnet.data.split import apply_splits, refuse_changed
from alexnet.data.store import Store
from alexnet.errors import RunError, SettingsError
from alexnet.inference.artifact import Artifact, save_artifact
from alexnet.inference.pretrained import absolute
from alexnet.network.model import AlexNet
from alexnet.network.variants import load_architecture
from alexnet.paths import expanded
from alexnet.training.assembly import assemble, deadline_of, get_ready, meet, prepare_for
from alexnet.training.card import model_card
from alexnet.training.checkpoint import load_best, load_checkpoint, save_best, save_checkpoint
from alexnet.training.loop import fit_steps
from alexnet.training.provenance import provenance, settings_json
from alexnet.training.reports import EpochReport, Remark, Report, StepReport
from alexnet.training.run import Run, refuse_existing
from alexnet.training.runtime import Runtime
from alexnet.training.settings import Settings
from alexnet.training.state import Training
from alexnet.training.trackers import Trackers, check_trackers, open_trackers
from alexnet.training.watch import best_of


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
            settings = replace(settings, data_dir=_absolute(settings.data_dir))
        if settings.init is not None:
            settings = replace(settings, init=absolute(settings.init))
        if settings.architecture is not None:  # the file may have changed, or gone, when the run is resumed
            net = load_architecture(settings.architecture)
            settings = replace(settings, architecture=json.dumps(net.to_json()))
        if out is not None:
            refuse_existing(expanded(out))
        check_trackers(settings.track)
        source, store, training = get_ready(data, settings, began=began, track=track)
        group = training.group
        folder = group.led(expanded(out) if out else free_folder(source))
        if group.leads:
            run = Run.create(folder, settings_json(source, store, settings, training), source, store)
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
        run = Run(expanded(folder))
        if run.is_finished:
            raise RunError(f"the run {str(folder)!r} has ended; its model is in {str(run.model_folder)!r}")
        saved = run.settings()
        try:
            settings, resolved = Settings.from_json(saved), saved["resolved"]
            image_size, size = int(resolved["image_size"]), int(resolved["store_size"])
            # Killed before its first checkpoint, it begins with the same weights again.
            loaded = frozenset(map(str, resolved["loaded"])) if run.has_checkpoint else None
            recipe = resolved["recipe"]
            # What followed from the data and the machine when the run began stays, wherever it goes on.
            as_begun = replace(settings, batch_size=int(recipe["batch_size"]), lr=float(recipe["lr"]))
            begun = Runtime(torch.device(resolved["device"]), resolved["precision"])
            data = str(saved["data"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunError(
                f"{str(run.folder / 'settings.json')!r} is damaged ({error!r}); put back the one that training wrote"
            ) from error
        runtime, group = meet(settings, begun)
        with group.one_at_first():
            source = apply_splits(open_source(data, settings.data_dir), run.folder / "splits.csv")
            store = prepare_for(source, settings, size, exact=True, track=track)
        refuse_changed(source, store, run.folder / "splits.csv")
        deadline = deadline_of(settings, time.monotonic())
        training = assemble(
            source, store, as_begun, runtime, group=group, image_size=image_size, loaded=loaded, deadline=deadline
        )
        began = time.monotonic() - load_checkpoint(run.checkpoints, training)
        training.plan.deadline = deadline_of(settings, began)
        training.history = run.history(training.position.epoch)
        return cls(run, training, source, store, settings, began)

    def reports(self) -> Iterator[Report]:
        """Train to the end, saving on the way and the model at the end.

        To stop before, set ``training.stop.signal``: the reports end after the step in hand, with everything saved.
        Leaving the loop stops too; then ``save``. Several processes have parted when the reports end.

        Raises:
            RunError: another process is training this run, or the loss is no longer a number.
        """
        saved = time.monotonic()
        with self._writing() as trackers:
            for report in fit_steps(self.training):
                self._note(report)
                yield from trackers.note(report)
                is_due = time.monotonic() - saved > 60 * self.settings.checkpoint_minutes
                if isinstance(report, EpochReport) or (isinstance(report, StepReport) and is_due):
                    self.save()
                    saved = time.monotonic()
                yield report
            if self.training.stop.agreed:
                self.save()
            elif self.training.group.leads:
                self._save_model()
        self.training.group.leave()

    @contextmanager
    def _writing(self) -> Iterator[Trackers]:
        """Hold the run folder, and open where epochs are reported to; the leading process does so for all."""
        if not self.training.group.leads:
            yield Trackers({})
            return
        run, n_epochs = self.run, self.training.position.epoch
        with run.held():
            run.tidy(n_epochs)
            with open_trackers(self.settings.track, run.folder, run.settings(), n_epochs) as trackers:
                yield trackers

    def _note(self, report: Report) -> None:
        """Write an epoch down, and keep its weights if they are the best and will be asked for."""
        if not isinstance(report, EpochReport) or not self.training.group.leads:
            return
        self.run.append(report)
        if self.settings.patience is not None and self.kept_epoch is report:
            save_best(self.run.checkpoints, self.training.kept.state_dict())

    @property
    def kept_epoch(self) -> EpochReport:
        """The epoch whose network is kept: the last one, or with ``patience`` the best so far."""
        history = self.training.history
        best = best_of(history, self.training.plan.architecture.image_size)
        return history[-1] if self.settings.patience is None or best is None else best

    def save(self) -> None:
        """Save a checkpoint of where training stands."""
        if self.training.group.leads:
            save_checkpoint(self.run.checkpoints, self.training, time.monotonic() - self.began)

    def _save_model(self) -> None:
        model = self.training.model
        assert isinstance(model, AlexNet)
        kept, weights = self.kept_epoch, self.training.kept.state_dict()
        if kept.epoch < self.training.position.epoch:
            weights = load_best(self.run.checkpoints)
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
            provenance=provenance(self.source, self.settings, self.training, kept),
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
        if verbose and session.training.group.leads and isinstance(report, EpochReport | Remark):
            print(report)
    return session.run


def _absolute(path: str) -> str:
    return str(expanded(path).absolute())


def free_folder(source: Source, ending: str = "") -> Path:
    """Return ``runs/NAME``, or ``runs/NAME-2`` and so on: a run is never overwritten. An ending follows the name."""
    path = Path(source.name)
    # Of photos.tar.gz and photos/manifest.csv, "photos" says most.
    name = path.parent.name if path.stem == "manifest" else path.name.partition(".")[0] or path.name
    name = name.replace(":", "-") + ending
    numbers = (Path("runs", name if number == 1 else f"{name}-{number}") for number in itertools.count(1))
    return next(folder for folder in numbers if not folder.exists())
