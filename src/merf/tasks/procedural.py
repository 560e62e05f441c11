"""Endless problems from a generator, with splits that share no question.

Seeds are hashed from (task, split, seed, index, attempt), so no two streams run in step. That alone
doesn't keep the splits apart where there are few different questions: of 300 `rg:tower_of_hanoi` items
per split, all but a few test questions are also training questions. So the *text* of a question decides
which split it belongs to, whatever seed or dial it came from, and a draw that falls on the wrong side
is drawn again.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from merf.core.problem import Problem
from merf.core.seeds import derive

Split = Literal["train", "test"]

ONE_IN = 4
"""One question in this many is held out. Fewer would make test problems slow to draw: each costs this many draws."""

ATTEMPTS = 1000
"""Draws after which a split counts as empty. A share of 1/4 is missed this often by chance once in 10^125."""


def side(text: str) -> Split:
    """The split that a question belongs to."""
    return "test" if derive("held out", text) % ONE_IN == 0 else "train"


def check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"there is no split {split!r}: problems are drawn from 'train' or 'test'")


class Procedural(ABC):
    """A task whose problems are made to order. Subclasses have a `name` and say how to `draw` one."""

    name: str

    @abstractmethod
    def draw(self, seed: int, index: int) -> Problem:
        """A problem that depends on nothing but the 64-bit `seed` and, for its difficulty, on its `index`."""

    def identity(self, problem: Problem) -> str:
        """What makes two problems the same question; by it the splits are kept apart."""
        return str(problem.prompt)

    def problem(self, split: str, seed: int, index: int) -> Problem:
        """Problem number `index` of an endless list."""
        check_split(split)
        for attempt in range(ATTEMPTS):
            problem = self.draw(derive(self.name, split, seed, index, attempt), index)
            if side(self.identity(problem)) == split:
                return replace(problem, task=self.name, id=f"{self.name}/{split}/{seed}/{index}")
        raise ValueError(
            f"{self.name}: {ATTEMPTS} draws gave no question of the {split} split; "
            "these dials allow too few different questions"
        )

    def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        for index in itertools.count():
            yield self.problem(split, seed, index)


def spread(low: int, high: int, index: int) -> int:
    """Difficulties from `low` to `high` in equal shares, in turn."""
    return low + index % (high - low + 1)


def span(low: int, high: int) -> str:
    """`3 to 7`, or `3`."""
    return str(low) if low == high else f"{low} to {high}"


def check_range(name: str, given: tuple[int, int], lowest: int, highest: int) -> None:
    """Refuse a (low, high) dial outside its bounds."""
    low, high = given
    if not lowest <= low <= high <= highest:
        raise ValueError(f"{name}={given}: expected two numbers between {lowest} and {highest}, the lower first")
