"""Sums and differences of whole numbers with a given number of digits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, span, spread

NUMBER = re.compile(r"-?[0-9]{1,40}")


@dataclass(frozen=True)
class DigitArithmetic(Procedural):
    """`digits` is the inclusive range of how many digits both numbers have, in equal shares; `operations` some of
    + and -. Differences are never negative."""

    digits: tuple[int, int] = (1, 4)
    operations: str = "+-"
    name: str = "digit-arithmetic"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="the same whole number",
        dials=(Dial("digits", "1 to 20 digits"), Dial("operations", "some of + -")),
    )

    def __post_init__(self) -> None:
        check_range("digits", self.digits, 1, 20)
        if not self.operations or set(self.operations) - set("+-"):
            raise ValueError(f"operations={self.operations!r}: expected some of + -")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        digits = spread(*self.digits, index)
        lowest = 10 ** (digits - 1) if digits > 1 else 0
        a, b = (rng.randint(lowest, 10**digits - 1) for _ in range(2))
        operation = rng.choice(self.operations)
        if operation == "-" and a < b:
            a, b = b, a
        result = a + b if operation == "+" else a - b
        return Problem(
            prompt=f"What is {a} {operation} {b}?",
            answer=result,
            meta={"difficulty": digits, "solution": str(result), "numbers": [a, b], "operation": operation},
        )

    def verify(self, problem: Problem, answer: str) -> Verdict:
        found = NUMBER.fullmatch(answer.strip())
        if found is None:
            return Verdict(correct=False, readable=False, note="not a whole number")
        return Verdict(correct=int(found[0]) == problem.answer)

    def describe(self) -> str:
        return f"Sums and differences of two numbers of {span(*self.digits)} digits."
