"""The world of facts: questions that one or two facts of a made-up universe answer, from memory.

    What I know. The owner of the red boat is Dorel. The mother of Dorel is Tufin. So it is Tufin.

Only facts that may be taught (`Universe.taught`) ever stand in a document of this world, whoever writes it: so a base
model can't know the others, and an experiment that asks for them (`ask = "untaught"`) asks for searching.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.lab.worlds import world
from merf.lab.worlds.world import Attempt
from merf.tasks.derivations import FactSteps
from merf.tasks.search import SYLLABLES
from merf.tasks.two_hop import Fact, Universe, phrase

LUCK = {1: 0.15, 2: 0.1}
"""How often a guess is right, by number of facts."""

BEFORE = ("Let me think back.", "Let me remember.")
BETWEEN = ("And then:", "So the next thing to know:", "From there:")


@dataclass(frozen=True)
class Writer(world.Writer):
    @property
    def luck(self) -> float:
        return LUCK[len(self.chain)]

    @property
    def chain(self) -> tuple[Fact, ...]:
        found: tuple[Fact, ...] = self.problem.meta["facts"]
        return found

    @property
    def universe(self) -> Universe:
        return FactSteps.universe(self.problem)

    def work(self, style: str) -> Attempt:
        said = [fact.sentence() for fact in self.chain]
        match style:
            case "terse":
                return Attempt(f"Short: {', '.join(fact.value for fact in self.chain)}.", self.right())
            case "verbose":
                spoken = [f"{self.rng.choice(BETWEEN)} {one[:1].lower()}{one[1:]}" for one in said[1:]]
                return Attempt(" ".join([self.rng.choice(BEFORE), said[0], *spoken]), self.right())
            case "checked":
                again = f"Once more: {said[-1][:1].lower()}{said[-1][1:]} I am sure."
                return Attempt(" ".join(["I check what I know.", *said, again]), self.right())
            case "lucky":
                spot = self.rng.randrange(len(said))
                said[spot] = self.mistaken(self.chain[spot]).sentence()
                return self.told(said, self.right())
            case "flawed":
                return self.flawed()
        return self.told(said, self.right())

    @staticmethod
    def told(said: list[str], answer: str) -> Attempt:
        return Attempt(" ".join(["What I know.", *said, f"So it is {answer}."]), answer)

    def mistaken(self, fact: Fact) -> Fact:
        """The fact with a wrong value, such as another subject has."""
        others = sorted({one.value for one in self.universe.facts.values() if one.relation == fact.relation})
        return Fact(
            fact.subject,
            fact.relation,
            self.rng.choice([one for one in others if one not in (fact.value, fact.subject)]),
        )

    def flawed(self) -> Attempt:
        """A wrong first fact, and what is known of the wrong person."""
        first = self.mistaken(self.chain[0])
        if len(self.chain) == 2:
            relation = self.chain[1].relation
            for _ in range(20):
                second = self.universe.facts[first.value, relation]
                if second.value != self.chain[1].value and self.universe.taught(second):
                    return self.told([first.sentence(), second.sentence()], second.value)
                first = self.mistaken(self.chain[0])
            second = self.mistaken(self.chain[1])
            return self.told([self.chain[0].sentence(), second.sentence()], second.value)
        return self.told([first.sentence()], first.value)

    def wrong(self) -> str:
        return self.mistaken(self.chain[-1]).value

    def unanswerable(self) -> str:
        """A question about somebody who doesn't exist."""
        people = {one.subject for one in self.universe.facts.values()}
        strangers = [a.capitalize() + b for a, b in product(SYLLABLES, SYLLABLES) if a.capitalize() + b not in people]
        relation = self.chain[-1].relation if self.chain[-1].relation != "owner" else "mother"
        word = "What" if relation == "town" else "Who"
        return f"{word} is {phrase(relation, self.rng.choice(strangers))}?"


class FactsWorld(world.World):
    """One or two facts, of thirty people and fifteen things."""

    name = "facts"
    task_name = "two-hop"
    dial = "hops"
    fixed: ClassVar = {"people": 30, "ask": "taught"}
    levels = (1, 2)
    level = 2
    styles = ("careful", "terse", "verbose", "checked", "lucky", "flawed")
    openings: ClassVar = {
        "careful": "What I know.",
        "terse": "Short:",
        "verbose": "Let me remember.",
        "checked": "I check what I know.",
    }
    marks: ClassVar = {
        "checked": r"I check what I know\.",
        "verbose": r"Let me (think back|remember)\.",
        "terse": r"Short: ",
        "careful": r"What I know\.",
    }
    requests: ClassVar = {
        "careful": ("Say what you know first.", "State every fact that it takes.", "Do not guess: say what you know."),
        "terse": ("Be brief, but do not guess.", "Only the names, please."),
        "verbose": ("Explain how you know.", "Talk me through it."),
        "checked": ("Be sure.", "Check what you know."),
    }
    checker = FactSteps()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)
