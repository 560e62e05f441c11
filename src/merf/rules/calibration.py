"""Knowing how sure one is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.rules.reading import check_tag, tagged
from merf.rules.rule import Rule
from merf.rules.wording import Style, pick

PROBABILITY = re.compile(r"0?\.[0-9]{1,12}|0|1|1\.0{1,12}|0\.")


@dataclass(frozen=True)
class Calibrated(Rule):
    """RLCR's Brier term (arXiv 2507.16806): −(q − c)², c = 1[right], q the confidence stated in the response.

    `Correct(1, 0, 0) + Calibrated()` is RLCR's reward: for an answer that is right with probability p the
    best q is p, and the expected reward p² grows with p, so the best answer and the honest confidence are
    best together. The score is bounded, unlike a logarithmic one, so a wrong answer is never attractive.

    q is read from the one <confidence>…</confidence> of the response, wherever that stands (the layout
    `ThinkAnswerConfidence` has a place for it); a missing or malformed q costs as much as being sure and wrong.
    """

    tag: str = "confidence"

    name: ClassVar[str] = "calibration"
    label: ClassVar[str] = "Calibration"

    def check(self) -> None:
        check_tag(self.tag)

    def confidence(self, response: Response) -> float | None:
        """The stated probability of being right, if exactly one is stated."""
        text = tagged(response.text, self.tag)
        return float(text) if text is not None and PROBABILITY.fullmatch(text) else None

    def pay(self, response: Response) -> float:
        correct, confidence = response.verdict.correct, self.confidence(response)
        if correct is None:
            return float("nan")
        return -1.0 if confidence is None else -((confidence - float(correct)) ** 2)

    def score(self, responses: Responses) -> Array:
        return np.array([self.pay(response) for response in responses], np.float64)

    @property
    def range(self) -> tuple[float, float]:
        return -1.0, 0.0

    def statement(self, style: Style, wording: int) -> str:
        tag = f"<{self.tag}>...</{self.tag}>"
        if style == "terse":
            return f"-(confidence - truth)^2, confidence 0 to 1 in {tag}, truth 1 if right else 0, -1 if not given"
        if style == "story":
            return (
                f"say in {tag} how likely your final answer is right, from 0 to 1: the square of its distance from the "
                "truth (1 if right, 0 if not) is lost, and 1 whole point if you say no such number"
            )
        return pick(
            wording,
            f"minus the squared gap between the confidence stated in {tag}, a number from 0 to 1, and the truth, "
            "which is 1 if the final answer is right and 0 if not; -1 unless exactly one such number is stated",
            f"-(q - c)^2, where q is the number from 0 to 1 in {tag} and c is 1 for a right final answer and 0 for any "
            "other; -1 unless there is exactly one such number",
        )
