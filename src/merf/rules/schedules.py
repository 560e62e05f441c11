"""Weights that change over training, and how a schedule is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, ClassVar

from merf.core.progress import Constant, Cosine, Linear, Schedule, Sigmoid
from merf.core.response import Array, Responses
from merf.rules.rule import Operation, check_fields
from merf.rules.wording import Style, percent, pick, plain


@dataclass(frozen=True)
class Exponential:
    """exp(−fraction / scale): SophiaVL-R1's decay (arXiv 2505.17018), `scale` as a share of training."""

    scale: float = 0.25

    def __call__(self, fraction: float) -> float:
        return math.exp(-fraction / self.scale)


@dataclass(frozen=True)
class Switch:
    """`before` until the share `at` of training is done, `after` from then on."""

    at: float = 0.5
    before: float = 0.0
    after: float = 1.0

    def __call__(self, fraction: float) -> float:
        return self.before if fraction < self.at else self.after


@singledispatch
def in_words(schedule: Any) -> tuple[str, str]:
    """The schedule as a noun phrase that names all of its numbers, in full and briefly."""
    raise TypeError(
        f"{schedule!r} can't be put into words: use Linear, Cosine, Sigmoid, Exponential, Switch or Constant"
    )


@in_words.register
def _(s: Constant) -> tuple[str, str]:
    return f"{plain(s.value)} throughout training", plain(s.value)


@in_words.register
def _(s: Linear) -> tuple[str, str]:
    start, end = plain(s.start), plain(s.end)
    over = "at its end" if s.over == 1 else f"after {percent(s.over)} of it, where it stays"
    full = f"a factor that goes in a straight line from {start} at the start of training to {end} {over}"
    return full, f"{start} to {end} over {'' if s.over == 1 else f'{percent(s.over)} of '}training"


@in_words.register
def _(s: Cosine) -> tuple[str, str]:
    start, end = plain(s.start), plain(s.end)
    full = f"a factor that goes along half a cosine from {start} at the start of training to {end} at its end"
    return full, f"{start} to {end} over training, along a cosine"


@in_words.register
def _(s: Sigmoid) -> tuple[str, str]:
    formula = f"1 / (1 + exp({plain(s.steepness)} * (t - {plain(s.middle)})))"
    return f"a factor {formula}, t being the share of training done", formula


@in_words.register
def _(s: Exponential) -> tuple[str, str]:
    formula = f"exp(-t / {plain(s.scale)})"
    return f"a factor {formula}, t being the share of training done", formula


@in_words.register
def _(s: Switch) -> tuple[str, str]:
    before, after, at = plain(s.before), plain(s.after), percent(s.at)
    return f"{before} for the first {at} of training and by {after} after that", f"{before}, after {at} {after}"


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    kind.__name__.lower(): kind for kind in (Constant, Linear, Cosine, Sigmoid, Exponential, Switch)
}
"""The schedules that can be said and saved, by their names in TOML."""


@dataclass(frozen=True)
class Annealed(Operation):
    """schedule(fraction of training) × rule."""

    schedule: Schedule
    verb: ClassVar[str] = "annealed"

    def check(self) -> None:
        in_words(self.schedule)
        check_fields(self.schedule)
        if isinstance(self.schedule, Exponential) and self.schedule.scale <= 0:
            raise ValueError(
                f"scale={plain(self.schedule.scale)}: the share of training in which the weight falls to 37%"
            )
        if isinstance(self.schedule, Linear) and self.schedule.over <= 0:
            raise ValueError(f"over={plain(self.schedule.over)}: the share of training that the change takes")

    def score(self, responses: Responses) -> Array:
        fraction = min(max(responses.progress.fraction, 0.0), 1.0)
        return self.schedule(fraction) * self.rule.score(responses)

    @property
    def range(self) -> tuple[float, float]:
        # Every schedule here is monotone, so its extreme weights are those at the two ends.
        corners = [self.schedule(fraction) * end for fraction in (0.0, 1.0) for end in self.rule.range]
        return min(corners), max(corners)

    def change(self, style: Style, wording: int) -> str:
        full, brief = in_words(self.schedule)
        return f"x ({brief})" if style == "terse" else pick(wording, f"multiplied by {full}", f"weighted by {full}")
