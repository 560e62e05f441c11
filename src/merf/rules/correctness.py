"""Being right, and knowing whether one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from merf.core.response import Response
from merf.rules.reading import check_tag, tagged
from merf.rules.rule import LevelRule
from merf.rules.wording import Level, pick


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
        right, wrong, lost = pick(
            wording,
            ("the final answer is right", "it is readable but wrong", "it is missing or unreadable"),
            ("the final answer is correct", "it can be read but is wrong", "no answer can be read"),
            ("your answer is right", "your answer is wrong", "your answer can't be read"),
        )
        a_right, a_wrong, a_lost = pick(
            wording,
            ("a right final answer", "a readable but wrong one", "a missing or unreadable one"),
            ("a correct answer", "a wrong answer", "an answer that can't be read"),
            ("the right answer", "a wrong one", "none at all"),
        )
        alone_wrong, alone_lost = pick(
            wording,
            ("the final answer is readable but wrong", "the final answer is missing or unreadable"),
            ("the final answer can be read but is wrong", lost),
            (wrong, lost),
        )
        return (
            Level(self.right, right, pick(wording, "right", "correct", "right"), a_right),
            Level(self.wrong, wrong, "wrong", a_wrong, alone_wrong),
            Level(self.unreadable, lost, "unreadable", a_lost, alone_lost),
        )

    def classify(self, response: Response) -> int | None:
        verdict = response.verdict
        if verdict.correct is None:
            return None
        if not verdict.readable:
            return 2
        return 0 if verdict.correct else 1


@dataclass(frozen=True)
class SaysWhetherRight(LevelRule):
    """Pays for a verdict that is true: 1[declared = truth].

    The verdict stands in <tag>…</tag> as one of two words. Without `about` it is on the response's own
    final answer (LaSeR's target); with it, on a solution shown in the question, whose truth is the
    problem's `meta[about]` (Critique-Coder, arXiv 2509.22824; stage I of Critique-RL, 2510.24320).
    A wrong answer admitted is paid like a right one claimed, so gate or add `Correct` where that hurts.
    """

    agrees: float = 1.0
    differs: float = 0.0
    missing: float = 0.0
    about: str = ""
    tag: str = "verdict"
    yes: str = "right"
    no: str = "wrong"

    name: ClassVar[str] = "verdict"
    label: ClassVar[str] = "Verdict"

    def check(self) -> None:
        check_tag(self.tag)
        if not self.yes.strip() or not self.no.strip() or self.yes.casefold() == self.no.casefold():
            raise ValueError(f"yes={self.yes!r} and no={self.no!r} should be two different words")

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        said = f"<{self.tag}>{self.yes}</{self.tag}> or <{self.tag}>{self.no}</{self.tag}>"
        what = f'the given solution (recorded under "{self.about}")' if self.about else "its own final answer"
        when, otherwise, lost = pick(
            wording,
            (f"the response says truly whether {what} is right, as {said}", "it says so falsely", "it does not say so"),
            (f"{said} is the verdict on {what} and is true", "that verdict is false", "there is no such verdict"),
        )
        alone_false, alone_lost = pick(
            wording,
            (
                f"the response says falsely whether {what} is right, as {said}",
                f"the response does not say whether {what} is right, as {said}",
            ),
            (f"{said} is the verdict on {what} and is false", f"there is no verdict on {what}, {said}"),
        )
        noun = f"a true verdict on {what}, {said},"
        return (
            Level(self.agrees, when, f"true verdict ({said})", noun),
            Level(self.differs, otherwise, "false verdict", "a false one", alone_false),
            Level(self.missing, lost, "no verdict", "none", alone_lost),
        )

    def classify(self, response: Response) -> int | None:
        truth = response.problem.meta.get(self.about) if self.about else response.verdict.correct
        if not isinstance(truth, bool):
            return None
        said = (tagged(response.text, self.tag) or "").casefold()
        if said not in (self.yes.casefold(), self.no.casefold()):
            return 2
        return 0 if (said == self.yes.casefold()) == truth else 1
