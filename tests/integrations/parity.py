"""A task that even a random model gets right now and then: write an even number of characters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from merf import Concise, Correct, Plain, Problem, Rulebook, Verdict, rule
from merf.core.layout import Layout


@dataclass(frozen=True)
class Parity:
    """Right if the answer has as many characters as the problem asks for, modulo 2. The verifier fails on
    answers that begin with `breaks_on`, if that is given."""

    breaks_on: str = ""
    name: str = "parity"
    layout: Layout = Plain()

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        for i in itertools.count():
            yield Problem(f"Write something of length {i} modulo 2.", answer=i % 2, task=self.name, id=f"{split}/{i}")

    def verify(self, problem: Problem, answer: str) -> Verdict:
        if self.breaks_on and self.breaks_on in answer:
            return Verdict(correct=None, note="the verifier broke")
        return Verdict(correct=len(answer) % 2 == problem.answer)

    def describe(self) -> str:
        return "Write something of a given length, modulo 2."


@rule(low=0, high=1)
def vowels(text: str) -> float:
    """The share of the characters that are vowels."""
    return sum(letter in "aeiou" for letter in text) / max(len(text), 1)


def book() -> Rulebook:
    """Parts of every kind that a trainer could get wrong: a weight, a gate, a product, a shift."""
    return Rulebook(
        Correct(right=2, wrong=-1.5, unreadable=-2),
        0.5 * vowels,
        (Concise(words=2, within=1, over=-1) - 0.25).only_if(Correct(), otherwise=-0.5).named("short-if-right"),
        (Correct(right=1, wrong=0, unreadable=0) * (1 + 0.5 * vowels)).named("bonus"),
    )
