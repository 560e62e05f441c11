"""Rewards that other projects publish, put into rules, to be audited like one's own.

reasoning-gym  the package's scorers as they come: what they give for an answer is the reward
Logic-RL       Knights & Knaves, github.com/Unakar/Logic-RL, verl/utils/reward_score/kk.py
TinyZero       Countdown, github.com/Jiayi-Pan/TinyZero, verl/utils/reward_score/countdown.py

The last two are restated, not copied: what they read and what they pay, on this package's problems. What their
prompts tell the model is given in substance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from merf.core.layout import Parsed, Plain, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Response, Verdict
from merf.rules.arithmetic import highest
from merf.rules.correctness import Correct
from merf.rules.custom import rule
from merf.rules.format import Format
from merf.rules.rulebook import Rulebook
from merf.tasks.countdown import Countdown, judge
from merf.tasks.deadline import Failure
from merf.tasks.gym import Gym, scoring
from merf.tasks.knights_knaves import KnightsKnaves


@rule
def marks(response: Response) -> float | None:
    """What the task's scorer gives for the answer."""
    verdict = response.verdict
    if verdict.correct is None:
        return None
    return float(verdict.correct) if verdict.score is None else min(max(verdict.score, 0.0), 1.0)


class AsItComes(Gym):
    """A dataset of reasoning-gym with the package's own scorer, and the whole response as the answer."""

    def __init__(self, dataset: str) -> None:
        super().__init__(dataset, layout=Plain())
        self.name = f"reasoning_gym {dataset}"

    def verify(self, problem: Problem, answer: str) -> Verdict:
        given = scoring().call((self.dataset, None, {}, problem.answer, answer))
        if isinstance(given, Failure):
            return Verdict(None, readable=False, note=f"the scorer gave up ({given.kind}: {given.note})")
        return Verdict(correct=given[0] >= 1 - 1e-9, score=given[0])


@dataclass(frozen=True)
class TagsInOrder(ThinkAnswer):
    """Each of four tags once and in order, and anything around them."""

    @property
    def name(self) -> str:
        return "tags-in-order"

    @property
    def shape(self) -> str:
        a, b, c, d = self.tags
        return f"...{a}...{b}...{c}...{d}..."

    def parse(self, text: str) -> Parsed:
        spots = [text.find(tag) for tag in self.tags]
        if any(text.count(tag) != 1 for tag in self.tags) or spots != sorted(spots):
            return Parsed("", None, "not every tag once and in order")
        inside = [text[spot + len(tag) :] for spot, tag in zip(spots, self.tags, strict=True)]
        return Parsed(inside[0].split(self.tags[1])[0].strip(), inside[2].split(self.tags[3])[0].strip())


@dataclass(frozen=True)
class LogicRL(KnightsKnaves):
    """The words knight and knave, inside of others too, as often as there are people, and for every name the
    first "NAME is a ROLE"."""

    name: str = "Logic-RL"
    layout: ThinkAnswer = TagsInOrder()

    def verify(self, problem: Problem, answer: str) -> Verdict:
        lower = answer.lower()
        if lower.count("knight") + lower.count("knave") != len(problem.answer):
            return Verdict(correct=False, readable=False, note="not one role for each person")
        right = True
        for name, knight in problem.answer.items():
            found = re.search(rf"\b{re.escape(name)}\b\s+is\s+a\s+\b(knight|knave)\b", answer, re.IGNORECASE)
            if found is None:
                return Verdict(correct=False, readable=False, note=f"no role for {name}")
            right &= (found[1].lower() == "knight") == knight
        return Verdict(correct=right)


@dataclass(frozen=True)
class LastLine(ThinkAnswer):
    """The last answer block of the last line; nothing else is looked at."""

    @property
    def name(self) -> str:
        return "last-line"

    @property
    def shape(self) -> str:
        return "...\n...<answer>...</answer>..."

    def parse(self, text: str) -> Parsed:
        found = re.findall(r"<answer>(.*?)</answer>", text.split("\n")[-1])
        return Parsed(text, found[-1].strip()) if found else Parsed(text, None, "no answer in the last line")

    def render(self, thinking: str, answer: str) -> str:
        return f"{self.tags[0]}{thinking}{self.tags[1]}\n{self.tags[2]}{answer}{self.tags[3]}"


@dataclass(frozen=True)
class TinyZero(Countdown):
    """Right is an expression of exactly the given numbers with the target's value. It is paid 1, anything else in the
    tags 0.1. (The scorer hands what consists of digits and operators to `eval`, `**` included, so
    that `9**9**9` keeps it busy for ever. That isn't restated.)"""

    name: str = "TinyZero"
    layout: ThinkAnswer = LastLine()

    def verify(self, problem: Problem, answer: str) -> Verdict:
        numbers, target = problem.answer["numbers"], problem.answer["target"]
        return Verdict(correct="=" not in answer and judge(answer, numbers, target, every=True).correct is True)


LOGIC_RL = Rulebook(Correct(right=2, wrong=-1.5, unreadable=-2), Format(good=1, bad=-1, layout=TagsInOrder()))
LOGIC_RL_TOLD = (
    "Think first, then answer. The reasoning is enclosed in <think> </think> and the answer in <answer> </answer>. "
    "When you reach a conclusion, state who everybody is inside the answer tags, "
    "as in <answer> (1) Zoey is a knight (2) Oliver is a knave </answer>."
)
TINY_ZERO = Rulebook(highest(Correct(right=1, wrong=0, unreadable=0), Format(good=0.1, bad=0, layout=LastLine())))
TINY_ZERO_TOLD = (
    "Each number can only be used once. Show your work in <think> </think> tags and return the final answer in "
    "<answer> </answer> tags, for example <answer> (1 + 2) / 3 </answer>."
)
