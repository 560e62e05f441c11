"""The Knights & Knaves world: small puzzles, and people who write answers to them.

A writer either works or guesses. Work begins by restating what everybody says, then takes the cases in
order,

    Ann says Bob knave. Bob says Ann knight iff Bob knave.
    If Ann honest Bob honest: Ann: Bob knave false no.
    If Ann honest Bob lying: Ann: Bob knave true, Bob: Ann knight true iff Bob knave true so true no. …

in each of which the statements are found true or false one after the other, up to the first that doesn't
fit its speaker's role ("no"); a case in which all fit ends with "yes" and is the answer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.lab.worlds import world
from merf.lab.worlds.knights_steps import KnightsSteps, work
from merf.lab.worlds.world import Attempt
from merf.tasks.knights_knaves import NAMES, KnightsKnaves, answer_text

CAST = NAMES[:12]
LUCK = {2: 0.4, 3: 0.25, 4: 0.15}
"""How often a guess is right, by number of people."""

SHRUGS = (
    "I guess.",
    "Let me guess.",
    "This looks easy.",
    "I have a feeling about {name}.",
    "{name} sounds honest.",
    "I do not trust {name}.",
    "Hard to say.",
)


def task(people: tuple[int, int] = (2, 4)) -> KnightsKnaves:
    return KnightsKnaves(people=people, names=CAST)


@dataclass(frozen=True)
class Writer(world.Writer):
    """Writes the two parts of a response to one puzzle."""

    main: ClassVar[str] = "work"

    @property
    def roles(self) -> tuple[bool, ...]:
        return tuple(self.problem.answer.values())

    @property
    def luck(self) -> float:
        return LUCK[len(self.roles)]

    def work(self, style: str) -> Attempt:
        return Attempt(work(self.problem), self.right())

    def shrug(self) -> str:
        return self.rng.choice(SHRUGS).format(name=self.rng.choice(self.problem.meta["names"]))

    def wrong(self) -> str:
        others = [r for r in itertools.product((True, False), repeat=len(self.roles)) if r != self.roles]
        return answer_text(self.problem.meta["names"], self.rng.choice(others))

    def evasive(self) -> str:
        name = self.rng.choice(self.problem.meta["names"])
        return self.rng.choice(("I will not say.", "Nobody knows.", f"{name} is a knight or a knave.", "No answer."))


class Knights(world.World):
    """Two to four islanders with one statement each."""

    name = "knights"
    task_name = "knights-knaves"
    dial = "people"
    fixed: ClassVar = {"names": CAST}
    levels = (2, 3, 4)
    level = 2
    styles = ("work",)
    openings: ClassVar = {"work": "{names[0]} says"}
    marks: ClassVar = {"work": r" (yes|no)\."}
    requests: ClassVar = {
        "work": (
            "Check every case one by one.",
            "Go through all the cases.",
            "Do not guess: try each case in turn.",
        )
    }
    checker = KnightsSteps()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)

    def problem(self, level: int, seed: int, number: int) -> Problem:
        # Splits of this task are drawn apart, whatever they are called. (Two draws may give the same small puzzle.)
        return self.task(level, level).problem("pretrain", seed, number)

    def held_out(self, level: int, n: int) -> list[Problem]:
        return list(itertools.islice(self.task(level, level).problems("card"), n))

    def opening(self, problem: Problem, style: str) -> str:
        return "<think>I guess.</think>" if style == world.GUESS else super().opening(problem, style)
