"""Random errors in a reward, to study how robust training is to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.core.seeds import derive
from merf.rules.rule import LevelRule, Operation
from merf.rules.wording import Style, percent, pick, plain


@dataclass(frozen=True)
class Noisy(Operation):
    """With probability `flip` the score is the opposite one (arXiv 2505.22653).

    A rule with outcomes has its first two swapped (right and wrong; an unreadable answer stays
    unreadable, as in the paper); any other score r becomes low + high − r within its range. One draw
    decides per question, for the whole group (then group-relative advantages change sign), or per
    response. Draws are a hash of the problem's id, the member's number and `draw`, so they repeat.

    With `told=False` the description keeps quiet about it: the one way to make a text that is not the
    whole truth, for experiments about exactly that.
    """

    flip: float
    per: Literal["question", "response"] = "question"
    told: bool = True
    draw: int = 0
    verb: ClassVar[str] = "noisy"

    def check(self) -> None:
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip={plain(self.flip)}: a probability lies between 0 and 1")
        if self.per not in ("question", "response"):
            raise ValueError(f"per={self.per!r}: flips are drawn per 'question' or per 'response'")

    def flipped(self, response: Response) -> bool:
        problem = response.problem
        identity = problem.id or str(problem.prompt)
        member = response.member if self.per == "response" else -1
        return derive("noise", self.draw, identity, member) / 2**64 < self.flip

    def opposite(self, responses: Responses, scores: Array) -> Array:
        if isinstance(self.rule, LevelRule):
            values = [level.value for level in self.rule.levels()]
            swapped = [values[1], values[0], *values[2:]]
            reached = self.rule.reached(responses)
            return np.array([np.nan if i is None else swapped[i] for i in reached], np.float64)
        low, high = self.rule.range
        return low + high - scores

    def score(self, responses: Responses) -> Array:
        scores = self.rule.score(responses)
        flips = np.array([self.flipped(response) for response in responses], bool)
        return np.where(flips, self.opposite(responses, scores), scores)

    @property
    def range(self) -> tuple[float, float]:
        return self.rule.range

    def changes(self, style: Style, wording: int) -> tuple[str, ...]:
        return super().changes(style, wording) if self.told else self.rule.changes(style, wording)

    def change(self, style: Style, wording: int) -> str:
        share, drawn = percent(self.flip), f", draw {self.draw}" if self.draw else ""
        if style == "terse":
            return f"flipped for {share} of {self.per}s{drawn}"
        if isinstance(self.rule, LevelRule):
            how = "the scores of the first two cases change places"
        else:
            low, high = map(plain, self.rule.range)
            how = f"turned upside down, so that {low} counts as {high} and {high} as {low}"
        return pick(
            wording,
            f"flipped at random for {share} of all {self.per}s{drawn} ({how})",
            f"wrong on purpose for a random {share} of all {self.per}s{drawn} ({how})",
        )
