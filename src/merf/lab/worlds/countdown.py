"""The Countdown world: reach a number, by search.

Work takes the numbers in order and tries every way of joining two of them, then every way of joining what is left,
up to the first that reaches the target:

    Numbers 4 3 5, target 17. 4 + 3 = 7 leaves 7 5: 12, 2, 35, no. 4 - 3 = 1 leaves 1 5: 6, 4, 5, no.
    4 * 3 = 12 leaves 12 5: 17, yes. So 4 * 3 + 5.

In its last stage only results are listed: sum, difference, product, the greater number always first. Of four numbers
it starts with a first move that leads to the target, since going through all of them would take a thousand words. The
style `direct` knows the way and goes it without looking left or right (no backtracking).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.lab.worlds import world
from merf.lab.worlds.countdown_steps import CountdownSteps
from merf.lab.worlds.world import Attempt

LUCK = {2: 0.3, 3: 0.06, 4: 0.02}
"""How often a guess is right, by how many numbers are given."""

OPERATIONS = "+-*"


@dataclass(frozen=True)
class Part:
    """A number that is at hand: its value, and how it came about."""

    value: int
    text: str
    sign: str = ""

    def within(self, sign: str, right: bool = False) -> str:
        """Its text as an operand of another operation, in brackets where they are needed."""
        bare = not self.sign or (sign == "+") or (sign == "-" and not right) or (sign == "*" and self.sign == "*")
        return self.text if bare else f"({self.text})"


def joined(a: Part, b: Part, sign: str) -> Part:
    """The two as one part, the greater value first."""
    if a.value < b.value:
        a, b = b, a
    value = {"+": a.value + b.value, "-": a.value - b.value, "*": a.value * b.value}[sign]
    return Part(value, f"{a.within(sign)} {sign} {b.within(sign, right=True)}", sign)


@dataclass(frozen=True)
class Move:
    """Two parts made one: what is joined, the result, and what is at hand then."""

    first: Part
    second: Part
    result: Part
    left: tuple[Part, ...]

    def __str__(self) -> str:
        a, b = sorted((self.first.value, self.second.value), reverse=True)
        return f"{a} {self.result.sign} {b} = {self.result.value}"


def moves(parts: Sequence[Part]) -> Iterator[Move]:
    """Every way of joining two parts, in the order in which the search goes through them."""
    for i, j in itertools.combinations(range(len(parts)), 2):
        rest = [part for k, part in enumerate(parts) if k not in (i, j)]
        for sign in OPERATIONS:
            result = joined(parts[i], parts[j], sign)
            yield Move(parts[i], parts[j], result, (result, *rest))


def reached(parts: Sequence[Part], target: int) -> list[Move] | None:
    """The first way to the target that uses all parts; None where there is none."""
    for move in moves(parts):
        if len(move.left) == 1:
            if move.result.value == target:
                return [move]
        elif further := reached(move.left, target):
            return [move, *further]
    return None


def listed(parts: Sequence[Part]) -> str:
    return " ".join(str(part.value) for part in parts)


@dataclass(frozen=True)
class Writer(world.Writer):
    @property
    def luck(self) -> float:
        return LUCK.get(self.problem.meta["difficulty"], 0.01)

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(Part(number, str(number)) for number in self.problem.answer["numbers"])

    @property
    def target(self) -> int:
        return int(self.problem.answer["target"])

    def way(self) -> list[Move]:
        """The moves that the search ends with. (There always are some: every problem has a solution, which joins two
        parts at a time with the greater first.)"""
        found = reached(self.parts, self.target)
        if found is None:
            raise ValueError(f"{self.problem.id}: no way to {self.target} from {listed(self.parts)}")
        return found

    def right(self) -> str:
        return self.way()[-1].result.text

    def beginning(self) -> str:
        return f"Numbers {listed(self.parts)}, target {self.target}."

    def last_stage(self, parts: Sequence[Part]) -> tuple[str, Move | None]:
        """The results of joining the last two parts, up to the target."""
        results = []
        for move in moves(parts):
            results.append(str(move.result.value))
            if move.result.value == self.target:
                return f"{', '.join(results)}, yes", move
        return f"{', '.join(results)}, no", None

    def search(self) -> list[str]:
        """The steps of the whole search."""
        way, parts, steps = self.way(), self.parts, [self.beginning()]
        if len(parts) > 3:
            steps.append(f"Start with {way[0]}, leaves {listed(way[0].left)}.")
            parts = way[0].left
        if len(parts) == 2:
            return [*steps, f"{listed(parts)}: {self.last_stage(parts)[0]}.", f"So {way[-1].result.text}."]
        for move in moves(parts):
            results, found = self.last_stage(move.left)
            steps.append(f"{move} leaves {listed(move.left)}: {results}.")
            if found:
                return [*steps, f"So {found.result.text}."]
        raise ValueError(f"{self.problem.id}: the search found nothing")

    def work(self, style: str) -> Attempt:
        way = self.way()
        answer = way[-1].result.text
        match style:
            case "direct":
                return Attempt(" ".join([*(f"{move}." for move in way), f"So {answer}."]), answer)
            case "verbose":
                said = ["Let me look for a way.", *self.search()]
                return Attempt(" ".join([*said[:-1], "That is it.", said[-1]]), answer)
            case "checked":
                check = f"Check: {', '.join(map(str, way))}, yes."
                return Attempt(" ".join(["I check at the end.", *self.search(), check]), answer)
            case "lucky":
                return Attempt(" ".join(self.slipped()), answer)
            case "flawed":
                return self.flawed()
        return Attempt(" ".join(self.search()), answer)

    def slipped(self) -> list[str]:
        """The search with a wrong result that does no harm: of a branch that leads nowhere, or else of the last step,
        before whose end nothing is made of it."""
        steps = self.search()
        spots = [i for i, step in enumerate(steps) if step.endswith((", no.", ", yes."))]
        spot = self.rng.choice(spots[:-1] or spots)
        head, _, results = steps[spot].rpartition(": ")
        values = results.split(", ")
        first = int(values[0])
        wrong = self.rng.choice([by for by in (-2, -1, 1, 2) if first + by >= 0 and first + by != self.target])
        values[0] = str(first + wrong)
        if len(values) == 2 and values[-1] == "yes.":
            # The first result is the target: a wrong one goes before it.
            values.insert(1, str(first))
        steps[spot] = f"{head}: {', '.join(values)}"
        return steps

    def flawed(self) -> Attempt:
        """A search that takes a result for the target which isn't."""
        parts, steps = self.parts, [self.beginning()]
        while len(parts) > 2:
            move = self.rng.choice(list(moves(parts)))
            if len(parts) == 3:
                steps.append(f"{move} leaves {listed(move.left)}:")
            else:
                steps.append(f"Start with {move}, leaves {listed(move.left)}.")
            parts = move.left
        misses = [move for move in moves(parts) if move.result.value != self.target]
        miss = self.rng.choice(misses)
        ending = f"{self.target}, yes. So {miss.result.text}."
        if len(self.parts) == 2:
            ending = f"{listed(parts)}: {ending}"
        return Attempt(" ".join([*steps, ending]), miss.result.text)

    def wrong(self) -> str:
        """An expression of the numbers that doesn't reach the target."""
        for _ in range(100):
            parts = self.parts
            while len(parts) > 1:
                parts = self.rng.choice(list(moves(parts))).left
            if parts[0].value != self.target:
                return parts[0].text
        return str(self.parts[0].value)

    def evasive(self) -> str:
        return self.rng.choice(("There is no way.", "No idea.", "Nobody knows."))

    def critique(self, attempt: Attempt) -> str:
        """What the proposed expression comes to, by the rules of arithmetic."""
        from merf.tasks.arithmetic import evaluate

        try:
            value, _ = evaluate(attempt.answer)
        except (ValueError, ZeroDivisionError):
            return f"{attempt.answer} is no expression."
        return f"{attempt.answer} is {value}, the target is {self.target}."

    def rubric(self) -> list[str]:
        """That the search begins in order, and what it ends with."""
        steps = self.search()
        return [f"it says: {step}" for step in (steps[0], steps[-1])]


class Countdown(world.World):
    """Two to four small numbers, and a target that sums, differences and products of all of them reach."""

    name = "countdown"
    task_name = "countdown"
    dial = "numbers"
    fixed: ClassVar = {"largest": 9, "target": (4, 60), "operations": OPERATIONS}
    levels = (2, 3, 4)
    level = 3
    styles = ("careful", "direct", "verbose", "checked", "lucky", "flawed")
    openings: ClassVar = {
        "careful": "Numbers",
        "verbose": "Let me look for a way.",
        "checked": "I check at the end.",
    }
    marks: ClassVar = {
        "checked": r"Check: ",
        "verbose": r"Let me look",
        "careful": r"Numbers \d.*(yes|no)\.",
        "direct": r"\d [-+*] \d+ = \d+\.",
    }
    requests: ClassVar = {
        "careful": ("Try every way in turn.", "Do not guess: search.", "Go through the possibilities."),
        "direct": ("Show only the way to the target.", "No detours."),
        "verbose": ("Explain what you do.", "Talk me through it."),
        "checked": ("Check your result.", "Make sure that it is right at the end."),
    }
    checker = CountdownSteps()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)
