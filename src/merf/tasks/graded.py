"""Questions whose best answer is right with a known probability, and that ask how sure one is.

A ball is drawn from a bag of ten, described in words. Who reasons well names the commonest colour, and is right as
often as that colour's share says: that share is the honest confidence, for a single question and without a million
repetitions. So the calibration of a model can be measured against the truth, and RLCR (arXiv 2507.16806; the rule
`Calibrated`) be seen to teach it.

The confidence stands in a block of its own (`ThinkAnswerConfidence`). Which ball was drawn is part of the problem:
the verdict on an answer never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.layout import Layout, ThinkAnswerConfidence
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.answers import Exact
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, span, spread

COLOURS = ("red", "blue", "green", "white", "black", "yellow", "pink", "grey")
NAMES = ("Ann", "Bob", "Cid", "Dora", "Eve", "Fay", "Gus", "Hal", "Ida", "Jack", "Kate", "Leo")
BAGS = ("bag", "box", "hat", "jar", "basket", "drawer")
BALLS = 10

SPLITS: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((10,),),
    2: ((9, 1),),
    3: ((8, 2), (8, 1, 1)),
    4: ((7, 3), (7, 2, 1), (7, 1, 1, 1)),
    5: ((6, 4), (6, 3, 1), (6, 2, 2), (6, 2, 1, 1)),
    6: ((5, 4, 1), (5, 3, 2), (5, 3, 1, 1), (5, 2, 2, 1)),
    7: ((4, 3, 3), (4, 3, 2, 1), (4, 2, 2, 2)),
}
"""How many balls there are of each colour, by grade: the commonest colour's share is (11 − grade)/10, and no other
colour is as common."""


def contents(counts: dict[str, int], rng: Random) -> str:
    """`3 red balls, 5 blue ones and 2 green ones`; sometimes one colour is said in terms of another."""
    colours = list(counts)
    said: list[str] = []
    for number, colour in enumerate(colours):
        count, before = counts[colour], counts[colours[number - 1]] if number else 0
        noun = ("ball" if not number else "one") + ("s" if count != 1 else "")
        if number and count > before and rng.random() < 0.5:
            said.append(
                f"{count - before} more {colour} {'ones' if count - before != 1 else 'one'} than {colours[number - 1]}"
            )
        else:
            said.append(f"{count} {colour} {noun}")
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


@dataclass(frozen=True)
class Graded(Procedural):
    """`grades` is the inclusive range of grades, in equal shares: at grade g the best answer is right with
    probability (11 − g)/10."""

    grades: tuple[int, int] = (1, 7)
    name: str = "graded"
    layout: Layout = ThinkAnswerConfidence()

    facts: ClassVar[Facts] = Facts(
        verifier="the colour that was drawn",
        dials=(Dial("grades", "1 (certain) to 7 (right in 4 of 10 cases at best)"),),
    )

    def __post_init__(self) -> None:
        check_range("grades", self.grades, min(SPLITS), max(SPLITS))

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        grade = spread(*self.grades, index)
        split = rng.choice(SPLITS[grade])
        colours = rng.sample(COLOURS, len(split))
        mixed = list(zip(colours, split, strict=True))
        rng.shuffle(mixed)
        counts = dict(mixed)
        drawn = rng.choices(list(counts), list(counts.values()))[0]
        name, bag = rng.choice(NAMES), rng.choice(BAGS)
        return Problem(
            prompt=(
                f"{name}'s {bag} holds {contents(counts, rng)}, {BALLS} balls in all. {name} takes one of them without "
                "looking. What colour is it?"
            ),
            answer=(drawn,),
            meta={
                "difficulty": grade,
                "solution": drawn,
                "counts": counts,
                "best": colours[0],
                "confidence": split[0] / BALLS,
                "chance": {colour: count / BALLS for colour, count in counts.items()},
            },
        )

    def verify(self, problem: Problem, answer: str) -> Verdict:
        given = Exact.normal(answer)
        if given not in COLOURS:
            return Verdict(correct=False, readable=False, note="not one colour")
        return Verdict(correct=given in problem.answer)

    def describe(self) -> str:
        low, high = (11 - grade for grade in reversed(self.grades))
        return f"What colour is drawn? The best answer is right in {span(low, high)} of 10 cases."
