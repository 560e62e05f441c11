"""Countdown: reach a target with given numbers (the puzzle of TinyZero, arXiv 2504.01296 and many others)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import ClassVar

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.arithmetic import evaluate
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, span, spread


def in_words(items: list[int]) -> str:
    return f"{', '.join(map(str, items[:-1]))} and {items[-1]}"


def combine(numbers: list[int], operations: str, rng: Random) -> tuple[Fraction, str] | None:
    """A random expression that uses every number once: its value and text. None where a step fails.

    Differences stay positive and quotients whole, so every value on the way is one a person would write.
    """
    parts = [(Fraction(n), str(n)) for n in numbers]
    while len(parts) > 1:
        rng.shuffle(parts)
        (a, left), (b, right), *rest = parts
        if a < b:
            (a, left), (b, right) = (b, right), (a, left)
        operation = rng.choice(operations)
        if operation == "-" and a == b:
            return None
        if operation == "/" and a % b:
            return None
        value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[operation]
        parts = [(value, f"({left} {operation} {right})"), *rest]
    value, text = parts[0]
    return value, text[1:-1]


@dataclass(frozen=True)
class Countdown(Procedural):
    """`numbers` is the inclusive range of how many numbers are given, in equal shares; `largest` the
    greatest of them; `target` the inclusive range of targets; `operations` those of the hidden solution."""

    numbers: tuple[int, int] = (3, 4)
    largest: int = 50
    target: tuple[int, int] = (10, 100)
    operations: str = "+-*/"
    name: str = "countdown"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="exact arithmetic: each number at most once, value equals the target",
        dials=(
            Dial("numbers", "2 to 8 numbers"),
            Dial("largest", "9 to 1000"),
            Dial("target", "1 to 10000"),
            Dial("operations", "some of + - * /"),
        ),
    )

    def __post_init__(self) -> None:
        check_range("numbers", self.numbers, 2, 8)
        check_range("target", self.target, 1, 10_000)
        if not 9 <= self.largest <= 1000:
            raise ValueError(f"largest={self.largest}: expected 9 to 1000")
        if not self.operations or set(self.operations) - set("+-*/"):
            raise ValueError(f"operations={self.operations!r}: expected some of + - * /")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        count = spread(*self.numbers, index)
        low, high = self.target
        for _ in range(10_000):
            numbers = [rng.randint(1, self.largest) for _ in range(count)]
            found = combine(numbers, self.operations, rng)
            if found and low <= found[0] <= high and found[0] not in numbers:
                break
        else:
            raise ValueError(f"no {count} numbers up to {self.largest} reach {low} to {high} with {self.operations}")
        value, solution = found
        target = int(value)
        return Problem(
            prompt=(
                f"Using the numbers {in_words(numbers)}, write an arithmetic expression that equals {target}. "
                "You may use +, -, *, / and brackets, and each number at most once. "
                "Answer with the expression alone."
            ),
            answer={"numbers": numbers, "target": target},
            meta={"difficulty": count, "solution": solution},
        )

    def verify(self, problem: Problem, answer: str) -> Verdict:
        return judge(answer, problem.answer["numbers"], problem.answer["target"])

    def describe(self) -> str:
        return f"Countdown with {span(*self.numbers)} numbers: an expression that equals the target."


def judge(answer: str, numbers: list[int], target: int, every: bool = False) -> Verdict:
    """Whether an expression reaches `target` with these numbers, each at most once (or, with `every`, exactly
    once). `expression = target` is read as the expression."""
    expression, equals, result = answer.partition("=")
    if equals and result.strip() != str(target):
        return Verdict(correct=False, readable=False, note="an expression alone was asked for")
    try:
        value, used = evaluate(expression)
    except ZeroDivisionError:
        return Verdict(correct=False, note="divides by zero")
    except ValueError as error:
        return Verdict(correct=False, readable=False, note=str(error))
    left_over = Counter(numbers)
    left_over.subtract(used)
    if any(count < 0 for count in left_over.values()):
        return Verdict(correct=False, note="uses a number that isn't there, or one too often")
    if every and any(left_over.values()):
        return Verdict(correct=False, note="leaves a number unused")
    return Verdict(correct=value == target, note="" if value == target else "another value than the target")
