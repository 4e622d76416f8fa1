"""Stored runs in the light of the experiments: which belong to an arm, and their figures over seeds. No torch here."""

from dataclasses import dataclass, replace
from typing import Any

from alexnet.reproduction.findings.verdict import Effect, Verdict, effect, mean_and_interval, verdict
from alexnet.reproduction.plan.reading import Reading, Run, read
from alexnet.reproduction.plan.value import Arm, Claim, Experiment, Figure
from alexnet.reproduction.running.results import Results, settings_digest

Runs = dict[str, dict[int, dict[str, Any]]]


@dataclass(frozen=True)
class Outcome:
    """What came of a claim on one scale."""

    claim: Claim
    effect: Effect | None
    verdict: Verdict

    @property
    def was_run(self) -> bool:
        """Whether both arms have runs; they may still have no effect, where a level was not reached."""
        return self.verdict != "not run yet"


def runs_of(experiment: Experiment, results: Results) -> Runs:
    """Return the runs of each arm by seed. Runs with other settings than the experiment has now are left out."""
    arms = {arm.name: arm for arm in experiment.arms[results.scale]}
    found: Runs = {name: {} for name in arms}
    for run in results.runs(experiment.name):
        arm, seed = arms.get(run["arm"]), int(run["seed"])
        if arm is not None and run["digest"] == settings_digest(_as_chosen(experiment, arm, run), seed, run["images"]):
            found[arm.name][seed] = run
    return found


@dataclass(frozen=True)
class Trial:
    """A run with which an arm chose a setting.

    Attributes:
        arm: the name of the arm.
        value: the setting.
        reading: the figure that decides; None where the run failed.
        seconds: how long it took.
    """

    arm: str
    value: float
    reading: Reading | None
    seconds: float


def trials_of(experiment: Experiment, results: Results) -> list[Trial]:
    """Return what each arm tried before it chose a setting."""
    choice = experiment.choice
    if choice is None:
        return []
    found: list[Trial] = []
    arms = {arm.name: arm for arm in experiment.arms[results.scale] if arm.name in choice.arms}
    for run in results.runs(experiment.name):
        name, training = run["arm"].partition(f"-{choice.setting}-")[0], run["settings"].get("training", {})
        if name not in arms or run["arm"] == name:
            continue
        # The epochs are those of the best value before.
        own = {choice.setting: training.get(choice.setting), "epochs": training.get("epochs")}
        arm = replace(arms[name], training={**arms[name].training, **own})
        if run["digest"] == settings_digest(arm, choice.seed, run["images"]):
            value, seconds = float(training[choice.setting]), float(run["seconds"])
            found.append(Trial(name, value, read(choice.by, run), seconds))
    return sorted(found, key=lambda each: (each.arm, each.value))


def _as_chosen(experiment: Experiment, arm: Arm, run: Run) -> Arm:
    """Return the arm with the setting that it chose before this run."""
    choice = experiment.choice
    if choice is None or arm.name not in choice.arms:
        return arm
    value = run["settings"]["training"].get(choice.setting)
    return replace(arm, training={**arm.training, choice.setting: value}) if value in choice.values else arm


def outcome(claim: Claim, runs: Runs) -> Outcome:
    """Return what came of a claim; not run yet where no seed has runs of both arms."""
    without, arm = runs.get(claim.without, {}), runs.get(claim.arm, {})
    found = effect(claim, without, arm)
    if found is None and without.keys() & arm.keys():
        return Outcome(claim, None, "not testable at this size")
    return Outcome(claim, found, verdict(claim, found))


def over_seeds(figure: Figure, runs: dict[int, dict[str, Any]]) -> tuple[float, float, float, int, int] | None:
    """Return mean, lower and upper end, number of seeds, and of how many only a lower bound is known."""
    readings = [reading for run in runs.values() if (reading := read(figure, run)) is not None]
    if not readings:
        return None
    mean, low, high = mean_and_interval([each.value for each in readings])
    return mean, low, high, len(readings), sum(each.censored for each in readings)
