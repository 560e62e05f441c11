"""Following the searches of the Countdown world, branch by branch.

    Numbers 4 3 5, target 17. 4 + 3 = 7 leaves 7 5: 12, 2, 35, no. 4 * 3 = 12 leaves 12 5: 17, yes. So 4 * 3 + 5.

A move is right if it joins two numbers that are at hand and says what comes of them and what is left; a branch if it
lists sum, difference and product of the last two, up to the target, and says truly whether that is among them. What is
needed is that the target is reached and that an expression says how.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from merf.core.problem import Problem
from merf.core.steps import Checked, CheckedStep, step_spans
from merf.tasks.countdown import judge

NUMBER = "[0-9]{1,9}"
MOVE = re.compile(f"({NUMBER}) ([-+*]) ({NUMBER}) = ({NUMBER})")
GIVEN = re.compile(f"Numbers ((?:{NUMBER} )*{NUMBER}), target ({NUMBER})")
START = re.compile(f"Start with ([^,]+), leaves ((?:{NUMBER} )+{NUMBER})")
BRANCH = re.compile(f"(?:([^:]+) leaves )?({NUMBER} {NUMBER}): ((?:{NUMBER}, )+)(yes|no)")
CHECK = re.compile("Check: (.+), yes")
REACHED, EXPRESSION = "the target", "the expression"


def numbers(text: str) -> list[int]:
    return [int(one) for one in re.findall(NUMBER, text)]


def outcome(move: str) -> tuple[int, int, int] | None:
    """The two numbers that a move joins, and what comes of them; None where that isn't true."""
    if not (found := MOVE.fullmatch(move)):
        return None
    a, b, result = int(found[1]), int(found[3]), int(found[4])
    true = {"+": a + b, "-": a - b, "*": a * b}[found[2]]
    return (a, b, result) if result == true else None


@dataclass
class Search:
    """A search under way: the numbers it was given, the target, and the numbers at hand."""

    given: list[int]
    target: int
    at_hand: list[int]

    def judge(self, step: str) -> tuple[bool | None, str]:
        """Whether a step is right, and what it establishes."""
        if found := GIVEN.fullmatch(step):
            return (numbers(found[1]), int(found[2])) == (self.given, self.target), ""
        if found := START.fullmatch(step):
            left, self.at_hand = self.after(found[1]), numbers(found[2])
            return left is not None and sorted(left) == sorted(self.at_hand), ""
        if found := BRANCH.fullmatch(step):
            left, pair = self.after(found[1]) if found[1] else self.at_hand, numbers(found[2])
            right = left is not None and sorted(left) == sorted(pair)
            return right and self.tells(pair, numbers(found[3]), found[4] == "yes"), REACHED * (found[4] == "yes")
        if MOVE.fullmatch(step):
            left = self.after(step)
            self.at_hand = left or self.at_hand
            return left is not None, REACHED * (left == [self.target])
        if found := CHECK.fullmatch(step):
            again = [outcome(move) for move in found[1].split(", ")]
            return None not in again and again[-1] is not None and again[-1][2] == self.target, ""
        if step.startswith("So "):
            return judge(step.removeprefix("So "), self.given, self.target, every=True).correct is True, EXPRESSION
        return None, ""

    def after(self, move: str) -> list[int] | None:
        """What is at hand after a move; None where it can't be made."""
        joined, left = outcome(move), list(self.at_hand)
        if joined is None:
            return None
        for one in joined[:2]:
            if one not in left:
                return None
            left.remove(one)
        return [joined[2], *left]

    def tells(self, pair: list[int], stated: list[int], found: bool) -> bool:
        """Whether these are the results of joining the last two numbers, up to the target if it is found."""
        b, a = sorted(pair)
        results = [a + b, a - b, a * b]
        if found:
            return self.target in results and stated == results[: results.index(self.target) + 1]
        return stated == results and self.target not in results


class CountdownSteps:
    def check(self, problem: Problem, reasoning: str) -> Checked:
        given = list(problem.answer["numbers"])
        search, steps = Search(given, int(problem.answer["target"]), given), []
        for start, end in step_spans(reasoning):
            right, about = search.judge(reasoning[start:end].strip()[:400].removesuffix("."))
            steps.append(CheckedStep((start, end), right, about))
        return Checked(tuple(steps), (REACHED, EXPRESSION))

    def reference(self, problem: Problem) -> str:
        from merf.lab.worlds.countdown import Writer  # which imports this module

        return Writer(problem, Random(0)).work("careful").thinking
