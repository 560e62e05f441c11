"""Reasoning in steps: showing them, and scoring each of them."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.core.steps import step_spans
from merf.rules.rule import LevelRule, Rule
from merf.rules.wording import Level, Style, pick, plain


@dataclass(frozen=True)
class Steps(LevelRule):
    """Pays for visible work: sentences or lines in the thinking part."""

    least: int = 2
    shown: float = 0.5
    missing: float = -0.5

    name: ClassVar[str] = "steps"
    label: ClassVar[str] = "Steps"

    def check(self) -> None:
        if self.least < 1:
            raise ValueError(f"least={self.least}: ask for at least 1 step")

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        n = self.least
        when, noun = pick(
            wording,
            (f"the reasoning shows at least {n} steps", f"reasoning with at least {n} steps"),
            (f"you work in {n} or more steps", f"working in {n} or more steps"),
            (f"there are {n} steps of work or more", f"showing {n} steps of work or more"),
        )
        fewer, less, alone = pick(
            wording,
            ("it shows fewer", "fewer steps", f"the reasoning shows fewer than {n} steps"),
            ("you use fewer", "fewer", f"you work in fewer than {n} steps"),
            ("there are fewer", "less work", f"there are fewer than {n} steps of work"),
        )
        return (
            Level(self.shown, when, f"{n} steps or more", noun),
            Level(self.missing, fewer, "fewer steps", less, alone),
        )

    def classify(self, response: Response) -> int | None:
        return 0 if len(step_spans(response.thinking)) >= self.least else 1


class StepRule(Rule):
    """A rule that scores every step of the reasoning; what a response is paid is the sum.

    A process reward model is a `StepRule`: subclass it and give `step_scores`. Credit assignment can ask
    for the scores of single steps and where in the text these stand; everybody else sees the sum. Only
    the first `most` steps count, which bounds the sum.
    """

    @property
    @abstractmethod
    def most(self) -> int: ...

    @abstractmethod
    def step_scores(self, response: Response) -> Array | None:
        """One score per step [K], K at most `most`; None where the rule can't be applied."""

    @property
    @abstractmethod
    def step_range(self) -> tuple[float, float]: ...

    @abstractmethod
    def each(self, style: Style, wording: int) -> str:
        """What a single step is scored by, as a noun phrase."""

    def step_changes(self, style: Style, wording: int) -> tuple[str, ...]:
        return ()

    def spans(self, response: Response) -> list[tuple[int, int]]:
        """Where in `response.text` the scored steps stand: (first character, one past the last) [K]."""
        offset = max(response.text.find(response.thinking), 0)
        spans = step_spans(response.thinking)[: self.most]
        return [(offset + start, offset + end) for start, end in spans]

    def score(self, responses: Responses) -> Array:
        steps = [self.step_scores(response) for response in responses]
        return np.array([np.nan if one is None else float(one.sum()) for one in steps], np.float64)

    @property
    def range(self) -> tuple[float, float]:
        low, high = self.step_range
        return self.most * min(low, 0.0), self.most * max(high, 0.0)

    def statement(self, style: Style, wording: int) -> str:
        each, changes = self.each(style, wording), ", then ".join(self.step_changes(style, wording))
        if style == "terse":
            inner = f"({each}{f', {changes}' if changes else ''})"
            return f"sum over the first {self.most} steps of {inner}"
        what = f"for each step of the reasoning (a sentence or a line; the first {self.most} count), {each}"
        what = pick(wording, what, f"for every sentence or line of the reasoning, {self.most} of them at most, {each}")
        return f"{what}; these step scores are {f'{changes}, and then ' if changes else ''}added up"

    def clip_steps(self, threshold: float) -> ClippedSteps:
        """min(ρ − threshold, 0) for every step: a step can only lose."""
        return ClippedSteps(self, threshold)

    def delta_steps(self) -> DeltaSteps:
        """ρ_k − ρ_{k+1}: step scores that telescope, so that more steps don't earn more."""
        return DeltaSteps(self)


