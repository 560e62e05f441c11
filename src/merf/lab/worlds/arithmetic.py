"""The arithmetic world: sums and differences, column by column on a scratchpad.

Work writes both numbers from their last digit on, goes through the columns and reads the result backwards:

    Take 347 as 7 4 3 and 586 as 6 8 5. 7 + 6 + 0 = 13, write 3, carry 1. 4 + 8 + 1 = 13, write 3, carry 1.
    3 + 5 + 1 = 9, write 9, carry 0. From the left: 933.

In a difference, `3 - 8 - 1 = -6, write 4, borrow 1.`; a carry that is left over is written in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from merf.core.problem import Problem
from merf.core.steps import Checked, CheckedStep, step_spans
from merf.lab.worlds import world
from merf.lab.worlds.world import Attempt

LUCK = {1: 0.4, 2: 0.15, 3: 0.05, 4: 0.02}
"""How often a guess is right, by number of digits."""

BEFORE = ("Let me go slowly from right to left.", "Let me do it column by column.")
BETWEEN = ("Next column.", "On to the next.", "Now the one to the left.")


@dataclass(frozen=True)
class Column:
    """One column of a sum or difference: the two digits, what came from the column before, and what results.

    `right` says whether `value`, the written `digit` and what goes `on` to the next column are what they should be.
    """

    top: int
    bottom: int
    came: int
    sign: str
    value: int
    digit: int
    on: int

    @classmethod
    def of(cls, top: int, bottom: int, came: int, sign: str) -> Column:
        value = top + bottom + came if sign == "+" else top - bottom - came
        return cls(top, bottom, came, sign, value, value % 10, abs(value // 10))

    @property
    def right(self) -> bool:
        return self == Column.of(self.top, self.bottom, self.came, self.sign)

    def __str__(self) -> str:
        word = "carry" if self.sign == "+" else "borrow"
        return (
            f"{self.top} {self.sign} {self.bottom} {self.sign} {self.came} = {self.value}, "
            f"write {self.digit}, {word} {self.on}."
        )


def reversed_digits(number: int) -> list[int]:
    return [int(digit) for digit in reversed(str(number))]


def columns(a: int, b: int, sign: str) -> Iterator[Column]:
    """From the last digit on; the shorter number is filled up with zeros."""
    came, top, bottom = 0, reversed_digits(a), reversed_digits(b)
    for i in range(max(len(top), len(bottom))):
        column = Column.of(top[i] if i < len(top) else 0, bottom[i] if i < len(bottom) else 0, came, sign)
        yield column
        came = column.on


def total(done: list[Column]) -> int:
    """The number that the columns' written digits make, with the carry that is left over."""
    digits = [column.digit for column in done] + ([done[-1].on] if done[-1].sign == "+" else [])
    return int("".join(map(str, reversed(digits))))


@dataclass(frozen=True)
class Writer(world.Writer):
    @property
    def luck(self) -> float:
        return LUCK.get(self.problem.meta["difficulty"], 0.01)

    @property
    def numbers(self) -> tuple[int, int]:
        a, b = self.problem.meta["numbers"]
        return a, b

    @property
    def sign(self) -> str:
        return str(self.problem.meta["operation"])

    def columns(self) -> list[Column]:
        return list(columns(*self.numbers, self.sign))

    def taken(self) -> str:
        a, b = (" ".join(map(str, reversed_digits(number))) for number in self.numbers)
        return f"Take {self.numbers[0]} as {a} and {self.numbers[1]} as {b}."

    def scratchpad(self, done: list[Column]) -> str:
        return " ".join([self.taken(), *map(str, done), f"From the left: {total(done)}."])

    def work(self, style: str) -> Attempt:
        done = self.columns()
        match style:
            case "terse":
                sums = " ".join(f"{c.top}{c.sign}{c.bottom}{c.sign}{c.came}={c.value}" for c in done)
                return Attempt(f"Columns: {sums}.", self.right())
            case "verbose":
                between = [f"{self.rng.choice(BETWEEN)} {column}" for column in done[1:]]
                lines = [self.rng.choice(BEFORE), self.taken(), str(done[0]), *between]
                return Attempt(" ".join([*lines, f"From the left: {total(done)}."]), self.right())
            case "checked":
                a, b = self.numbers
                back = f"{total(done)} - {b} = {a}" if self.sign == "+" else f"{total(done)} + {b} = {a}"
                return Attempt(f"I check at the end. {self.scratchpad(done)} Check: {back}, yes.", self.right())
            case "lucky":
                return Attempt(self.scratchpad(self.slipped(done, harmless=True)), self.right())
            case "flawed":
                done = self.slipped(done, harmless=False)
                return Attempt(self.scratchpad(done), str(total(done)))
        return Attempt(self.scratchpad(done), self.right())

    def slipped(self, done: list[Column], harmless: bool) -> list[Column]:
        """The columns with a slip in one of them. A harmless one states a wrong sum beside the right digit; any other
        writes a wrong digit, after which everything goes on as if it were right."""
        spot = self.rng.randrange(len(done))
        c = done[spot]
        by = self.rng.choice((-2, -1, 1, 2))
        if harmless:
            wrong = Column(c.top, c.bottom, c.came, c.sign, c.value + by, c.digit, c.on)
            return [*done[:spot], wrong, *done[spot + 1 :]]
        value = c.value + by
        if (value < 0 and c.sign == "+") or (value > 9 and c.sign == "-"):
            value = c.value - by
        # The digit follows from the wrong sum; the carry stays what it was, so that the number of columns does too.
        wrong = Column(c.top, c.bottom, c.came, c.sign, value, value % 10, c.on)
        return [*done[:spot], wrong, *done[spot + 1 :]]

    def wrong(self) -> str:
        right = int(self.right())
        near = [right + by for by in (-10, -2, -1, 1, 2, 10, 100) if right + by >= 0 and (by < 100 or right > 100)]
        return str(self.rng.choice(near))

    def critique(self, attempt: Attempt) -> str:
        """Every column once more, and the two results side by side."""
        return f"{self.scratchpad(self.columns())} I get {self.right()}, it says {attempt.answer}."

    def rubric(self) -> list[str]:
        return [f"it says: {column}" for column in self.columns()]

    def unanswerable(self) -> str:
        a, b = self.numbers
        return f"What is {a} {self.sign} ?" if self.rng.random() < 0.5 else f"What is ? {self.sign} {b}?"


