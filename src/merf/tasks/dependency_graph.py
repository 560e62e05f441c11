"""Quantities that are defined by one another: a dependency graph in words, and a question about one of its nodes.

The worlds of iGSM (arXiv 2407.20311) and of PreMidRL (arXiv 2512.07783): every number on the way to the answer is
known, so a derivation can be followed step by step (`merf.tasks.dependency_steps`).

    All counting here is modulo 23: after 22 comes 0. There are 7 owls in Oakwood. Lakeside has 3 more foxes than
    there are owls in Oakwood. How many foxes are there in Lakeside?
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, span, spread

Operand = str | int
"""The name of another quantity, or a number."""


@dataclass(frozen=True)
class Quantity:
    """A named number: `operands` is its value where `operation` is empty, else the two things it is made from."""

    name: str
    operation: str
    operands: tuple[Operand, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(one for one in self.operands if isinstance(one, str))


@dataclass(frozen=True)
class Context:
    """A setting: things that are counted, in places."""

    things: tuple[str, ...]
    places: tuple[str, ...]


CONTEXTS: dict[str, Context] = {
    "zoo": Context(
        ("owls", "foxes", "otters", "storks", "badgers", "lizards", "turtles", "monkeys"),
        ("Oakwood", "Lakeside", "Hillcrest", "Fernhill", "Redmoor", "Ashford"),
    ),
    "school": Context(
        ("maps", "globes", "easels", "flutes", "drums", "chairs", "lamps", "clocks"),
        ("the library", "the gym", "the hall", "the attic", "the office", "the studio"),
    ),
    "market": Context(
        ("apples", "pears", "plums", "figs", "lemons", "melons", "onions", "leeks"),
        ("the red cart", "the blue cart", "the green cart", "the white cart", "the old cart", "the new cart"),
    ),
    "harbour": Context(
        ("ropes", "nets", "barrels", "crates", "anchors", "oars", "sails", "buckets"),
        ("the tug", "the ferry", "the barge", "the trawler", "the yacht", "the cutter"),
    ),
}

LARGEST = 99
"""Without a modulus, the greatest value of any quantity."""


def value_of(quantity: Quantity, values: dict[str, int], modulus: int) -> int:
    """The value that follows from the values of its parents."""
    numbers = [values[one] if isinstance(one, str) else one for one in quantity.operands]
    return reduced(combined(quantity.operation, numbers), modulus)


def combined(operation: str, numbers: Sequence[int]) -> int:
    match operation:
        case "+":
            return numbers[0] + numbers[1]
        case "-":
            return numbers[0] - numbers[1]
        case "*":
            return numbers[0] * numbers[1]
    return numbers[0]


def reduced(value: int, modulus: int) -> int:
    return value % modulus if modulus else value


def needed_for(name: str, quantities: dict[str, Quantity]) -> list[str]:
    """`name` and everything it depends on, parents before children."""
    order: dict[str, None] = {}

    def visit(one: str) -> None:
        for parent in quantities[one].parents:
            visit(parent)
        order.setdefault(one)

    visit(name)
    return list(order)


class Growing:
    """A graph under construction: quantities by name, and their values."""

    def __init__(self, names: Sequence[str], modulus: int, rng: Random) -> None:
        self.names, self.modulus, self.rng = names, modulus, rng
        self.quantities: dict[str, Quantity] = {}
        self.values: dict[str, int] = {}

    def add(self, operation: str, *operands: Operand) -> str:
        """A quantity of the next name; ValueError where its value is no count."""
        quantity = Quantity(self.names[len(self.quantities)], operation, operands)
        value = value_of(quantity, self.values, self.modulus)
        if not 0 <= value <= LARGEST:
            raise ValueError(f"{value} is no count")
        self.quantities[quantity.name], self.values[quantity.name] = quantity, value
        return quantity.name

    def combine(self, *operands: Operand) -> str:
        """Two operands under a random operation that gives a count."""
        for operation in self.rng.sample("+++--*", 6):
            try:
                return self.add(operation, *operands)
            except ValueError:
                continue
        raise ValueError(f"{operands} can't be combined")

    def leaf(self) -> str:
        return self.add("", self.rng.randint(2, min(12, self.modulus - 1) if self.modulus else 12))

    def node(self, operations: int) -> str:
        """A new quantity that takes this many operations beyond what there is already. Every quantity made on the way
        is one that it depends on."""
        if operations == 0:
            return self.leaf()
        if self.rng.random() < 0.5:
            return self.combine(self.node(operations - 1), self.rng.randint(2, 5))
        left = self.rng.randint(0, operations - 1)
        first = self.shared(left)
        return self.combine(first, self.shared(operations - 1 - left, but=first))

    def shared(self, operations: int, but: str = "") -> str:
        """The same, where a quantity that needs no operation may be one that there is, other than `but`."""
        there = [name for name in self.quantities if name != but]
        return (
            self.rng.choice(there) if operations == 0 and there and self.rng.random() < 0.6 else self.node(operations)
        )

    def aside(self) -> str:
        """A quantity that nothing else depends on."""
        one, other = self.rng.sample(list(self.quantities), 2) if len(self.quantities) > 1 else (self.leaf(), 2)
        return self.combine(one, other) if self.rng.random() < 0.5 else self.leaf()


def sentence(quantity: Quantity, rng: Random) -> str:
    """The definition in English."""
    thing, _, place = quantity.name.partition(" in ")
    if not quantity.operation:
        (number,) = quantity.operands
        return rng.choice((f"There are {number} {quantity.name}.", f"{capital(place)} has {number} {thing}."))
    first, second = quantity.operands
    if isinstance(second, int):
        how = {"+": f"{second} more", "-": f"{second} fewer", "*": f"{second} times as many"}[quantity.operation]
        link = "as" if quantity.operation == "*" else "than"
        return rng.choice(
            (
                f"{capital(place)} has {how} {thing} {link} there are {first}.",
                f"There are {how} {quantity.name} {link} {first}.",
            )
        )
    word = {"+": "plus", "-": "minus", "*": "times"}[quantity.operation]
    return f"The number of {quantity.name} is the number of {first} {word} the number of {second}."


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class DependencyGraph(Procedural):
    """`operations` is the inclusive range of how many operations lead to the answer, in equal shares; `aside` how many
    quantities have nothing to do with it; `modulus` what is counted modulo (0: whole numbers up to 99); `contexts` the
    settings that occur, of zoo, school, market and harbour."""

    operations: tuple[int, int] = (2, 6)
    aside: int = 2
    modulus: int = 23
    contexts: tuple[str, ...] = tuple(CONTEXTS)
    name: str = "dependency-graph"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="the same whole number; every step can be checked too",
        dials=(
            Dial("operations", "1 to 12 operations"),
            Dial("aside", "0 to 10 quantities that don't matter"),
            Dial("modulus", "5 to 99, or 0 for whole numbers up to 99"),
        ),
    )

    def __post_init__(self) -> None:
        check_range("operations", self.operations, 1, 12)
        if not 0 <= self.aside <= 10:
            raise ValueError(f"aside={self.aside}: expected 0 to 10")
        if self.modulus and not 5 <= self.modulus <= 99:
            raise ValueError(f"modulus={self.modulus}: expected 5 to 99, or 0 for none")
        if not self.contexts or set(self.contexts) - set(CONTEXTS):
            raise ValueError(f"contexts={list(self.contexts)}: expected some of {', '.join(CONTEXTS)}")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        operations = spread(*self.operations, index)
        context = rng.choice(self.contexts)
        target, graph = self.grown(operations, CONTEXTS[context], rng)
        said = [sentence(quantity, rng) for quantity in graph.quantities.values()]
        rng.shuffle(said)
        counting = (
            [f"All counting here is modulo {self.modulus}: after {self.modulus - 1} comes 0."] if self.modulus else []
        )
        return Problem(
            prompt=" ".join([*counting, *said, f"How many {target.replace(' in ', ' are there in ', 1)}?"]),
            answer={"value": graph.values[target], "thing": target.partition(" in ")[0]},
            meta={
                "difficulty": operations,
                "solution": str(graph.values[target]),
                "context": context,
                "modulus": self.modulus,
                "quantities": graph.quantities,
                "values": graph.values,
                "target": target,
            },
        )

    def grown(self, operations: int, context: Context, rng: Random) -> tuple[str, Growing]:
        """The name of the quantity that is asked for, and a graph that holds it."""
        names = [f"{thing} in {place}" for thing in context.things for place in context.places]
        for _ in range(1000):
            graph = Growing(rng.sample(names, len(names)), self.modulus, rng)
            try:
                target = graph.node(operations)
                for _ in range(self.aside):
                    graph.aside()
            except ValueError:
                continue
            return target, graph
        raise ValueError(f"no graph with {operations} operations: allow fewer, or a modulus")

    def verify(self, problem: Problem, answer: str) -> Verdict:
        found = re.fullmatch(r"(-?[0-9]{1,9})(?: ([a-z]{1,20}))?\.?", answer.strip())
        if not found or found[2] not in (None, problem.answer["thing"]):
            return Verdict(correct=False, readable=False, note="not a whole number")
        return Verdict(correct=int(found[1]) == problem.answer["value"])

    def describe(self) -> str:
        return (
            f"A quantity that takes {span(*self.operations)} operations to find among others that depend on it or not."
        )
