"""Effects over seeds: 95% intervals, and what they say of a claim. No torch here."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from alexnet.reproduction.plan.reading import Run, read
from alexnet.reproduction.plan.value import Claim

Verdict = Literal[
    "reproduced",
    "reproduced, but smaller",
    "smaller, if anything",
    "not reproduced",
    "not testable at this size",
    "not run yet",
]


@dataclass(frozen=True)
class Effect:
    """An effect over seeds.

    Attributes:
        mean: the mean over seeds; of ratios the geometric one.
        low: lower end of the 95% interval; with one seed there is none, and it is ``-inf``.
        high: its upper end; ``inf`` too where some runs never reached a level.
        n: number of seeds.
        censored: number of seeds of which only a lower bound is known.
        left_out: number of seeds of which only an upper bound is known, or of which a run failed: they are in none of
            the other numbers.
    """

    mean: float
    low: float
    high: float
    n: int
    censored: int = 0
    left_out: int = 0


def mean_and_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return a mean and the ends of its 95% interval by Student's t; ``inf`` for a single value.

    Source: Student, 1908.
    """
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    from scipy.stats import t  # a tenth of a second

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def effect(claim: Claim, without: Mapping[int, Run], arm: Mapping[int, Run]) -> Effect | None:
    """Return the effect that a claim is about, paired by seed; None where no seed has both runs."""
    values, censored, bound_only, left_out = [], 0, False, 0
    for seed in sorted(without.keys() & arm.keys()):
        first, second = read(claim.figure, without[seed]), read(claim.other or claim.figure, arm[seed])
        if first is None or second is None:
            left_out += "failed" in without[seed] or "failed" in arm[seed]
            continue
        if second.censored:
            left_out += 1
            continue
        censored += first.censored
        bound_only |= first.censored
        if claim.is_ratio:
            if first.value <= 0 or second.value <= 0:
                continue
            values.append(math.log(first.value / second.value))
        else:
            values.append(first.value - second.value)
    if not values:
        return None
    ends = mean_and_interval(values)
    mean, low, high = map(math.exp, ends) if claim.is_ratio and len(values) > 1 else ends
    if claim.is_ratio and len(values) == 1:
        mean, low = math.exp(ends[0]), 0.0
    return Effect(mean, low, math.inf if bound_only else high, len(values), censored, left_out)


def verdict(claim: Claim, found: Effect | None) -> Verdict:
    """Return what an effect says of a claim.

    Reproduced: the whole interval lies on the side that the paper claims; but smaller: and all of it is below what the
    paper measured. Not reproduced: all of it lies on the other side. Smaller, if anything: it holds no effect, but not
    the paper's. Otherwise it holds no effect and the paper's, or there is one seed, or the paper gives no figure: more
    seeds or more images are needed. For a claim of no effect, the interval must lie within, or outside of, a margin
    that the experiment names.
    """
    if found is None:
        return "not run yet"
    if found.left_out:  # without these seeds, the others would speak for the claim alone
        return "not testable at this size"
    nothing = 1.0 if claim.is_ratio else 0.0
    if claim.expected == "equal":
        if nothing - claim.margin <= found.low and found.high <= nothing + claim.margin:
            return "reproduced"
        outside = found.high < nothing - claim.margin or found.low > nothing + claim.margin
        return "not reproduced" if outside else "not testable at this size"
    if found.low > nothing:
        is_smaller = claim.claimed is not None and found.high < claim.claimed
        return "reproduced, but smaller" if is_smaller else "reproduced"
    if found.high < nothing:
        return "not reproduced"
    is_smaller = claim.claimed is not None and found.high < claim.claimed
    return "smaller, if anything" if is_smaller else "not testable at this size"
