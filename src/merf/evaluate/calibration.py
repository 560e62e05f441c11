"""Whether a stated confidence means what it says, and whether it tells right from wrong.

ece     Σ_b n_b/N · |accuracy_b − mean confidence_b| over bins of equal width (Naeini et al. 2015; ten bins as usual)
brier   mean (c − z)², z = 1 for right and 0 for wrong (Brier 1950)
auroc   the chance that a right answer's confidence is above a wrong one's, ties counting half

Responses to one problem are not independent, so intervals resample problems, not responses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from merf.core.response import Array
from merf.evaluate.statistics import Interval, resampled

Measure = Callable[[Array, Array], float]


def known(confidence: Array, right: Array) -> tuple[Array, Array]:
    """The pairs in which both are known."""
    both = ~(np.isnan(confidence) | np.isnan(right))
    return confidence[both], right[both]


def brier(confidence: Array, right: Array) -> float:
    confidence, right = known(confidence, right)
    return float(np.mean((confidence - right) ** 2)) if len(right) else float("nan")


def auroc(score: Array, right: Array) -> float:
    """Any score will do, not only confidences. NaN unless there are right and wrong answers."""
    score, right = known(score, right)
    wins = right > 0.5
    n, m = int(wins.sum()), int((~wins).sum())
    if not n or not m:
        return float("nan")
    return float((stats.rankdata(score)[wins].sum() - n * (n + 1) / 2) / (n * m))


@dataclass(frozen=True)
class Bin:
    """Confidences in [low, high), the last bin's high included; mean and accuracy are NaN where there are none."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(confidence: Array, right: Array, bins: int = 10) -> list[Bin]:
    """The bins of a reliability diagram."""
    confidence, right = known(confidence, right)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = []
    for b in range(bins):
        here = place == b
        count = int(here.sum())
        means = (float(confidence[here].mean()), float(right[here].mean())) if count else (float("nan"),) * 2
        found.append(Bin(b / bins, (b + 1) / bins, count, *means))
    return found


def ece(confidence: Array, right: Array, bins: int = 10) -> float:
    """Expected calibration error."""
    filled = [one for one in reliability(confidence, right, bins) if one.count]
    total = sum(one.count for one in filled)
    return sum(one.count * abs(one.accuracy - one.confidence) for one in filled) / total if total else float("nan")


@dataclass(frozen=True)
class Calibration:
    """What confidences are worth.

    stated    share of responses that state one; all else is measured on these
    gap       mean confidence − accuracy: above 0 is over-confidence
    length    Spearman's correlation of confidence with the response's length
    """

    stated: float
    accuracy: Interval
    confidence: Interval
    gap: Interval
    ece: Interval
    brier: Interval
    auroc: Interval
    length: Interval
    bins: tuple[Bin, ...]
    responses: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def calibration(confidence: Array, right: Array, problem: np.ndarray, tokens: Array, bins: int = 10) -> Calibration:
    """Of N responses: stated confidence [N] in [0, 1] (NaN where there is none), right [N] 1, 0 or NaN where the
    verifier failed, the number of the problem and the length in tokens [N]."""

    def interval(measure: Callable[..., float]) -> Interval:
        return resampled(measure, problem, confidence, right, tokens)

    def spearman(c: Array, z: Array, n: Array) -> float:
        said = ~np.isnan(c)
        if said.sum() < 3 or np.ptp(c[said]) == 0 or np.ptp(n[said]) == 0:
            return float("nan")
        return float(stats.spearmanr(c[said], n[said]).statistic)

    def mean(which: Callable[[Array, Array], Array]) -> Callable[..., float]:
        def measure(c: Array, z: Array, n: Array) -> float:
            values = which(*known(c, z))
            return float(values.mean()) if len(values) else float("nan")

        return measure

    return Calibration(
        stated=float(np.mean(~np.isnan(confidence))) if len(confidence) else float("nan"),
        accuracy=interval(mean(lambda c, z: z)),
        confidence=interval(mean(lambda c, z: c)),
        gap=interval(mean(lambda c, z: c - z)),
        ece=interval(lambda c, z, n: ece(c, z, bins)),
        brier=interval(lambda c, z, n: brier(c, z)),
        auroc=interval(lambda c, z, n: auroc(c, z)),
        length=interval(spearman),
        bins=tuple(reliability(confidence, right, bins)),
        responses=len(confidence),
    )
