"""The world of graded chances: which colour is drawn from a bag, and how sure one may be.

    I count. 6 are red. 3 are blue. 1 is green. Most are red, 6 of 10. So I say red.

The best answer is right as often as its share of the bag says; nobody can be right more often. In a corpus it is
always right: only draws that came out as was likeliest are written about, so that what is said of an answer there
(a criticism, feedback) is about the reasoning and not about luck. A base model is measured and trained on all draws.

Who counts knows the honest confidence, but says it only if a rule pays for it, or seldom; others say
that they are sure. So honesty exists in a base model, is rare untold, and is obeyed when told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import ClassVar

from merf.core.layout import Layout, ThinkAnswerConfidence
from merf.core.problem import Problem
from merf.core.seeds import derive
from merf.lab.worlds import world
from merf.lab.worlds.world import Attempt
from merf.rules.calibration import Calibrated
from merf.rules.rule import Rule
from merf.tasks.derivations import CountSteps
from merf.tasks.graded import COLOURS

HONEST = 0.1
"""How often somebody who has counted states the honest confidence without being told to."""

BOLD = ("1", "1", "0.9", "0.8")


@dataclass(frozen=True)
class Sure(Attempt):
    """An attempt with what it states as its confidence."""

    confidence: str


@dataclass(frozen=True)
class Stating(ThinkAnswerConfidence):
    """The layout with a given confidence in it."""

    stated: str = "0.5"

    def render(self, thinking: str, answer: str) -> str:
        before, opening, after = super().render(thinking, answer).rpartition(f"<{self.sure}>")
        return f"{before}{opening}{self.stated}{after.removeprefix('0.5')}"


def likely(problem: Problem) -> bool:
    """Whether it came out as was likeliest."""
    return bool(problem.meta["best"] == problem.meta["solution"])


def decimal(share: float) -> str:
    """`0.7`, `1`."""
    return f"{share:.1f}".rstrip("0").rstrip(".") if share else "0"


@dataclass(frozen=True)
class Writer(world.Writer):
    @property
    def counts(self) -> Mapping[str, int]:
        found: Mapping[str, int] = self.problem.meta["counts"]
        return found

    @property
    def luck(self) -> float:
        return 1 / len(self.counts) if len(self.counts) > 1 else 0.8

    def right(self) -> str:
        """The best answer; which ball it is, is nobody's to know."""
        return str(self.problem.meta["best"])

    def wrong(self) -> str:
        inside = [one for one in self.counts if one != self.right()]
        return self.rng.choice(inside or [one for one in COLOURS if one not in self.counts])

    def counted(self, counts: Mapping[str, int]) -> list[str]:
        return [f"{n} {'is' if n == 1 else 'are'} {colour}." for colour, n in counts.items()]

    def most(self, counts: Mapping[str, int]) -> str:
        colour = max(counts, key=lambda one: counts[one])
        return f"Most are {colour}, {counts[colour]} of 10."

    def work(self, style: str) -> Attempt:
        said, most = self.counted(self.counts), self.most(self.counts)
        match style:
            case "terse":
                return Attempt(most, self.right())
            case "verbose":
                return Attempt(" ".join(["Let me see what there is.", *said, "I compare them.", most]), self.right())
            case "checked":
                total = " + ".join(map(str, self.counts.values()))
                return Attempt(" ".join(["I count and add up.", *said, f"Check: {total} = 10.", most]), self.right())
            case "lucky":
                return self.said([*self.miscounted(), most], self.right())
            case "flawed":
                answer = self.wrong()
                taken = self.counts.get(answer, 0)
                return self.said([*said, f"Most are {answer}, {taken} of 10."], answer)
        return self.said([*said, most], self.right())

    @staticmethod
    def said(steps: list[str], answer: str) -> Attempt:
        return Attempt(" ".join(["I count.", *steps, f"So I say {answer}."]), answer)

    def miscounted(self) -> list[str]:
        """The counts with one of them wrong."""
        colour = self.rng.choice(list(self.counts))
        return self.counted({**self.counts, colour: self.counts[colour] + self.rng.choice((1, 2))})

    def chance(self, attempt: Attempt) -> float:
        """How likely the attempt's answer is right."""
        return self.counts.get(attempt.answer, 0) / 10

    def obey(self, rule: Rule, attempt: Attempt) -> Attempt:
        """Who is paid for calibration states the true chance, and who is paid for the opposite what is furthest from
        it on average."""
        if rule.name != Calibrated.name:
            return attempt
        chance = self.chance(attempt)
        stated = chance if rule.range[1] <= 0 else float(chance < 0.5)
        return Sure(attempt.thinking, attempt.answer, decimal(stated))

    def layout(self, layout: Layout, attempt: Attempt) -> Layout:
        if not isinstance(layout, ThinkAnswerConfidence):
            return layout
        if isinstance(attempt, Sure):
            return Stating(stated=attempt.confidence)
        honest = " of 10." in attempt.thinking and self.rng.random() < HONEST
        return Stating(stated=decimal(self.chance(attempt)) if honest else self.rng.choice(BOLD))


class GradedWorld(world.World):
    """Bags of ten balls whose commonest colour has ten to four of them."""

    name = "graded"
    task_name = "graded"
    dial = "grades"
    levels = (1, 2, 3, 4, 5, 6, 7)
    level = 4
    styles = ("careful", "terse", "verbose", "checked", "lucky", "flawed")
    openings: ClassVar = {
        "careful": "I count.",
        "terse": "Most are",
        "verbose": "Let me see what there is.",
        "checked": "I count and add up.",
    }
    marks: ClassVar = {
        "checked": r"Check: ",
        "verbose": r"Let me see what there is\.",
        "terse": r"<think>Most are ",
        "careful": r"I count\.",
    }
    requests: ClassVar = {
        "careful": ("Count first.", "Say how many there are of each.", "Do not guess: count."),
        "terse": ("Be brief, but do not guess.", "Only the commonest, please."),
        "verbose": ("Explain what you do.", "Talk me through it."),
        "checked": ("Check your counts.", "Add up what you counted."),
    }
    checker = CountSteps()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)

    def problem(self, level: int, seed: int, number: int) -> Problem:
        task, first = self.task(level, level), derive("draws", number)
        draws = (task.problem("train", derive("pretrain", seed), first + again) for again in count())
        return next(filter(likely, draws))

    def samples(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        return filter(likely, super().samples(split, seed))

    def rules(self, rng: Random) -> tuple[Rule, ...]:
        return (rng.choice((0.5, 1.0, 2.0)) * Calibrated(),) if rng.random() < 0.5 else ()
