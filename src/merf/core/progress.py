"""Where a run stands, and the schedules that depend on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`step` counts from 0 to `steps` - 1; `fraction` runs from 0 at the first step to 1 at the last."""

    step: int
    steps: int

    @property
    def fraction(self) -> float:
        return self.step / max(self.steps - 1, 1)


Schedule = Callable[[float], float]
"""A function of `Progress.fraction`, in [0, 1], that gives a multiplier or a share."""


@dataclass(frozen=True)
class Constant:
    value: float = 1.0

    def __call__(self, fraction: float) -> float:
        return self.value


@dataclass(frozen=True)
class Linear:
    """From `start` to `end` in a straight line over the first `over` of training, then flat."""

    start: float = 1.0
    end: float = 0.0
    over: float = 1.0

    def __call__(self, fraction: float) -> float:
        share = min(fraction / self.over, 1.0) if self.over > 0 else 1.0
        return self.start + (self.end - self.start) * share


@dataclass(frozen=True)
class Cosine:
    """From `start` to `end` along half a cosine."""

    start: float = 1.0
    end: float = 0.0

    def __call__(self, fraction: float) -> float:
        return self.end + (self.start - self.end) * 0.5 * (1.0 + math.cos(math.pi * min(fraction, 1.0)))


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(steepness * (fraction - middle))): on at first, off after `middle` (RuscaRL, arXiv 2508.16949)."""

    steepness: float = 125.0
    middle: float = 0.2

    def __call__(self, fraction: float) -> float:
        x = self.steepness * (fraction - self.middle)
        return 1.0 / (1.0 + math.exp(x)) if x < 700.0 else 0.0
