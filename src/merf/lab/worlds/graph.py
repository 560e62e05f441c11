"""The dependency-graph world: quantities defined by one another, worked out one after the other.

    I want foxes in Lakeside. owls in Oakwood = 7. foxes in Lakeside = owls in Oakwood + 3 = 7 + 3 = 10. So it is 10.

Every step can be checked (`merf.tasks.dependency_steps`).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.lab.worlds import world
from merf.lab.worlds.world import Attempt
from merf.tasks.dependency_graph import Quantity, combined, needed_for, reduced, sentence
from merf.tasks.dependency_steps import DependencySteps, written

LUCK = {1: 0.15, 2: 0.1, 3: 0.06, 4: 0.04}
"""How often a guess is right, by number of operations."""

BETWEEN = ("Next.", "With that I can go on.", "Now I know that.", "One more.")


@dataclass(frozen=True)
class Writer(world.Writer):
    @property
    def luck(self) -> float:
        return LUCK.get(self.problem.meta["difficulty"], 0.02)

    @property
    def quantities(self) -> dict[str, Quantity]:
        found: dict[str, Quantity] = self.problem.meta["quantities"]
        return found

    @property
    def values(self) -> dict[str, int]:
        found: dict[str, int] = self.problem.meta["values"]
        return found

    @property
    def modulus(self) -> int:
        return int(self.problem.meta["modulus"])

    @property
    def order(self) -> list[Quantity]:
        """What is needed, parents first."""
        return [self.quantities[name] for name in needed_for(self.problem.meta["target"], self.quantities)]

    @property
    def made(self) -> list[Quantity]:
        """What is needed and takes an operation."""
        return [quantity for quantity in self.order if quantity.operation]

    @property
    def aim(self) -> str:
        return f"I want {self.problem.meta['target']}."

    def line(self, quantity: Quantity) -> str:
        return f"{written(quantity, self.values, self.modulus)}."

    def short(self, quantity: Quantity) -> str:
        """Name, numbers and value."""
        parts = self.line(quantity).split(" = ")
        return " = ".join([parts[0], parts[2], parts[-1]])

    def work(self, style: str) -> Attempt:
        lines = [self.line(quantity) for quantity in self.order]
        match style:
            case "terse":
                return Attempt(" ".join(["In short.", *map(self.short, self.made)]), self.right())
            case "verbose":
                spoken = [f"{self.rng.choice(BETWEEN)} {line}" for line in lines[1:]]
                return Attempt(" ".join(["Let me take it slowly.", self.aim, lines[0], *spoken]), self.right())
            case "checked":
                again = f"Check the last step again. {self.short(self.order[-1])} It holds."
                return Attempt(" ".join(["I check at the end.", self.aim, *lines, again]), self.right())
            case "lucky":
                spot = self.rng.choice(self.made)
                wrong = [self.slip(one) if one is spot else self.line(one) for one in self.order]
                return self.said(wrong, self.right())
            case "flawed":
                return self.flawed()
        return self.said(lines, self.right())

    def said(self, lines: list[str], answer: str) -> Attempt:
        return Attempt(" ".join([self.aim, *lines, f"So it is {answer}."]), answer)

    def slip(self, quantity: Quantity) -> str:
        """A step in which one number is misread and the right value stands all the same."""
        a, b = (self.values[one] if isinstance(one, str) else one for one in quantity.operands)
        by = self.rng.choice((1, 2, 3))
        names = " ".join(map(str, (quantity.operands[0], quantity.operation, quantity.operands[1])))
        return f"{quantity.name} = {names} = {a} {quantity.operation} {b + by} = {self.values[quantity.name]}."

    def flawed(self) -> Attempt:
        """One value is wrong, and all that depends on it follows from the wrong one."""
        for spot in self.rng.sample(self.made, len(self.made)):
            for by in self.rng.sample((-2, -1, 1, 2, 10), 5):
                values = self.carried(spot, by)
                target = values[self.problem.meta["target"]]
                if min(values.values()) >= 0 and str(target) != self.right():
                    lines = [self.miswritten(one, values, one is spot) for one in self.order]
                    return self.said(lines, str(target))
        wrong = self.wrong()
        last = self.line(self.order[-1]).rpartition(" = ")[0]
        return self.said([*map(self.line, self.order[:-1]), f"{last} = {wrong}."], wrong)

    def carried(self, spot: Quantity, by: int) -> dict[str, int]:
        """All needed values if `spot` comes out wrong by so much."""
        values: dict[str, int] = {}
        for quantity in self.order:
            numbers = [values[one] if isinstance(one, str) else one for one in quantity.operands]
            value = combined(quantity.operation, numbers) + (by if quantity is spot else 0)
            values[quantity.name] = reduced(value, self.modulus)
        return values

    def miswritten(self, quantity: Quantity, values: dict[str, int], slipped: bool) -> str:
        if not slipped:
            return f"{written(quantity, values, self.modulus)}."
        shown = written(quantity, values, self.modulus).split(" = ")[:3]
        return f"{' = '.join(shown)} = {values[quantity.name]}."

    def wrong(self) -> str:
        right = int(self.right())
        near = [one for one in range(max(right - 5, 0), right + 6) if one != right]
        return str(self.rng.choice(near))

    def unanswerable(self) -> str | None:
        """The problem without one of the numbers that it takes."""
        text = str(self.problem.prompt)
        for quantity in self.order:
            for said in {sentence(quantity, Random(seed)) for seed in range(8)}:
                if not quantity.operation and f"{said} " in text:
                    return text.replace(f"{said} ", "", 1)
        return None


class Graph(world.World):
    """One to four operations, among whole numbers, in two settings."""

    name = "graph"
    task_name = "dependency-graph"
    dial = "operations"
    fixed: ClassVar = {"modulus": 0, "aside": 1, "contexts": ("zoo", "school")}
    levels = (1, 2, 3, 4)
    level = 2
    styles = ("careful", "terse", "verbose", "checked", "lucky", "flawed")
    openings: ClassVar = {
        "careful": "I want {target}.",
        "terse": "In short.",
        "verbose": "Let me take it slowly.",
        "checked": "I check at the end.",
    }
    marks: ClassVar = {
        "checked": r"It holds\.",
        "verbose": r"Let me take it slowly\.",
        "terse": r"In short\.",
        "careful": r" = ",
    }
    requests: ClassVar = {
        "careful": ("Work out every quantity.", "Go step by step.", "Do not guess: work it out."),
        "terse": ("Be brief, but do not guess.", "Only the sums, please."),
        "verbose": ("Explain what you do.", "Talk me through it."),
        "checked": ("Check your result.", "Make sure that it is right at the end."),
    }
    checker = DependencySteps()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)
