"""A training session: starts or resumes a run, and trains it to the end."""

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
from alexnet.training.assembly import assemble, init_runtime, prepare_images, prepare_training, set_deadline
from alexnet.training.calibration import calibrate
from alexnet.training.choices.settings import Settings
from alexnet.training.learning.loop import fit_steps
from alexnet.training.learning.monitoring import best_epoch
from alexnet.training.learning.reports import EpochReport, Report, TrainingWarning
from alexnet.training.learning.state import Training
from alexnet.training.run.checkpoint import load_best, load_checkpoint, save_best, save_checkpoint
from alexnet.training.run.out_folder import check_out_folder, create_out_folder
from alexnet.training.run.provenance import provenance, settings_json
from alexnet.training.run.run import Run
from alexnet.training.run.seen import seen_after_training, seen_before_warnings, unseen_before
from alexnet.training.run.trackers import Trackers, check_trackers, open_trackers


@dataclass
class Session:
    """A run in progress.

    Attributes:
        run: the run folder.
        training: the network being trained.
        source: the images, split.
        store: the prepared images.
        settings: the user's settings.
        began: start of the run without its interruptions, on the clock of ``time.monotonic``.
        inherited: the images that the weights of ``--init`` had seen.
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
            SettingsError: other options are given with ``resume``.
            AlexNetError: see ``start`` and ``resume``.
        """
        settings = settings or Settings()
        if resume is None:
            return cls.start("set:digits" if data is None else data, out, settings, track=track)
        if out is not None or settings != Settings():
            raise SettingsError(
                "--resume continues a run with its own settings; leave out all other options; only DATA may say where "
                "its images are now"
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
        """Prepare a new run; its folder is created last, when all checks have passed.

        Raises:
            DataError: the data is missing, empty or of one class.
            RunError: ``out`` is not empty.
            SettingsError: the settings do not fit the data or the machine.
        """
        began = time.monotonic()
        if settings.data_dir is not None:  # a run may be resumed in another folder
            settings = replace(settings, data_dir=_absolute(settings.data_dir))
        if settings.init is not None:
            settings = replace(settings, init=absolute(settings.init))
        if settings.architecture is not None:  # the file may be changed or deleted before the run is resumed
            settings = replace(settings, architecture=json.dumps(settings.base.to_json()))
        if out is not None:
            check_out_folder(out)
        check_trackers(settings.track)
        source, store, training = prepare_training(data, settings, began=began, track=track)
        inherited = None if settings.init is None else seen_before(settings.init)
        group, folder = training.group, None
        if group.is_main:
            saved = settings_json(source, store, settings, training)
            folder = create_out_folder(
                out, source, lambda free: Run.create(free, saved, source, store, inherited).folder
            )
        folder = group.broadcast(folder)
        assert folder is not None
        run = Run(folder, check=group.is_main)
        session = cls(run, training, source, store, settings, began, inherited or SeenImages())
        if settings.init is not None:
            session.save()  # a resumed run does not load these weights again
        return session

    @classmethod
    def resume(
        cls,
        folder: str | os.PathLike[str],
        data: str | os.PathLike[str] | None = None,
        *,
        track: Track = untracked,
    ) -> "Session":
        """Resume a run from its newest checkpoint, with its own settings, images and labels.

        Args:
            folder: the run folder.
            data: where its images are now, if they have moved; they are identified by content.
            track: shows the progress of preparing.

        Raises:
            RunError: the folder is not a run, or is damaged; or the run is finished.
            DataError: images are missing, or have other labels.
        """
        run = Run(expanded(folder))
        if run.is_finished:
            raise RunError(f"the run {str(folder)!r} is finished; its model is in {str(run.model_folder)!r}")
        run.check_model_folder()
        settings, resolved, recorded = run.parsed_settings()
        newest = run.newest_checkpoint
        if newest is None:  # killed before its first checkpoint: the weights of --init must be loaded again
            resolved = replace(resolved, loaded=None)
        runtime, group = init_runtime(settings, resolved.runtime)
        with group.local_main_first():
            if data is None:
                source = open_recorded(recorded, settings.data_dir, run.folder, run.command)
            else:
                source = open_source(data, settings.data_dir if set_name(data) == recorded else None)
            store = prepare_images(source, settings, resolved.store_size, exact=True, track=track)
        source = restored(source, store, resolved.classes, run.folder, run.command)
        run.check_split_sizes(source, resolved)
        training = assemble(source, store, settings, runtime, group=group, resumed=resolved, began=time.monotonic())
        began = time.monotonic() - load_checkpoint(run.checkpoints, training)
        set_deadline(training.plan, len(training.val), settings, began)
        training.history = run.history(training.position.epoch)
        session = cls(run, training, source, store, settings, began, read_inherited(run.folder))
        session._newest = newest
        return session

    def reports(self) -> Iterator[Report]:
        """Train to the end, saving checkpoints, and at the end the model.

        To stop early, set ``training.stop.signal``: the reports end after the current step, with a checkpoint saved.
        Leaving the loop also stops training; then call ``save``. At the end the process group is closed.

        Raises:
            RunError: another process is training this run, or the loss is nan or infinite.
        """
        saved = time.monotonic()
        with self._open_run() as trackers:
            yield from map(
                TrainingWarning, seen_before_warnings(self.source, self.store, self.inherited, self.settings.init)
            )
            for report in fit_steps(self.training):
                self._record(report)
                yield from trackers.log(report)
                if time.monotonic() - saved > 60 * self.settings.checkpoint_minutes:
                    self.save()
                    saved = time.monotonic()
                yield report
            self.save()
            if self.training.group.is_main and not self.training.stop.agreed:
                self._save_model()
        self.training.group.close()

    @contextmanager
    def _open_run(self) -> Iterator[Trackers]:
        """In the main process, lock the run folder and open the trackers."""
        if not self.training.group.is_main:
            yield Trackers({})
            return
        run, history = self.run, self.training.history
        with run.locked(self._newest):
            run.clean_up(self.training.position.epoch)
            run.update_data(self.source.name)
            with open_trackers(self.settings.track, run.folder, run.settings(), history) as trackers:
                yield trackers

    def _record(self, report: Report) -> None:
        """Append an epoch to the metrics; with ``patience``, copy its weights if it is the best."""
        if not isinstance(report, EpochReport) or not self.training.group.is_main:
            return
        self.run.append(report)
        if self.settings.patience is not None and self.model_epoch is report:
            weights = self.training.eval_model.state_dict()
            self._unsaved_best = report.epoch, {name: tensor.cpu().clone() for name, tensor in weights.items()}

    @property
    def model_epoch(self) -> EpochReport:
        """The epoch whose weights are saved as the model: the last one, or with ``patience`` the best so far."""
        history = self.training.history
        best = best_epoch(history, self.training.plan.architecture.image_size)
        return history[-1] if self.settings.patience is None or best is None else best

    def save(self) -> None:
        """Save a checkpoint, after the best epoch's weights that it may need."""
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
        epoch, weights = self.model_epoch, self.training.eval_model.state_dict()
        if epoch.epoch < self.training.position.epoch:
            weights = load_best(self.run.checkpoints, epoch.epoch)
        unseen = unseen_before(self.training.val.names, self.store, self.inherited)
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
            provenance=provenance(self.source, self.settings, self.training, epoch, int((~unseen).sum())),
            calibration=calibrate(self.training, model.architecture, weights, unseen),
            seen=seen_after_training(self.source, self.store, self.inherited),
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
        data: argument of ``open_source``: a folder, a table, an archive or a name; default ``set:digits``.
        out: the run folder; default ``runs/`` and the name of the data.
        settings: how to train.
        resume: a run folder to resume, with its own settings; ``data`` may then say where its images are now.
        verbose: whether to print a line per epoch.

    Raises:
        AlexNetError: see ``Session.open``.
    """
    session = Session.open(data, out=out, settings=settings, resume=resume)
    if verbose and session.training.group.is_main:
        for warning in (*session.source.warnings, *session.store.warnings):
            print(f"warning: {warning}")
        if session.training.note:
            print(session.training.note)
    for report in session.reports():
        if verbose and session.training.group.is_main and isinstance(report, EpochReport | TrainingWarning):
            print(report)
    return session.run


def _absolute(path: str) -> str:
    return str(expanded(path).absolute())
