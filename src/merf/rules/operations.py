"""Operations on rules: each changes the number and the sentence together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from merf.core.response import Response
from merf.rules.rule import LevelRule, Rule
from merf.rules.wording import Level


@dataclass(frozen=True)
class Weighted(LevelRule):
    """weight × rule: the sentence states the products themselves."""

    rule: LevelRule
    weight: float

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.rule.name

    @property
    def label(self) -> str:  # type: ignore[override]
        return self.rule.label

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        return tuple(replace(level, value=self.weight * level.value) for level in self.rule.levels(wording))

    def classify(self, response: Response) -> int | None:
        return self.rule.classify(response)


def weighted(rule: Rule, weight: float) -> Rule:
    """`rule` times a constant."""
    if isinstance(rule, Weighted):
        return weighted(rule.rule, rule.weight * weight)
    if weight == 1.0:
        return rule
    if isinstance(rule, LevelRule):
        return Weighted(rule, weight)
    raise TypeError(f"{type(rule).__name__} can't be weighted: it has no levels")
