"""Shapings of a score: bounds, sigmoids, centring, tiers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.rules.rule import Operation
from merf.rules.wording import Style, pick, plain


@dataclass(frozen=True)
class Shaping(Operation):
    """A non-decreasing function of the score alone."""

    @abstractmethod
    def curve(self, scores: Array) -> Array: ...

    def score(self, responses: Responses) -> Array:
        return self.curve(self.rule.score(responses))

    @property
    def range(self) -> tuple[float, float]:
        low, high = self.curve(np.array(self.rule.range))
        return float(low), float(high)


@dataclass(frozen=True)
class Clipped(Shaping):
    """min(max(r, low), high)."""

    low: float | None = None
    high: float | None = None
    verb: ClassVar[str] = "clip"

    def check(self) -> None:
        if self.low is None and self.high is None:
            raise ValueError("clip needs a bound: clip(low, high), clip(low=…) or clip(high=…)")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"clip({plain(self.low)}, {plain(self.high)}): the lower bound comes first")

    def curve(self, scores: Array) -> Array:
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.clip(scores, low, high)

    def change(self, style: Style, wording: int) -> str:
        if self.low is None:
            assert self.high is not None
            return f"at most {plain(self.high)}" if style == "terse" else f"capped at {plain(self.high)}"
        if self.high is None:
            return f"at least {plain(self.low)}" if style == "terse" else f"raised to {plain(self.low)} where lower"
        low, high = plain(self.low), plain(self.high)
        if style == "terse":
            return f"clipped to {low}..{high}"
        return pick(
            wording,
            f"clipped to lie between {low} and {high}",
            f"kept between {low} and {high} (less counts as {low}, more as {high})",
        )


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


@dataclass(frozen=True)
class Squashed(Shaping):
    """σ(k·(r − c)), in (0, 1): bounded, steep near the centre c, flat far from it (PAR, arXiv 2502.18770)."""

    center: float = 0.0
    steepness: float = 1.0
    verb: ClassVar[str] = "squash"

    def check(self) -> None:
        refuse_falling(self.steepness)

    def curve(self, scores: Array) -> Array:
        return sigmoid(self.steepness * (scores - self.center))

    def change(self, style: Style, wording: int) -> str:
        difference = f"score - {plain(self.center)}" if self.center >= 0 else f"score + {plain(-self.center)}"
        if self.center == 0:
            difference = "score"
        formula = f"1 / (1 + exp(-{plain(self.steepness)} * ({difference})))"
        if style == "terse":
            return formula
        return pick(
            wording,
            f"squashed into the range from 0 to 1 by {formula}",
            f"passed through a sigmoid with centre {plain(self.center)} and steepness {plain(self.steepness)}",
        )


def refuse_falling(steepness: float) -> None:
    if steepness <= 0:
        raise ValueError(
            f"steepness={plain(steepness)}: use a positive number (to pay for low scores, negate the rule)"
        )


REFERENCES = "reference_scores"
"""The entry of `Problem.meta` that holds what reference responses to the problem scored: a number, a list
of numbers, or either of these per rule name. It is written once, before training."""


@dataclass(frozen=True)
class AgainstReferences(Operation):
    """A comparison of the score with those of reference responses to the same problem.

    A reference outside the rule's range can't be a score of this rule, so it counts as missing; without
    any reference the score is NaN.
    """

    @abstractmethod
    def compare(self, score: float, references: Array) -> float: ...

    def references(self, response: Response) -> Array:
        stored = response.problem.meta.get(REFERENCES)
        if isinstance(stored, dict):
            stored = stored.get(self.rule.name)
        listed = stored if isinstance(stored, Sequence) and not isinstance(stored, str) else [stored]
        low, high = self.rule.range
        numbers = [float(x) for x in listed if isinstance(x, int | float) and low <= x <= high]
        return np.array(numbers, np.float64)

    def score(self, responses: Responses) -> Array:
        scores = self.rule.score(responses)
        known = [self.references(response) for response in responses]
        compared = [
            self.compare(float(score), references) if len(references) else np.nan
            for score, references in zip(scores, known, strict=True)
        ]
        return np.array(compared, np.float64)


@dataclass(frozen=True)
class Surpassing(AgainstReferences):
    """PAR (arXiv 2502.18770): mean over references of σ(k·(r − r_ref)), the chance to beat them."""

    steepness: float = 1.0
    verb: ClassVar[str] = "squash"

    def check(self) -> None:
        refuse_falling(self.steepness)

    def compare(self, score: float, references: Array) -> float:
        return float(np.mean(sigmoid(self.steepness * (score - references))))

    @property
    def range(self) -> tuple[float, float]:
        low, high = self.rule.range
        reach = sigmoid(np.array([low - high, high - low]) * self.steepness)
        return float(reach[0]), float(reach[1])

    def change(self, style: Style, wording: int) -> str:
        formula = f"1 / (1 + exp(-{plain(self.steepness)} * (score - reference)))"
        if style == "terse":
            return f"{formula} over references"
        return pick(
            wording,
            f"turned into the chance of beating the reference responses to this question: the mean of {formula}",
            f"compared with each reference response to this question by {formula} and averaged",
        )


@dataclass(frozen=True)
class Centred(AgainstReferences):
    """r − mean of the reference scores (the centred shaping compared in PAR, arXiv 2502.18770)."""

    verb: ClassVar[str] = "centred"

    def compare(self, score: float, references: Array) -> float:
        return score - float(np.mean(references))

    @property
    def range(self) -> tuple[float, float]:
        low, high = self.rule.range
        return low - high, high - low

    def change(self, style: Style, wording: int) -> str:
        if style == "terse":
            return "minus the references' mean"
        return pick(
            wording,
            "lowered by the mean score of the reference responses to this question",
            "measured from the mean score of this question's reference responses",
        )


@dataclass(frozen=True)
class Tiered(Shaping):
    """⌊K·f⌋ / K of the way from the rule's lowest to its highest score, f being how far it got (SSL, arXiv
    2601.22491). Small noisy differences, which group normalisation would blow up, disappear."""

    count: int
    verb: ClassVar[str] = "tiers"

    def check(self) -> None:
        if self.count < 1:
            raise ValueError(f"tiers({self.count}): at least 1 tier is needed, the paper's choice is 4")

    def curve(self, scores: Array) -> Array:
        low, high = self.rule.range
        share = (scores - low) / (high - low)
        # The tiny addend keeps a score that is exactly on a step from falling below it by rounding.
        tier = np.minimum(np.floor(self.count * share + 1e-9), self.count)
        return np.asarray(low + tier / self.count * (high - low), np.float64)

    def change(self, style: Style, wording: int) -> str:
        low, high = map(plain, self.rule.range)
        if style == "terse":
            return f"in {self.count} equal steps from {low} to {high}"
        steps = f"{self.count} equal steps" if self.count > 1 else "1 single step"
        return pick(
            wording,
            f"rounded down to one of {steps} between {low} and {high}",
            f"paid in {steps} from {low} to {high}, each only when it is reached in full",
        )
