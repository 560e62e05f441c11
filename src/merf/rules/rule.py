"""The base of every rule: a score and the sentence that states it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.rules.wording import Level, Style, sentence


class Rule(ABC):
    """Scores responses and says in words how it does so.

    Rules are immutable values (frozen dataclasses): equal rules score and describe equally.
    """

    name: ClassVar[str]

    @abstractmethod
    def score(self, responses: Responses) -> Array:
        """One number per response [N]; NaN where the rule can't be applied."""

    @abstractmethod
    def describe(self, style: Style = "full", wording: int = 0) -> str:
        """The sentence that tells a model how this rule pays; `wording` picks a paraphrase."""

    @property
    @abstractmethod
    def range(self) -> tuple[float, float]:
        """The lowest and highest score that can ever be paid."""

    def __mul__(self, weight: float) -> Rule:
        from merf.rules.operations import weighted

        return weighted(self, weight)

    __rmul__ = __mul__

    def __neg__(self) -> Rule:
        return self * -1.0


class LevelRule(Rule):
    """A rule with finitely many outcomes, each with a number and a wording."""

    label: ClassVar[str]

    @abstractmethod
    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        """The outcomes, best described first; their order is what `classify` refers to."""

    @abstractmethod
    def classify(self, response: Response) -> int | None:
        """The number of the level this response reaches, or None where the rule can't be applied."""

    def score(self, responses: Responses) -> Array:
        values = [level.value for level in self.levels()]
        reached = [self.classify(response) for response in responses]
        return np.array([np.nan if level is None else values[level] for level in reached], np.float64)

    def describe(self, style: Style = "full", wording: int = 0) -> str:
        return sentence(self.label, self.levels(wording), style)

    @property
    def range(self) -> tuple[float, float]:
        values = [level.value for level in self.levels()]
        return min(values), max(values)
