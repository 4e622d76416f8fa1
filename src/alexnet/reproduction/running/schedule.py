"""Runs experiments in order of worth: each run is stored at once, and none that is stored is computed again."""

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alexnet.errors import AlexNetError
from alexnet.reproduction.plan.reading import Reading, read
from alexnet.reproduction.plan.value import Arm, Choice, Experiment, Scale
from alexnet.reproduction.running.images import missing, which_images
from alexnet.reproduction.running.results import OutOfTimeError, Results

Say = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """A run that is to be computed.

    Attributes:
        experiment: the name of its experiment.
        arm: what is trained.
        seed: draws its images, weights and batches.
        images: where its images come from.
    """

    experiment: str
    arm: Arm
    seed: int
    images: str

    @property
    def name(self) -> str:
        """How progress names it."""
        return f"{self.experiment} {self.arm.name}, seed {self.seed}"


@dataclass
class _Best:
    """The best value of a setting so far.

    Attributes:
        most: epochs that are enough to be better, where epochs are what decides.
        value: the setting.
        reading: what decides, of the run with that setting.
    """

    most: int
    value: float | None = None
    reading: float = math.inf

    def hear(self, value: float, reading: Reading | None, *, in_epochs: bool) -> None:
        if reading is not None and not reading.censored and reading.value < self.reading:
            self.value, self.reading = value, reading.value
            if in_epochs:
                self.most = min(self.most, math.ceil(reading.value))


