"""Intervals: for small numbers of seeds, for measures over problems, for shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from merf.core.response import Array


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; `low` and `high` are NaN for fewer than three values."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        mean, low, high = (round(value, 2) + 0.0 for value in (self.mean, self.low, self.high))  # no "-0.00"
        return f"{mean:.2f}" if self.n < 3 else f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """The mean of `values` with a 95 % bootstrap interval (bias-corrected and accelerated; percentile where
    that is undefined). For a handful of values it is too narrow to decide by; `paired` is what decides."""
    known = np.array([v for v in values if v is not None and np.isfinite(v)])
    if len(known) == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(known.mean())
    if len(known) < 3:
        return Interval(mean, float("nan"), float("nan"), len(known))
    if np.ptp(known) == 0:
        return Interval(mean, mean, mean, len(known))
    rng = np.random.default_rng(seed)
    found = stats.bootstrap((known,), np.mean, n_resamples=9999, confidence_level=0.95, method="BCa", rng=rng)
    low, high = map(float, found.confidence_interval)
    if not np.isfinite([low, high]).all():
        found = stats.bootstrap(
            (known,), np.mean, n_resamples=9999, confidence_level=0.95, method="percentile", rng=rng
        )
        low, high = map(float, found.confidence_interval)
    return Interval(mean, low, high, len(known))


def paired(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> Interval:
    """The mean difference ours − theirs of runs that share seeds, with its interval: the bootstrap's, widened to
    Student's where that is wider.

    The bootstrap of three values reaches no further than the extremes: it excludes zero by chance in about three of
    ten cases, that of five values in one of seven. With Student's interval it is one of twenty, where differences
    are about normal."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    found = bootstrap(differences, seed)
    if found.n < 3:
        return found
    known = [d for d in differences if np.isfinite(d)]
    reach = float(stats.sem(known) * stats.t.ppf(0.975, found.n - 1))
    return Interval(found.mean, min(found.low, found.mean - reach), max(found.high, found.mean + reach), found.n)


def resampled(
    measure: Callable[..., float], unit: np.ndarray, *columns: Array, seed: int = 0, draws: int = 2000
) -> Interval:
    """`measure(*columns)` with a 95 % percentile bootstrap interval that resamples whole units (problems, say).

    `unit` [N] says which unit each row belongs to. Resamples in which the measure is undefined (NaN) are left out; the
    bounds are NaN for fewer than three units, or where more than half are undefined. Where all units agree the interval
    is a point, which is not certainty.
    """
    value = measure(*columns)
    numbers, place = np.unique(unit, return_inverse=True)
    rows = [np.flatnonzero(place == n) for n in range(len(numbers))]
    if len(rows) < 3 or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"), len(rows))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        picked = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        found.append(measure(*(column[picked] for column in columns)))
    defined = np.array([v for v in found if np.isfinite(v)])
    if len(defined) < draws / 2:
        return Interval(value, float("nan"), float("nan"), len(rows))
    low, high = map(float, np.quantile(defined, (0.025, 0.975)))
    return Interval(value, low, high, len(rows))


def wilson(hits: int, n: int) -> Interval:
    """A share with its 95 % Wilson score interval, which holds for shares near 0 and 1 too."""
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    found = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return Interval(hits / n, float(found.low), float(found.high), n)
