"""Compositions of string functions with meaningless names (the testbed of RL-Compositionality, arXiv 2509.25123).

Each function alone can be learnt by heart, since nothing in its name says what it does; what a composition of them
gives has to be worked out. So skill with single functions and skill in composing them can be taught and measured
apart: with `definitions` the prompt says what the functions do, without them it has to be known, and compositions of
one half of the functions can be kept from training (`functions`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.tasks.facts import Dial, Facts
from merf.tasks.procedural import Procedural, check_range, span, spread

LETTERS = "abcdefgh"
LONGEST = 12
"""Letters of a value on the way: compositions that would grow longer are drawn again."""


@dataclass(frozen=True)
class Function:
    """A function from letters to letters, and what it does in words."""

    does: str
    apply: Callable[[str], str]


def shifted(text: str) -> str:
    return "".join(LETTERS[(LETTERS.index(letter) + 1) % len(LETTERS)] for letter in text)


def pairs_swapped(text: str) -> str:
    return "".join(text[i : i + 2][::-1] for i in range(0, len(text), 2))


FUNCTIONS: dict[str, Function] = {
    "blick": Function("writes the letters backwards", lambda x: x[::-1]),
    "dax": Function("leaves out the first letter", lambda x: x[1:] or x),
    "wug": Function("leaves out the last letter", lambda x: x[:-1] or x),
    "toma": Function("writes the first letter twice", lambda x: x[:1] + x),
    "fep": Function("writes the last letter twice", lambda x: x + x[-1:]),
    "zib": Function("moves the first letter to the end", lambda x: x[1:] + x[:1]),
    "kiki": Function("moves the last letter to the front", lambda x: x[-1:] + x[:-1]),
    "lorp": Function("puts the letters in alphabetical order", lambda x: "".join(sorted(x))),
    "mip": Function(f"replaces each letter by the next one, and {LETTERS[-1]} by {LETTERS[0]}", shifted),
    "snoz": Function("swaps the letters of each pair", pairs_swapped),
    "gorp": Function("exchanges the first and the last letter", lambda x: x[-1:] + x[1:-1] + x[:1] if x[1:] else x),
    "vint": Function("adds the first letter at the end", lambda x: x + x[:1]),
}
HALVES: dict[str, tuple[str, ...]] = {
    "all": tuple(FUNCTIONS),
    "first": tuple(FUNCTIONS)[::2],
    "second": tuple(FUNCTIONS)[1::2],
}
"""Which functions a composition is made of. The halves share none, and both have some of every sort."""


def spaced(text: str) -> str:
    """`abc` as `a b c`: letters that stand apart are tokens of their own."""
    return " ".join(text)


@dataclass(frozen=True)
class StringFunctions(Procedural):
    """`depth` is the inclusive range of how many functions are applied one to the result of the other, in equal
    shares; `length` that of the letters given; `functions` says which of them occur, `definitions` whether the prompt
    tells what they do."""

    depth: tuple[int, int] = (1, 3)
    length: tuple[int, int] = (3, 5)
    functions: Literal["all", "first", "second"] = "all"
    definitions: bool = True
    name: str = "string-functions"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="the same letters, blanks aside",
        dials=(
            Dial("depth", "1 to 8 functions"),
            Dial("length", "2 to 8 letters"),
            Dial("functions", "all, first or second half"),
            Dial("definitions", "true or false"),
        ),
    )

    def __post_init__(self) -> None:
        check_range("depth", self.depth, 1, 8)
        check_range("length", self.length, 2, 8)
        if self.functions not in HALVES:
            raise ValueError(f"functions={self.functions!r}: choose one of {', '.join(HALVES)}")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def draw(self, seed: int, index: int) -> Problem:
        rng = Random(seed)
        depth = spread(*self.depth, index)
        while True:
            given = "".join(rng.choices(LETTERS, k=rng.randint(*self.length)))
            chosen = rng.choices(HALVES[self.functions], k=depth)
            values = [given]
            for name in chosen:
                values.append(FUNCTIONS[name].apply(values[-1]))
            if max(map(len, values)) <= LONGEST:
                break
        call = spaced(given)
        for name in chosen:
            call = f"{name}({call})"
        meanings = "".join(f" {name} {FUNCTIONS[name].does}." for name in dict.fromkeys(chosen))
        text = f"What is {call}?"
        return Problem(
            prompt=f"Each function takes letters and gives letters.{meanings} {text}" if self.definitions else text,
            answer=values[-1],
            meta={
                "difficulty": depth,
                "solution": spaced(values[-1]),
                "functions": chosen,
                "values": [spaced(value) for value in values],
            },
        )

    def identity(self, problem: Problem) -> str:
        """The call alone, so that a test question stays one whether or not its functions are defined."""
        return str(problem.prompt).rpartition("What is ")[2]

    def verify(self, problem: Problem, answer: str) -> Verdict:
        letters = "".join(answer.split())
        if not 1 <= len(letters) <= 100 or not (letters.isascii() and letters.isalpha()):
            return Verdict(correct=False, readable=False, note="not a row of letters")
        return Verdict(correct=letters == problem.answer)

    def describe(self) -> str:
        told = "" if self.definitions else ", whose meanings aren't told"
        return f"What {span(*self.depth)} string functions with meaningless names{told} make of some letters."
