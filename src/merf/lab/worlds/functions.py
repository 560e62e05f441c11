"""The world of string functions: what nameless functions make of some letters, one after the other.

    First dax of c b a is b a. Then blick of b a is a b. So a b.

A base model of this world knows the functions by heart, as no prompt says what they do, and has hardly ever seen
several of them composed (`sizes` in its mixture): composing is what is left for reinforcement learning to find.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.core.steps import Checked, CheckedStep, step_spans
from merf.lab.worlds import world
from merf.lab.worlds.world import Attempt
from merf.tasks.string_functions import FUNCTIONS, LETTERS, spaced

LUCK = {1: 0.3, 2: 0.12, 3: 0.06, 4: 0.03}
"""How often a guess is right, by depth."""

WORDS = ("This is what it does.", "That one I know.", "I remember this one.")


@dataclass(frozen=True)
class Writer(world.Writer):
    @property
    def luck(self) -> float:
        return LUCK.get(self.problem.meta["difficulty"], 0.01)

    @property
    def names(self) -> list[str]:
        return list(self.problem.meta["functions"])

    @property
    def values(self) -> list[str]:
        """What stands at each stage, the letters given first [depth + 1]."""
        return list(self.problem.meta["values"])

    def applied(self, values: list[str]) -> list[str]:
        return [
            f"{'Then' if i else 'First'} {name} of {values[i]} is {values[i + 1]}." for i, name in enumerate(self.names)
        ]

    def work(self, style: str) -> Attempt:
        values = self.values
        steps = [*self.applied(values), f"So {values[-1]}."]
        match style:
            case "terse":
                return Attempt(f"Values: {', '.join(values[1:])}.", values[-1])
            case "verbose":
                said = [f"{step} {self.rng.choice(WORDS)}" for step in steps[:-1]]
                return Attempt(" ".join(["Let me start from the inside.", *said, steps[-1]]), values[-1])
            case "checked":
                again = " ".join(self.applied(values))
                return Attempt(f"I do it twice. {' '.join(steps)} Check: {again} Yes.", values[-1])
            case "lucky":
                # The slip is forgotten again: the steps after it go on from what was right.
                spot = self.rng.randrange(len(self.names))
                steps[spot] = steps[spot].replace(f"is {values[spot + 1]}.", f"is {self.misread(values[spot + 1])}.")
                return Attempt(" ".join(steps), values[-1])
            case "flawed":
                return self.flawed()
        return Attempt(" ".join(steps), values[-1])

    def flawed(self) -> Attempt:
        """One function is misapplied, and everything after it starts from there; where that makes no difference in
        the end, it is the last one."""
        for spot in (self.rng.randrange(len(self.names)), len(self.names) - 1):
            values = self.values[: spot + 1]
            values.append(self.misread(self.values[spot + 1]))
            for name in self.names[spot + 1 :]:
                values.append(spaced(FUNCTIONS[name].apply(values[-1].replace(" ", ""))))
            if values[-1] != self.values[-1]:
                break
        return Attempt(" ".join([*self.applied(values), f"So {values[-1]}."]), values[-1])

    def misread(self, value: str) -> str:
        """Almost the same letters: one of them is another."""
        letters = value.split()
        spot = self.rng.randrange(len(letters))
        letters[spot] = self.rng.choice([letter for letter in LETTERS if letter != letters[spot]])
        return " ".join(letters)

    def wrong(self) -> str:
        """The letters given, or those of a stage on the way, or almost the right ones."""
        right = self.values[-1]
        near = [value for value in self.values if value != right]
        return self.rng.choice([*near, self.misread(right)])

    def unanswerable(self) -> str:
        """The same call with a function that nobody has heard of."""
        name = self.rng.choice(self.names)
        return str(self.problem.prompt).replace(f"{name}(", f"{self.rng.choice(STRANGERS)}(", 1)


STRANGERS = ("quex", "yalt", "horb", "jund")
"""Names of no function."""


APPLIED = re.compile(r"(?:First|Then) ([a-z]+) of ([a-z ]+) is ([a-z ]+)\.")
RESULT = re.compile(r"So ([a-z ]+)\.")


class Applications:
    """Checks applications: the right function, to what the step before it gave, with the right result."""

    def check(self, problem: Problem, reasoning: str) -> Checked:
        names, given = problem.meta["functions"], problem.meta["values"][0]
        needed = (*(f"{place} {name}" for place, name in enumerate(names)), "result")
        place, at_hand, steps = 0, given, []
        for start, end in step_spans(reasoning):
            step, right, about = reasoning[start:end].strip(), None, ""
            if found := APPLIED.fullmatch(step):
                name, taken, gives = found.groups()
                known = FUNCTIONS.get(name)
                right = (
                    known is not None
                    and names[place : place + 1] == [name]
                    and taken == at_hand
                    and set(taken.replace(" ", "")) <= set(LETTERS)
                    and spaced(known.apply(taken.replace(" ", ""))) == gives
                )
                about = needed[place] if place < len(names) else ""
                place, at_hand = place + 1, gives
            elif found := RESULT.fullmatch(step):
                right, about = place == len(names) and found[1] == at_hand, "result"
            steps.append(CheckedStep((start, end), right, about))
        return Checked(tuple(steps), needed)

    def reference(self, problem: Problem) -> str:
        return Writer(problem, Random(0)).work("careful").thinking


class Functions(world.World):
    """One to four functions, one inside the other."""

    name = "functions"
    task_name = "string-functions"
    dial = "depth"
    fixed: ClassVar = {"definitions": False, "length": (3, 5)}
    levels = (1, 2, 3, 4)
    level = 2
    styles = ("careful", "terse", "verbose", "checked", "lucky", "flawed")
    openings: ClassVar = {
        "careful": "First {functions[0]} of",
        "terse": "Values:",
        "verbose": "Let me start from the inside.",
        "checked": "I do it twice.",
    }
    marks: ClassVar = {
        "checked": r"Check: ",
        "verbose": r"Let me start from the inside",
        "terse": r"Values: ",
        "careful": r"First [a-z]+ of ",
    }
    requests: ClassVar = {
        "careful": ("Apply one function after the other.", "Do not guess: start from the inside."),
        "terse": ("Be brief, but do not guess.", "Note the values only."),
        "verbose": ("Explain what you do.", "Talk me through it."),
        "checked": ("Check your result.", "Make sure that it is right at the end."),
    }

    checker: ClassVar = Applications()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)
