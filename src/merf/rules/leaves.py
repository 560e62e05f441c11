"""The rules a first rulebook is made of: correctness, format, length, visible steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from merf.core.layout import Layout, ThinkAnswer
from merf.core.response import Response
from merf.rules.rule import LevelRule
from merf.rules.wording import Level


@dataclass(frozen=True)
class Correct(LevelRule):
    """Pays for the task's verdict on the final answer. A broken layout is unreadable, as in Logic-RL
    (arXiv 2502.14768), so a wrong format can never earn a right answer's reward."""

    right: float = 2.0
    wrong: float = -1.5
    unreadable: float = -2.0

    name: ClassVar[str] = "correctness"
    label: ClassVar[str] = "Correctness"

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        right, wrong, lost = (
            ("the final answer is right", "it is readable but wrong", "it is missing or unreadable"),
            ("the final answer is correct", "it can be read but is wrong", "no answer can be read"),
            ("your answer is right", "your answer is wrong", "your answer can't be read"),
        )[wording % 3]
        a_right, a_wrong, a_lost = (
            ("a right final answer", "a readable but wrong one", "a missing or unreadable one"),
            ("a correct answer", "a wrong answer", "an answer that can't be read"),
            ("the right answer", "a wrong one", "none at all"),
        )[wording % 3]
        adjective = ("right", "correct", "right")[wording % 3]
        return (
            Level(self.right, right, adjective, a_right),
            Level(self.wrong, wrong, "wrong", a_wrong),
            Level(self.unreadable, lost, "unreadable", a_lost),
        )

    def classify(self, response: Response) -> int | None:
        verdict = response.verdict
        if verdict.correct is None:
            return None
        if not verdict.readable:
            return 2
        return 0 if verdict.correct else 1


@dataclass(frozen=True)
class Format(LevelRule):
    """Pays for keeping to the layout exactly."""

    good: float = 1.0
    bad: float = -1.0
    layout: Layout = ThinkAnswer()

    name: ClassVar[str] = "format"
    label: ClassVar[str] = "Format"

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        shape = self.layout.shape
        when, noun = (
            (f"the response is exactly {shape}", f"a response of exactly the form {shape}"),
            (f"the required form {shape} is kept exactly", f"keeping exactly to the form {shape}"),
            (f"the tags are exactly {shape}, in order", f"writing exactly {shape}, in order,"),
        )[wording % 3]
        otherwise = ("it is not", "it is not", "they are not")[wording % 3]
        other = ("any other form", "breaking it", "anything else")[wording % 3]
        short = ("format kept", "good format", "tags right")[wording % 3]
        broken = ("format broken", "bad format", "tags wrong")[wording % 3]
        return (Level(self.good, when, f"{short} ({shape})", noun), Level(self.bad, otherwise, broken, other))

    def classify(self, response: Response) -> int | None:
        whole = response.finished and self.layout.parse(response.text).well_formed
        return 0 if whole else 1


@dataclass(frozen=True)
class Concise(LevelRule):
    """Pays for staying within a number of words (runs of non-blank characters)."""

    words: int = 50
    within: float = 0.5
    over: float = -0.5

    name: ClassVar[str] = "length"
    label: ClassVar[str] = "Length"

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        n = self.words
        when, noun = (
            (f"the response has at most {n} words", f"a response of at most {n} words"),
            (f"it takes no more than {n} words", f"using no more than {n} words"),
            (f"you write {n} words or fewer", f"writing {n} words or fewer"),
        )[wording % 3]
        more = ("it is longer", "it takes more", "you write more")[wording % 3]
        longer = ("a longer one", "using more", "writing more")[wording % 3]
        return (Level(self.within, when, f"up to {n} words", noun), Level(self.over, more, "longer", longer))

    def classify(self, response: Response) -> int | None:
        return 0 if len(response.text.split()) <= self.words else 1


@dataclass(frozen=True)
class Steps(LevelRule):
    """Pays for visible work: sentences or lines in the thinking part."""

    least: int = 2
    shown: float = 0.5
    missing: float = -0.5

    name: ClassVar[str] = "steps"
    label: ClassVar[str] = "Steps"
    ends: ClassVar[re.Pattern[str]] = re.compile(r"[.!?](?=\s|$)|\n")

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        n = self.least
        when, noun = (
            (f"the reasoning shows at least {n} steps", f"reasoning with at least {n} steps"),
            (f"you work in {n} or more steps", f"working in {n} or more steps"),
            (f"there are {n} steps of work or more", f"showing {n} steps of work or more"),
        )[wording % 3]
        fewer = ("it shows fewer", "you use fewer", "there are fewer")[wording % 3]
        less = ("fewer steps", "fewer", "less work")[wording % 3]
        return (Level(self.shown, when, f"{n} steps or more", noun), Level(self.missing, fewer, "fewer steps", less))

    def classify(self, response: Response) -> int | None:
        pieces = [piece for piece in self.ends.split(response.thinking) if piece.strip()]
        return 0 if len(pieces) >= self.least else 1
