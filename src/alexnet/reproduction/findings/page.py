"""The page on the paper, written from stored runs alone: what was not run has no figure."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from alexnet.files.atomic import write_atomically
from alexnet.reproduction.findings.plots import plot
from alexnet.reproduction.findings.stored import Outcome, Runs, Trial, outcome, over_seeds, runs_of, trials_of
from alexnet.reproduction.findings.verdict import Verdict
from alexnet.reproduction.plan.reading import Reading
from alexnet.reproduction.plan.value import Arm, Experiment, Figure, Scale
from alexnet.reproduction.running.results import Results
from alexnet.training.choices.recipes import ORIGINAL

IMAGENET_IMAGES = 1_281_167
IMAGENET_COMMAND = "alexnet train imagenet --variant original --recipe original"
PAGE = "paper.md"
IMAGES = Path("images", "paper")
HEAD = """# The paper, reproduced at a size that anyone can run

Each experiment compares a network with the same network less one idea of the paper, on a part of CIFAR-10 (figure 1: on
all of it) or on a few thousand larger images, and for minutes: errors are far above what these images allow. It can
show whether an idea helps there and so early, not what it is worth on ImageNet. `alexnet reproduce` runs them, and
writes this page from the stored runs in `experiments/results` alone.

An effect is the difference of two arms, in points of the error, or the ratio where it says "times", paired by seed,
with its 95% interval over seeds (Student's t). The verdict follows from the interval alone:

- **reproduced**: all of it is on the side that the paper claims;
- **reproduced, but smaller**: that, and all of it is below the effect that the paper has;
- **not reproduced**: all of it is on the other side;
- **smaller, if anything**: it holds no effect, but not the effect that the paper has;
- **not testable at this size**: it holds both, or there is one seed only, or the paper gives no figure, or a run
  failed;
- of a claim that two things do the same, reproduced or not means that it lies inside or outside of a margin, which
  stands in the experiment.

A seed draws the images from CIFAR-10's, the weights and the batches. Of the larger images all seeds have the same, with
a few hundred to test with, so these intervals hold nothing of the choice of images. Nor do any hold the choice of a
rate, which is made once, with a seed of its own. Where an experiment does not speak of rates, all its arms have one.

Each claim is tested alone, and there are many: about one interval in twenty misses by chance. That two things do the
same within a point is seldom seen with so few seeds.

"Log" is what the authors' program of 2012 noted in its own files ([original](original.md)).
"""


def write_page(experiments: Sequence[Experiment], results: Path, docs: Path, scales: Sequence[Scale]) -> Path:
    """Write the page and its plots into a folder; return the page.

    Args:
        experiments: in order.
        results: the folder of all stored runs.
        docs: the folder to write to.
        scales: which runs count, those with the most to say first.
    """
    found = {(each.name, scale): runs_of(each, Results(results, scale)) for each in experiments for scale in scales}
    trials = {(each.name, scale): trials_of(each, Results(results, scale)) for each in experiments for scale in scales}
    parts = [HEAD, *_summary(experiments, found, scales), "\n".join(_claims(experiments, found, scales))]
    for each in experiments:
        parts += _section(each, found, trials, scales, docs)
    page = docs / PAGE
    docs.mkdir(parents=True, exist_ok=True)
    write_atomically(page, "\n\n".join(part.strip() for part in parts) + "\n")
    return page


Found = dict[tuple[str, Scale], Runs]
Tried = dict[tuple[str, Scale], list[Trial]]


def _summary(experiments: Sequence[Experiment], found: Found, scales: Sequence[Scale]) -> Iterator[str]:
    """Yield a line for each scale with runs: how many claims have which verdict."""
    for scale in scales:
        verdicts = [outcome(claim, found[each.name, scale]).verdict for each in experiments for claim in each.claims]
        counts = Counter(verdicts)
        if counts.total() > counts["not run yet"]:
            shown = ", ".join(f"{counts[each]} {each}" for each in get_args(Verdict) if counts[each])
            yield f"Of {len(verdicts)} claims on the scale {scale}: {shown}."


def _claims(experiments: Sequence[Experiment], found: Found, scales: Sequence[Scale]) -> Iterator[str]:
    yield "| claim | the paper | the log | ours, 95% interval | verdict |"
    yield "|---|---|---|---|---|"
    for each in experiments:
        for claim in each.claims:
            outcomes = [(scale, outcome(claim, found[each.name, scale])) for scale in scales]
            run = [(scale, one) for scale, one in outcomes if one.was_run]
            link = f"[{claim.says}](#{_anchor(each.title)})"
            start = f"| {link} | {claim.paper} | {claim.log} |"
            if not run:
                able = [scale for scale in scales if {claim.arm, claim.without} <= found[each.name, scale].keys()]
                only = f", on the scale {able[0]} alone" if 0 < len(able) < len(scales) else ""
                yield f"{start} | not run yet{only} |"
            for scale, one in run:
                yield f"{start} {effect_text(one)}, {scale} | **{one.verdict}** |"


def effect_text(one: Outcome) -> str:
    """Return an effect with its interval and its seeds, in points or times."""
    effect, claim = one.effect, one.claim
    if effect is None:
        return f"in no pair of runs is {claim.figure.words} known of both"
    n = f"{effect.n} {'seed' if effect.n == 1 else 'seeds'}"
    n += f", without {effect.left_out} of which a run failed or has a bound only" if effect.left_out else ""
    least = f"at least, in {effect.censored} of them; " if effect.censored else ""
    if claim.is_ratio:
        if effect.n == 1:
            return f"{effect.mean:.2f} times ({least}{n})"
        high = "any" if math.isinf(effect.high) else f"{effect.high:.2f}"
        return f"{effect.mean:.2f} times ({least}{effect.low:.2f} to {high}; {n})"
    share = claim.figure.is_share
    numbers = [f"{100 * each:+.1f}" if share else f"{each:+.2f}" for each in (effect.mean, effect.low, effect.high)]
    unit = " points" if share else ""
    return f"{numbers[0]}{unit} ({n})" if effect.n == 1 else f"{numbers[0]}{unit} ({numbers[1]} to {numbers[2]}; {n})"


def _section(experiment: Experiment, found: Found, tried: Tried, scales: Sequence[Scale], docs: Path) -> list[str]:
    parts = [
        f"## {experiment.title}",
        f"`alexnet reproduce {experiment.name}`; {experiment.source}. {experiment.notes}",
    ]
    margins = {claim.margin for claim in experiment.claims if claim.margin}
    if margins:
        within = " or ".join(f"{100 * margin:.1f}" for margin in sorted(margins))
        parts.append(f"Two things do the same if the interval lies within {within} points of 0.")
    run_any = False
    for scale in scales:
        runs = found[experiment.name, scale]
        if not any(runs.values()):
            continue
        run_any = True
        parts.append(f"### {experiment.title}: {scale}")
        trials = tried[experiment.name, scale]
        parts.append(_how(experiment.arms[scale], runs, trials))
        parts.append("\n".join(_arms_table(experiment, experiment.arms[scale], runs)))
        if trials:
            parts.append(_tried(experiment, trials))
        name = experiment.name if scale == "cpu" else f"{experiment.name}-{scale}"
        if file := plot(experiment, runs, docs / IMAGES, name):
            parts.append(f"![{experiment.title}, {scale}]({(IMAGES / file).as_posix()})")
        if any("speed" in arm.measures for arm in experiment.arms[scale]):
            parts.append(_imagenet(runs))
    if not run_any:
        parts.append("Not run yet.")
    if not experiment.claims:
        parts.append(
            f"The command that would reproduce the paper's tables, which nobody has run here:\n\n    {IMAGENET_COMMAND}"
        )
    return parts


def _tried(experiment: Experiment, trials: Sequence[Trial]) -> str:
    """Return what was tried with a seed of its own before the runs above."""
    choice = experiment.choice
    assert choice is not None
    by_arm: dict[str, list[str]] = {}
    for each in trials:
        by_arm.setdefault(each.arm, []).append(f"{each.value:g}: {_reading(each.reading, choice.by)}")
    shown = "; ".join(f"{arm} {', '.join(values)}" for arm, values in by_arm.items())
    return f"Tried first with seed {choice.seed}, {choice.by.words} by {choice.setting}: {shown}."


def _reading(reading: Reading | None, figure: Figure) -> str:
    if reading is None:
        return "failed"
    return ("more than " if reading.censored else "") + (_percent if figure.is_share else _number)(reading.value)


def _imagenet(runs: Runs) -> str:
    (run,) = [run for by_seed in runs.values() for run in by_seed.values()][:1]
    rate, epochs = float(run["figures"]["images_per_second"]), ORIGINAL.epochs
    hours = epochs * IMAGENET_IMAGES / rate / 3600
    return (
        f"At {rate:.0f} images/s, the training steps of {epochs} passes over {IMAGENET_IMAGES:,} images alone would "
        f"take {hours:,.0f} hours of this machine."
    )


def _how(arms: Sequence[Arm], runs: Runs, trials: Sequence[Trial]) -> str:
    """Return on which images, for how long and on which machines the runs of some arms were computed."""
    some = [(arm, run) for arm in arms for run in runs[arm.name].values()]
    lines = []
    images = sorted({(run["images"], run["n_train"], run["n_test"]) for _, run in some})
    lines.append(
        "Images: " + "; ".join(f"{name}, {train:,} to train and {test:,} to test" for name, train, test in images)
    )
    machines = sorted(
        {
            f"{run['machine']['gpu'] or run['machine']['processor']}, {run['threads']} thread"
            f"{'s' if run['threads'] > 1 else ''} a run, {run['precision']}, torch {run['machine']['torch']}"
            for _, run in some
        }
    )
    own = [run for _, run in some if "same_as" not in run]
    seconds = sum(float(run["seconds"]) for run in own) + sum(each.seconds for each in trials)
    n = f"{len(some)} {'run' if len(some) == 1 else 'runs'}" + (
        f", {len(some) - len(own)} of them of other experiments" if len(own) < len(some) else ""
    )
    n += f", and {len(trials)} before them" if trials else ""
    lines.append(f"{n}: {seconds / 60:.0f} minutes of {'; '.join(machines)}")
    return ". ".join(lines) + "."


def _arms_table(experiment: Experiment, arms: Sequence[Arm], runs: Runs) -> Iterator[str]:
    figures = experiment.figures
    yield "| arm | what | parameters | epochs | rate | " + " | ".join(each.words for each in figures) + " | seeds |"
    yield "|---|---|---|---|---|" + "---|" * (len(figures) + 1)
    for arm in arms:
        by_seed = runs[arm.name]
        if not by_seed:
            yield f"| {arm.name} | {arm.says} | | | | " + " | ".join("not run yet" for _ in figures) + " | |"
            continue
        one = next(iter(by_seed.values()))
        lengths = sorted({len(run["curve"]) for run in by_seed.values()})
        epochs = f"{lengths[0]}" if len(set(lengths)) == 1 else f"{lengths[0]} to {lengths[-1]}"
        lr = one["settings"]["training"].get("lr")
        cells = [arm.name, arm.says, f"{one['parameters']:,}", epochs, "recipe's" if lr is None else f"{lr:g}"]
        cells += [_figure(each, by_seed) for each in figures]
        n_failed = sum("failed" in run for run in by_seed.values())
        cells.append(f"{len(by_seed)}, {n_failed} failed" if n_failed else str(len(by_seed)))
        yield "| " + " | ".join(cells) + " |"


def _figure(figure: Figure, by_seed: dict[int, dict[str, object]]) -> str:
    found = over_seeds(figure, by_seed)
    if found is None:
        return "-"
    mean, low, high, n, censored = found
    shown = _percent if figure.is_share else _number
    least = "at least " if censored else ""
    note = f", not reached in {censored}" if censored else ""
    return f"{least}{shown(mean)}" + (f" ({shown(low)} to {shown(high)}{note})" if n > 1 else note)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _anchor(title: str) -> str:
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in "_ -")
    return kept.replace(" ", "-")