@dataclass(kw_only=True)
class Schedule:
    """Runs experiments.

    Attributes:
        results: where runs are stored.
        data: the folder of the data; None where there is none.
        jobs: processes that run at the same time, each with one thread; 1: in this process.
        say: prints a line of progress.
    """

    results: Results
    data: Path | None
    jobs: int = 1
    say: Say = print

    @property
    def scale(self) -> Scale:
        """The scale of the runs."""
        return self.results.scale

    def run(self, experiments: Sequence[Experiment]) -> int:
        """Run experiments; return how many runs were computed, and not found.

        Raises:
            DataError: data is missing.
        """
        for line in dict.fromkeys(self._missing(experiments)):
            self.say(line)
        with self._workers() as workers:
            return sum(self._run_one(each, workers) for each in experiments)

    def _missing(self, experiments: Sequence[Experiment]) -> Iterator[str]:
        for experiment in experiments:
            for arm in experiment.arms[self.scale]:
                if line := missing(arm.data.name, self.data):
                    yield line

    @contextmanager
    def _workers(self) -> Iterator[ProcessPoolExecutor | None]:
        """One process a core with one thread each: small networks gain nothing from two threads."""
        if self.jobs == 1:
            yield None
            return
        context = multiprocessing.get_context("spawn")  # a process that has used torch's threads cannot be forked
        with ProcessPoolExecutor(self.jobs, mp_context=context, initializer=_one_thread) as workers:
            try:
                yield workers
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                raise

    def _run_one(self, experiment: Experiment, workers: ProcessPoolExecutor | None) -> int:
        began = time.monotonic()
        # On a GPU there are ten minutes for all. On a CPU the planned time is only a plan.
        deadline = began + experiment.seconds[self.scale] if self.scale == "gpu" else None
        self.say(f"{experiment.name}: {experiment.title}")
        arms, n = list(experiment.arms[self.scale]), 0
        if experiment.choice is not None and self.scale in experiment.choice.scales:
            n, arms = self._choose(experiment, experiment.choice, arms, workers, deadline)
        # By seed first: what is stopped half-way has compared all arms with some seeds.
        wanted = [self._task(experiment, arm, seed) for seed in experiment.seeds[self.scale] for arm in arms]
        n += self._compute([each for each in wanted if self._run_of(each) is None], workers, deadline)
        done = sum(self._run_of(each) is not None for each in wanted)
        self.say(f"{experiment.name}: {done} of {len(wanted)} runs, {n} of them new, {time.monotonic() - began:.0f} s")
        return n

    def _choose(
        self,
        experiment: Experiment,
        choice: Choice,
        arms: list[Arm],
        workers: ProcessPoolExecutor | None,
        deadline: float | None,
    ) -> tuple[int, list[Arm]]:
        """Choose a setting for each arm that chooses; return the number of new runs, and the arms with what they chose.

        Values are tried in order. Where epochs decide, a run ends at the epoch at which the best one so far was done:
        no later one is better.
        """
        n = 0
        found = {arm.name: _Best(int(arm.training["epochs"])) for arm in arms if arm.name in choice.arms}
        for value in choice.values:
            tried = {
                arm.name: replace(
                    arm,
                    name=f"{arm.name}-{choice.setting}-{value:g}",
                    training={**arm.training, choice.setting: value, "epochs": found[arm.name].most},
                )
                for arm in arms
                if arm.name in found
            }
            tasks = [self._task(experiment, each, choice.seed) for each in tried.values()]
            n += self._compute([each for each in tasks if self._run_of(each) is None], workers, deadline)
            for best, task in zip(found.values(), tasks, strict=True):
                reading = read(choice.by, run) if (run := self._run_of(task)) is not None else None
                best.hear(value, reading, in_epochs=choice.by.level is not None)
        for name, best in found.items():
            chose = choice.values[0] if best.value is None else best.value
            best.value = chose
            self.say(f"{experiment.name} {name}: {choice.setting} {chose:g}, of {choice.values}")
        return n, [
            replace(arm, training={**arm.training, choice.setting: found[arm.name].value}) if arm.name in found else arm
            for arm in arms
        ]

    def _task(self, experiment: Experiment, arm: Arm, seed: int) -> Task:
        return Task(experiment.name, arm, seed, which_images(arm.data.name, self.data))

    def _run_of(self, task: Task) -> dict[str, Any] | None:
        return self.results.find(task.experiment, task.arm, task.seed, task.images)

    def _compute(self, tasks: list[Task], workers: ProcessPoolExecutor | None, deadline: float | None) -> int:
        """Compute runs and store each at once, those that fail too: the others go on."""
        n = 0
        for task, outcome in self._outcomes(tasks, workers, deadline):
            if isinstance(outcome, OutOfTimeError):
                self.say(f"{task.name}: not stored: {outcome}")
                continue
            if isinstance(outcome, AlexNetError):
                raise outcome
            self.results.write(task.experiment, task.arm, task.seed, task.images, outcome)
            n += 1
            figures = outcome["figures"]
            if "failed" in outcome:
                self.say(f"{task.name}: {outcome['failed']}")
                continue
            shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if name.endswith("_error"))
            self.say(f"{task.name}: {shown or figures} in {outcome['seconds']:.0f} s, {len(outcome['curve'])} epochs")
        return n

    def _outcomes(
        self, tasks: list[Task], workers: ProcessPoolExecutor | None, deadline: float | None
    ) -> Iterator[tuple[Task, Any]]:
        # How fast this machine is, only this process can tell: it has all cores.
        here = [task for task in tasks if workers is None or "speed" in task.arm.measures]
        for task in here:
            if deadline is not None and time.monotonic() > deadline:
                self.say(f"{task.name}: left out, the time is over")
                continue
            yield task, _attempt(task.arm, task.seed, self.data, deadline)
        if workers is None:
            return
        others = [task for task in tasks if task not in here]
        started = {workers.submit(_attempt, each.arm, each.seed, self.data, deadline): each for each in others}
        for future in as_completed(started):
            yield started[future], future.result()


def _attempt(arm: Arm, seed: int, data: Path | None, deadline: float | None) -> dict[str, Any] | AlexNetError:
    """Return a run, or the error: one that crosses to another process must be a value."""
    from alexnet.reproduction.running.trial import run_arm

    try:
        return run_arm(arm, seed, data, deadline)
    except AlexNetError as error:
        return error


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
