"""How long a response is: in absolute terms, near the limit, and next to its group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.rules.conditions import right_answers
from merf.rules.groups import standardised
from merf.rules.rule import LevelRule, Rule
from merf.rules.shaping import sigmoid
from merf.rules.wording import Level, Style, pick

Unit = Literal["tokens", "words"]


@dataclass(frozen=True)
class Concise(LevelRule):
    """Pays for staying within a number of words (runs of non-blank characters)."""

    words: int = 50
    within: float = 0.5
    over: float = -0.5

    name: ClassVar[str] = "length"
    label: ClassVar[str] = "Length"

    def check(self) -> None:
        if self.words < 0:
            raise ValueError(f"words={self.words}: a response has 0 words or more")

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        n = self.words
        when, noun = pick(
            wording,
            (f"the response has at most {n} words", f"a response of at most {n} words"),
            (f"it takes no more than {n} words", f"using no more than {n} words"),
            (f"you write {n} words or fewer", f"writing {n} words or fewer"),
        )
        more, longer, alone = pick(
            wording,
            ("it is longer", "a longer one", f"the response has more than {n} words"),
            ("it takes more", "using more", f"it takes more than {n} words"),
            ("you write more", "writing more", f"you write more than {n} words"),
        )
        return (Level(self.within, when, f"up to {n} words", noun), Level(self.over, more, "longer", longer, alone))

    def classify(self, response: Response) -> int | None:
        return 0 if len(response.text.split()) <= self.words else 1


def length(response: Response, unit: Unit) -> float:
    """Tokens or words; NaN where nobody counted the tokens of a response that has text."""
    if unit == "words":
        return float(len(response.text.split()))
    return float(response.tokens) if response.tokens or not response.text else math.nan


@dataclass(frozen=True)
class Overlong(Rule):
    """DAPO's soft punishment (arXiv 2503.14476), in tokens: 0 up to limit − band, then falling in a straight
    line to −1 at the limit."""

    limit: int = 16384
    band: int = 4096

    name: ClassVar[str] = "overlong"
    label: ClassVar[str] = "Overlong"

    def check(self) -> None:
        if not 1 <= self.band <= self.limit:
            raise ValueError(f"band={self.band}: the band is the last 1 to {self.limit} tokens before the limit")

    def score(self, responses: Responses) -> Array:
        lengths = np.array([length(response, "tokens") for response in responses], np.float64)
        return -np.clip((lengths - (self.limit - self.band)) / self.band, 0.0, 1.0)

    @property
    def range(self) -> tuple[float, float]:
        return -1.0, 0.0

    def statement(self, style: Style, wording: int) -> str:
        start, band, limit = self.limit - self.band, self.band, self.limit
        if style == "terse":
            return f"up to {start} tokens 0, falling to -1 over the {band} up to {limit}"
        if style == "story":
            return f"up to {start} tokens are free; from there the cost rises evenly, to 1 point {band} tokens later"
        return pick(
            wording,
            f"0 up to {start} tokens; beyond that it falls in a straight line over {band} tokens, to -1 at {limit} "
            "tokens and more",
            f"-1 at {limit} tokens and more, 0 at {start} tokens and fewer, in proportion over the {band} between",
        )


@dataclass(frozen=True)
class Brevity(Rule):
    """How short a response is next to the others of its group, so that the policy sets its own budget.

    "sigmoid"  σ(−z), z = (L − mean) / std over the group (GRPO-λ, arXiv 2505.18086, up to 1 − …)
    "span"     (L_max − L) / (L_max − L_min), 0 where all are equally long (SER-RL, arXiv 2506.15647)

    Statistics are taken over the right answers of the group, and other answers get 0; with
    `among="all"` they are taken over everybody. Alone in its group a response gets σ(0) = 0.5, or 0.
    """

    shape: Literal["sigmoid", "span"] = "sigmoid"
    among: Literal["right", "all"] = "right"
    unit: Unit = "tokens"

    name: ClassVar[str] = "brevity"
    label: ClassVar[str] = "Brevity"

    def check(self) -> None:
        if self.shape not in ("sigmoid", "span"):
            raise ValueError(f"shape={self.shape!r}: use 'sigmoid' or 'span'")
        if self.among not in ("right", "all"):
            raise ValueError(f"among={self.among!r}: compare with the 'right' answers or with 'all'")
        if self.unit not in ("tokens", "words"):
            raise ValueError(f"unit={self.unit!r}: measure in 'tokens' or 'words'")

    def compare(self, lengths: Array) -> Array:
        if self.shape == "sigmoid":
            return sigmoid(-standardised(lengths))
        span = float(lengths.max() - lengths.min())
        return np.asarray((lengths.max() - lengths) / span) if span else np.zeros_like(lengths)

    def score(self, responses: Responses) -> Array:
        lengths = np.array([length(response, self.unit) for response in responses], np.float64)
        right = right_answers(responses) if self.among == "right" else np.ones(len(responses))
        scores = np.where(np.isnan(right) | np.isnan(lengths), np.nan, 0.0)
        for rows in responses.groups():
            counted = rows[(right[rows] == 1.0) & ~np.isnan(lengths[rows])]
            if len(counted):
                scores[counted] = self.compare(lengths[counted])
        return scores

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def statement(self, style: Style, wording: int) -> str:
        whom = "the right answers" if self.among == "right" else "all responses"
        rest = "; 0 for other answers" if self.among == "right" else ""
        smooth = self.shape == "sigmoid"
        if style == "terse":
            how = "1 / (1 + exp(z)), z for the length" if smooth else "1 shortest to 0 longest"
            return f"{how} in {self.unit} among {whom} in the group{rest}"
        if style == "story":
            most, least = ("nearly 1 point", "nearly nothing") if smooth else ("1 point", "nothing")
            return (
                f"of {whom} to this question the shorter ones (in {self.unit}) earn more, the shortest {most} and the "
                f"longest {least}{rest}"
            )
        if smooth:
            return pick(
                wording,
                f"the shorter the better: 1 / (1 + exp(z)) for a response whose length in {self.unit} is z standard "
                f"deviations above the mean of {whom} to this question{rest}",
                f"1 / (1 + exp(z)), where z is the number of standard deviations by which its length in {self.unit} "
                f"exceeds the mean of {whom} to this question{rest}",
            )
        return pick(
            wording,
            f"from 1 for the shortest down to 0 for the longest of {whom} to this question, in proportion to length "
            f"in {self.unit} (0 where all are equally long){rest}",
            f"(longest - own length) / (longest - shortest), in {self.unit}, over {whom} to this question, 0 where "
            f"these are equally long{rest}",
        )
