"""Intervals for small numbers of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


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
    that is undefined). With five seeds such intervals are a little too narrow: read a bound near zero as
    undecided."""
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
    """The mean difference ours − theirs of runs that share seeds, with its interval."""
    return bootstrap([a - b for a, b in zip(ours, theirs, strict=True)], seed)
