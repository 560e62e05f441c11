"""Scores relative to the other responses to the same question. NaN members are left out."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from merf.core.response import Array, Responses
from merf.rules.rule import Operation
from merf.rules.wording import Style, pick, plain


@dataclass(frozen=True)
class WithinGroup(Operation):
    """A function of the group's known scores, one value per member."""

    @abstractmethod
    def compare(self, scores: Array) -> Array: ...

    def score(self, responses: Responses) -> Array:
        scores = self.rule.score(responses)
        relative = np.full(len(responses), np.nan)
        for rows in responses.groups():
            known = rows[~np.isnan(scores[rows])]
            if len(known):
                relative[known] = self.compare(scores[known])
        return relative


def standardised(values: Array) -> Array:
    """(x − mean) / standard deviation (of the population); 0 where all are alike up to rounding."""
    centred = values - values.mean()
    spread = float(values.std())
    if spread <= 1e-12 * float(np.abs(values).max()):
        return np.zeros_like(values)
    return np.asarray(centred / spread, np.float64)


@dataclass(frozen=True)
class Standardised(WithinGroup):
    """GRPO's normalisation (arXiv 2402.03300) as part of the reward, bounded to ± `limit` (which a group of
    n can only reach if n > limit²). Any affine change of the rule inside is invisible outside."""

    limit: float = 3.0
    verb: ClassVar[str] = "within_group"

    def check(self) -> None:
        if self.limit <= 0:
            raise ValueError(f"limit={plain(self.limit)}: how many standard deviations count at most; 3 is usual")

    def compare(self, scores: Array) -> Array:
        return np.clip(standardised(scores), -self.limit, self.limit)

    @property
    def range(self) -> tuple[float, float]:
        return -self.limit, self.limit

    def change(self, style: Style, wording: int) -> str:
        limit = plain(self.limit)
        if style == "terse":
            return f"in standard deviations from the group's mean (at most {limit})"
        return pick(
            wording,
            "expressed in standard deviations above or below the mean of all responses to this question, "
            f"at most {limit} either way",
            "compared with the other responses to this question, as the distance from their mean in standard "
            f"deviations, limited to {limit} up and down",
        )


@dataclass(frozen=True)
class Ranked(WithinGroup):
    """(members below + half of the ties) / (other members): 0 for the lowest, 1 for the highest, 0.5 alone."""

    verb: ClassVar[str] = "ranked"

    def compare(self, scores: Array) -> Array:
        others = len(scores) - 1
        if not others:
            return np.array([0.5])
        ordered = np.sort(scores)
        below = np.searchsorted(ordered, scores, "left")
        ties = np.searchsorted(ordered, scores, "right") - below - 1
        return np.asarray((below + 0.5 * ties) / others, np.float64)

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def change(self, style: Style, wording: int) -> str:
        if style == "terse":
            return "as rank in the group, 0 to 1"
        return pick(
            wording,
            "replaced by the rank among all responses to this question, from 0 for the lowest to 1 for the highest",
            "turned into the share of the other responses to this question that score lower (ties count half)",
        )
