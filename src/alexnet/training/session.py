"""One training session: from what the user asked for to a finished run."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from torch import Tensor

from alexnet.data.fingerprint import SeenImages
from alexnet.data.parallel import Track, untracked
from alexnet.data.record import open_recorded, read_inherited, restored
from alexnet.data.source import Source
from alexnet.data.sources.open import open_source, set_name
from alexnet.data.store.store import Store
from alexnet.errors import RunError, SettingsError
from alexnet.files.paths import expanded
from alexnet.images.preprocessing import Preprocessing
from alexnet.model.artifact import Artifact, save_artifact
from alexnet.model.card import model_card
from alexnet.network.module.model import AlexNet
from alexnet.pretrained.loading import absolute, seen_before
from alexnet.training.assembly import assemble, deadline_of, get_ready, meet, prepare_for
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.reports import EpochReport, Report, TrainingWarning
from alexnet.training.learning.state import Training
from alexnet.training.learning.watch import best_of
from alexnet.training.run.checkpoint import load_best, load_checkpoint, save_best, save_checkpoint
from alexnet.training.run.past import n_seen_before, seen_by_its_end, what_was_seen_before
from alexnet.training.run.place import claim, refuse_existing
from alexnet.training.run.provenance import provenance, settings_json
from alexnet.training.run.run import Run
from alexnet.training.run.trackers import Trackers, check_trackers, open_trackers


@dataclass
class Session:
    """A run in progress.

    Attributes:
        run: its folder.
        training: the network being trained.
        source: the images, split.
        store: the same, prepared.
        settings: what the user chose.
        began: when the run began, on ``time.monotonic``'s clock, as if it had never been interrupted.
        inherited: what the weights had seen with which it began.
    """

    run: Run
    training: Training
    source: Source
    store: Store
    settings: Settings
    began: float
    inherited: SeenImages = field(default_factory=SeenImages)
    _newest: str | None = field(default=None, repr=False)
    _unsaved_best: tuple[int, dict[str, Tensor]] | None = field(default=None, repr=False)

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
            return cls.start("set:digits" if data is None else data, out, settings, track=track)
        if out is not None or settings != Settings():
            raise SettingsError(
                "--resume continues a run with its own settings; leave out all others but DATA, which says where its "
                "images are now"
            )
        return cls.resume(resume, data, track=track)

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
            settings = replace(settings, architecture=json.dumps(settings.base.to_json()))
        if out is not None:
            refuse_existing(out)
        check_trackers(settings.track)
        source, store, training = get_ready(data, settings, began=began, track=track)
        inherited = None if settings.init is None else seen_before(settings.init)
        group, folder = training.group, None
        if group.is_main:
            saved = settings_json(source, store, settings, training)
            folder = claim(out, source, lambda free: Run.create(free, saved, source, store, inherited).folder)
        folder = group.broadcast(folder)
        assert folder is not None
        run = Run(folder, here=group.is_main)
        session = cls(run, training, source, store, settings, began, inherited or SeenImages())
        if settings.init is not None:
            session.save()  # a resumed run does not ask for these weights again
        return session

    @classmethod
    def resume(
        cls,
        folder: str | os.PathLike[str],
        data: str | os.PathLike[str] | None = None,
        *,
        track: Track = untracked,
    ) -> "Session":
        """Get a run ready to go on from its newest checkpoint, with its own settings, images and labels.

        Args:
            folder: the run folder.
            data: where its images are now, which are known by their content; where they were, if not given.
            track: how progress is shown.

        Raises:
            RunError: the folder is no run, has ended, or is damaged.
            DataError: its images are not all there, or have other labels.
        """
        run = Run(expanded(folder))
        if run.is_finished:
            raise RunError(f"the run {str(folder)!r} has ended; its model is in {str(run.model_folder)!r}")
        run.refuse_strange_model()
        settings, begun, recorded = run.chosen()
        newest = run.newest_checkpoint
        if newest is None:  # killed before its first one, it begins with the same weights again
            begun = replace(begun, loaded=None)
        runtime, group = meet(settings, begun.runtime)
        with group.one_at_first():
            if data is None:
                source = open_recorded(recorded, settings.data_dir, run.folder, run.command)
            else:
                source = open_source(data, settings.data_dir if set_name(data) == recorded else None)
            store = prepare_for(source, settings, begun.store_size, exact=True, track=track)
        source = restored(source, store, begun.classes, run.folder, run.command)
        run.refuse_other_numbers(source, begun)
        deadline = deadline_of(settings, time.monotonic())
        training = assemble(source, store, settings, runtime, group=group, begun=begun, deadline=deadline)
        began = time.monotonic() - load_checkpoint(run.checkpoints, training)
        training.plan.deadline = deadline_of(settings, began)
        training.history = run.history(training.position.epoch)
        session = cls(run, training, source, store, settings, began, read_inherited(run.folder))
        session._newest = newest
        return session

    def reports(self) -> Iterator[Report]:
        """Train to the end, saving on the way and the model at the end.

        To stop before, set ``training.stop.signal``: the reports end after the step in hand, with everything saved.
        Leaving the loop stops too; then ``save``. Several processes have parted when the reports end.

        Raises:
            RunError: another process is training this run, or the loss is no longer a number.
        """
        saved = time.monotonic()
        with self._writing() as trackers:
            yield from map(
                TrainingWarning, what_was_seen_before(self.source, self.store, self.inherited, self.settings.init)
            )
            for report in fit_steps(self.training):
                self._note(report)
                yield from trackers.note(report)
                if time.monotonic() - saved > 60 * self.settings.checkpoint_minutes:
                    self.save()
                    saved = time.monotonic()
                yield report
            self.save()
            if self.training.group.is_main and not self.training.stop.agreed:
                self._save_model()
        self.training.group.leave()

    @contextmanager
    def _writing(self) -> Iterator[Trackers]:
        """Hold the run folder, and open where epochs are reported to; the leading process does so for all."""
        if not self.training.group.is_main:
            yield Trackers({})
            return
        run, n_epochs = self.run, self.training.position.epoch
        with run.held(self._newest):
            run.tidy(n_epochs)
            run.note_data(self.source.name)
            with open_trackers(self.settings.track, run.folder, run.settings(), n_epochs) as trackers:
                yield trackers

    def _note(self, report: Report) -> None:
        """Write an epoch down, and hold its weights if they are the best and will be asked for."""
        if not isinstance(report, EpochReport) or not self.training.group.is_main:
            return
        self.run.append(report)
        if self.settings.patience is not None and self.kept_epoch is report:
            weights = self.training.kept.state_dict()
            self._unsaved_best = report.epoch, {name: tensor.cpu().clone() for name, tensor in weights.items()}

    @property
    def kept_epoch(self) -> EpochReport:
        """The epoch whose network is kept: the last one, or with ``patience`` the best so far."""
        history = self.training.history
        best = best_of(history, self.training.plan.architecture.image_size)
        return history[-1] if self.settings.patience is None or best is None else best

    def save(self) -> None:
        """Save a checkpoint of where training stands, and first the best epoch that it may ask for."""
        if not self.training.group.is_main:
            return
        if self._unsaved_best is not None:
            save_best(self.run.checkpoints, *self._unsaved_best)
            self._unsaved_best = None
        save_checkpoint(self.run.checkpoints, self.training, time.monotonic() - self.began)
        self._newest = self.run.newest_checkpoint

    def _save_model(self) -> None:
        model = self.training.model
        assert isinstance(model, AlexNet)
        kept, weights = self.kept_epoch, self.training.kept.state_dict()
        if kept.epoch < self.training.position.epoch:
            weights = load_best(self.run.checkpoints, kept.epoch)
        n_before = n_seen_before(self.source, self.store, self.inherited, "val")
        artifact = Artifact(
            folder=self.run.model_folder,
            architecture=model.architecture,
            classes=self.source.classes,
            preprocessing=Preprocessing(
                store_size=self.store.size,
                mean=self.training.mean,
                std=self.training.std,
                resize=self.settings.resize,
                max_pixels=self.settings.max_pixels,
            ),
            provenance=provenance(self.source, self.settings, self.training, kept, n_val_seen_before=n_before),
            seen=seen_by_its_end(self.source, self.store, self.inherited),
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
        data: what ``open_source`` takes: a folder, a table, an archive or a name; ``set:digits`` where not given.
        out: where the run goes; ``runs/`` and the data's name where not given.
        settings: how to train.
        resume: a run folder to continue instead, with its own settings; ``data`` then says where its images are now.
        verbose: whether to print a line an epoch.

    Raises:
        AlexNetError: see ``Session.open``.
    """
    session = Session.open(data, out=out, settings=settings, resume=resume)
    if verbose and session.training.group.is_main:
        for warning in (*session.source.warnings, *session.store.warnings):
            print(f"warning: {warning}")
    for report in session.reports():
        if verbose and session.training.group.is_main and isinstance(report, EpochReport | TrainingWarning):
            print(report)
    return session.run


def _absolute(path: str) -> str:
    return str(expanded(path).absolute())