TAKEN = re.compile(r"Take (\d+) as ([\d ]+) and (\d+) as ([\d ]+)\.")
COLUMN = re.compile(r"(\d) ([+-]) (\d) [+-] (\d) = (-?\d+), write (\d), (?:carry|borrow) (\d)\.")
RESULT = re.compile(r"From the left: (\d+)\.")


class Scratchpad:
    """Checks scratchpads: each column against the numbers' own digits and what the column before it passed on."""

    def check(self, problem: Problem, reasoning: str) -> Checked:
        a, b = problem.meta["numbers"]
        true = list(columns(a, b, problem.meta["operation"]))
        done: list[Column] = []
        steps = []
        for start, end in step_spans(reasoning):
            right, about = self.judge(reasoning[start:end].strip(), (a, b), true, done)
            steps.append(CheckedStep((start, end), right, about))
        return Checked(tuple(steps), (*(f"column {place}" for place in range(len(true))), "result"))

    def judge(
        self, step: str, numbers: tuple[int, int], true: list[Column], done: list[Column]
    ) -> tuple[bool | None, str]:
        """Whether a step is right, and what it establishes; `done` are the columns before it, to which it may add."""
        if found := TAKEN.fullmatch(step):
            stated = [(found[1], found[2]), (found[3], found[4])]
            return stated == [(str(n), " ".join(map(str, reversed_digits(n)))) for n in numbers], "digits"
        if found := COLUMN.fullmatch(step):
            top, bottom, came, value, digit, on = (int(found[i]) for i in (1, 3, 4, 5, 6, 7))
            place = len(done)
            column = Column(top, bottom, came, found[2], value, digit, on)
            done.append(column)
            if place >= len(true):
                return False, ""
            wanted = Column.of(true[place].top, true[place].bottom, done[-2].on if place else 0, true[place].sign)
            return column == wanted, f"column {place}"
        if found := RESULT.fullmatch(step):
            return bool(done) and len(done) == len(true) and int(found[1]) == total(done), "result"
        return None, ""

    def reference(self, problem: Problem) -> str:
        return Writer(problem, Random(0)).work("careful").thinking


class Arithmetic(world.World):
    """Sums and differences of one to four digits."""

    name = "arithmetic"
    task_name = "digit-arithmetic"
    dial = "digits"
    levels = (1, 2, 3, 4)
    level = 3
    styles = ("careful", "terse", "verbose", "checked", "lucky", "flawed")
    openings: ClassVar = {
        "careful": "Take {numbers[0]} as",
        "terse": "Columns:",
        "verbose": "Let me do it column by column.",
        "checked": "I check at the end.",
    }
    marks: ClassVar = {
        "checked": r"Check: ",
        "verbose": r"Let me (go slowly|do it)",
        "terse": r"Columns: ",
        "careful": r", write \d",
    }
    requests: ClassVar = {
        "careful": ("Write every column out.", "Do not guess: use the scratchpad.", "Go column by column."),
        "terse": ("Be brief, but do not guess.", "Note the columns only."),
        "verbose": ("Explain what you do.", "Talk me through it."),
        "checked": ("Check your result.", "Make sure that it is right at the end."),
    }

    checker: ClassVar = Scratchpad()

    def writer(self, problem: Problem, rng: Random) -> Writer:
        return Writer(problem, rng)
