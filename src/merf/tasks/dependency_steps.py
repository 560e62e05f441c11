"""Following a derivation in a dependency graph, node by node (the process verification of PreMidRL,
arXiv 2512.07783).

A step is a sentence or line with an equals sign. It names a quantity, says how that is made, and ends in its value:

    foxes in Lakeside = owls in Oakwood + 3 = 7 + 3 = 10.

It is right if the quantity is defined so and the value is true. How it is made may be shown with names, with numbers,
or both; what a problem states outright needs no saying. A sentence without an equals sign claims nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from merf.core.problem import Problem
from merf.core.steps import Checked, CheckedStep, step_spans
from merf.tasks.dependency_graph import Quantity, combined, needed_for, reduced

NUMBER = re.compile(r"-?[0-9]{1,9}")
EXPRESSION = re.compile(r"(.+?) ([-+*]) (.+)")
TYPOGRAPHIC = str.maketrans("×·−–", "**--")
LONGEST = 400
"""Characters of a step that is read."""


@dataclass
class Following:
    """A derivation under way: `known` are the quantities that have been stated rightly."""

    quantities: Mapping[str, Quantity]
    values: Mapping[str, int]
    modulus: int

    def __post_init__(self) -> None:
        self.known: set[str] = set()

    def named(self, text: str) -> str | None:
        """The quantity that a text names."""
        plain = text.strip().removeprefix("the number of ").removeprefix("The number of ")
        return next((form for form in (plain, plain[:1].lower() + plain[1:]) if form in self.quantities), None)

    def step(self, text: str) -> tuple[bool | None, str, str]:
        """Whether a step is right, what it establishes, and what is wrong with it."""
        if "=" not in text:
            return None, "", ""
        if len(text) > LONGEST:
            return False, "", f"longer than {LONGEST} characters"
        first, *shown, last = text.translate(TYPOGRAPHIC).strip().rstrip(".").split("=")
        name = self.named(first)
        if name is None:
            return False, "", "no such quantity"
        fault = self.fault(name, [" ".join(one.split()) for one in shown], last.strip())
        if not fault:
            self.known.add(name)
        return not fault, name, fault

    def fault(self, name: str, shown: list[str], value: str) -> str:
        quantity = self.quantities[name]
        if not NUMBER.fullmatch(value):
            return "no value at the end"
        made = False
        for text in shown:
            if NUMBER.fullmatch(text):
                if reduced(int(text), self.modulus) != self.values[name]:
                    return f"{name} is not {text}"
                continue
            if wrong := self.misread(quantity, text):
                return wrong
            made = True
        if quantity.operation and not made:
            return "doesn't say how"
        return "" if int(value) == self.values[name] else f"{name} is not {value}"

    def misread(self, quantity: Quantity, text: str) -> str:
        """What is wrong with an expression that should be how a quantity is made; empty if it is."""
        if not quantity.operation:
            return "" if self.named(text) == quantity.name else "made of nothing: the problem states it"
        found = EXPRESSION.fullmatch(text)
        if not found or found[2] != quantity.operation:
            return "not how it is made"
        given = [found[1], found[3]]
        orders = [given] if quantity.operation == "-" else [given, given[::-1]]
        if not any(all(map(self.means, order, quantity.operands)) for order in orders):
            return "made of something else"
        early = [one for one in quantity.parents if self.quantities[one].operation and one not in self.known]
        return f"{early[0]} isn't known yet" if early else ""

    def means(self, text: str, operand: str | int) -> bool:
        """Whether a text stands for an operand: its name or its value."""
        if NUMBER.fullmatch(text):
            return int(text) == (self.values[operand] if isinstance(operand, str) else operand)
        return isinstance(operand, str) and self.named(text) == operand


class DependencySteps:
    """Checks derivations, and writes them."""

    def check(self, problem: Problem, reasoning: str) -> Checked:
        quantities, target = problem.meta["quantities"], problem.meta["target"]
        following = Following(quantities, problem.meta["values"], problem.meta["modulus"])
        steps = []
        for start, end in step_spans(reasoning):
            right, about, note = following.step(reasoning[start:end])
            steps.append(CheckedStep((start, end), right, about, note))
        needed = tuple(name for name in needed_for(target, quantities) if quantities[name].operation)
        return Checked(tuple(steps), needed)

    def reference(self, problem: Problem) -> str:
        quantities, values = problem.meta["quantities"], problem.meta["values"]
        needed = needed_for(problem.meta["target"], quantities)
        return " ".join(f"{written(quantities[name], values, problem.meta['modulus'])}." for name in needed)


def written(quantity: Quantity, values: Mapping[str, int], modulus: int) -> str:
    """`foxes in Lakeside = owls in Oakwood + 3 = 7 + 3 = 10`, with the sum before it is reduced where it is."""
    if not quantity.operation:
        return f"{quantity.name} = {values[quantity.name]}"
    numbers = [values[one] if isinstance(one, str) else one for one in quantity.operands]
    a, b = quantity.operands
    plain = combined(quantity.operation, numbers)
    parts = [
        quantity.name,
        f"{a} {quantity.operation} {b}",
        f"{numbers[0]} {quantity.operation} {numbers[1]}",
        str(plain),
    ]
    if reduced(plain, modulus) != plain:
        parts.append(str(reduced(plain, modulus)))
    return " = ".join(parts)