@dataclass(frozen=True)
class FreshSteps(StepRule):
    """For every step, the share of its distinct words that no earlier step used: empty or repeated steps
    are worth nothing."""

    most: int = 100

    name: ClassVar[str] = "fresh-steps"
    label: ClassVar[str] = "Fresh steps"

    def check(self) -> None:
        if self.most < 1:
            raise ValueError(f"most={self.most}: at least 1 step has to count")

    def step_scores(self, response: Response) -> Array | None:
        text, seen, scores = response.thinking, set[str](), []
        for start, end in step_spans(text)[: self.most]:
            words = set(re.findall(r"\w+", text[start:end].casefold()))
            scores.append(len(words - seen) / len(words) if words else 0.0)
            seen |= words
        return np.array(scores, np.float64)

    @property
    def step_range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def each(self, style: Style, wording: int) -> str:
        if style == "terse":
            return "share of new words"
        return pick(
            wording, "the share of its words that no earlier step used", "how many of its words, from 0 to 1, are new"
        )


@dataclass(frozen=True)
class StepOperation(StepRule):
    """An operation on the scores of single steps (arXiv 2410.15115)."""

    rule: StepRule
    verb: ClassVar[str] = ""

    def check(self) -> None:
        if not isinstance(self.rule, StepRule):
            raise TypeError(f"{self.verb} works on rules that score single steps, which {self.rule.name!r} does not")

    @property
    def most(self) -> int:
        return self.rule.most

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def label(self) -> str:
        return self.rule.label

    def each(self, style: Style, wording: int) -> str:
        return self.rule.each(style, wording)

    def spans(self, response: Response) -> list[tuple[int, int]]:
        return self.rule.spans(response)

    @abstractmethod
    def apply(self, scores: Array) -> Array: ...

    def step_scores(self, response: Response) -> Array | None:
        scores = self.rule.step_scores(response)
        return None if scores is None else self.apply(scores)

    def step_changes(self, style: Style, wording: int) -> tuple[str, ...]:
        return (*self.rule.step_changes(style, wording), self.step_change(style, wording))

    @abstractmethod
    def step_change(self, style: Style, wording: int) -> str: ...


@dataclass(frozen=True)
class ClippedSteps(StepOperation):
    """Clip: r_k = min(ρ_k − η, 0)."""

    threshold: float
    verb: ClassVar[str] = "clip_steps"

    def apply(self, scores: Array) -> Array:
        return np.minimum(scores - self.threshold, 0.0)

    @property
    def step_range(self) -> tuple[float, float]:
        low, high = self.rule.step_range
        return min(low - self.threshold, 0.0), min(high - self.threshold, 0.0)

    def step_change(self, style: Style, wording: int) -> str:
        threshold = plain(self.threshold)
        if style == "terse":
            return f"minus {threshold}, at most 0"
        return pick(
            wording, f"lowered by {threshold} and capped at 0", f"measured from {threshold}, where more counts as 0"
        )


@dataclass(frozen=True)
class DeltaSteps(StepOperation):
    """Delta: r_k = ρ_k − ρ_{k+1} for k < K−1, r_{K−1} = ρ_{K−1}, r_K = 0.

    From step k on these add up to ρ_k, so the number of steps doesn't matter; the last step is left to the
    reward for the outcome.
    """

    verb: ClassVar[str] = "delta_steps"

    def apply(self, scores: Array) -> Array:
        kept = scores[:-1]
        return np.append(kept - np.append(kept[1:], 0.0), 0.0) if len(kept) else np.zeros_like(scores)

    @property
    def step_range(self) -> tuple[float, float]:
        low, high = self.rule.step_range
        return min(low - high, low, 0.0), max(high - low, high, 0.0)

    @property
    def range(self) -> tuple[float, float]:
        # The sum telescopes to the first step's score, or to 0 where there are fewer than two steps.
        low, high = self.rule.step_range
        return min(low, 0.0), max(high, 0.0)

    def step_change(self, style: Style, wording: int) -> str:
        if style == "terse":
            return "minus the next step's"
        return pick(
            wording,
            "lowered by the next step's score (the last step but one keeps its own, the last gets 0)",
            "replaced by the lead over the next step (the whole score for the last step but one, 0 for the last)",
        )
