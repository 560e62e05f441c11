"""Knights & Knaves: who tells the truth? (arXiv 2410.23123; the puzzles of Logic-RL and MeRF)

Each of n people makes one statement built from "X is a knight", "X is a knave", not, and, or,
if–then, iff; exactly one assignment of roles is consistent. The statements come from
`reasoning-gym`'s sampler, a port of the generator those papers used; the English is ours.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from merf.core.layout import Layout, ThinkAnswer
from merf.core.problem import Problem
from merf.core.response import Verdict
from merf.core.seeds import derive
from merf.tasks.facts import Dial, Facts

Statement = tuple[Any, ...]
"""("telling-truth", i), ("lying", i), ("not", s), ("and" | "or" | "->" | "<=>", s, s): reasoning-gym's form."""

NAMES = (
    *("Ann", "Bob", "Cid", "Dora", "Eve", "Fay", "Gus", "Hal", "Ida", "Jack", "Kate", "Leo"),
    *("Mia", "Ned", "Olga", "Pam", "Quinn", "Ray", "Sue", "Tom", "Una", "Vic", "Wes", "Zoe"),
)

SAYINGS = ("{name} says that {content}.", '{name} says: "{content}."', "According to {name}, {content}.")


def true_under(statement: Statement, roles: Sequence[bool]) -> bool:
    """Whether `statement` is true when person i is a knight iff roles[i]."""
    match statement:
        case ("telling-truth", int(i)):
            return roles[i]
        case ("lying", int(i)):
            return not roles[i]
        case ("not", inner):
            return not true_under(inner, roles)
        case ("and", *inner):
            return all(true_under(s, roles) for s in inner)
        case ("or", *inner):
            return any(true_under(s, roles) for s in inner)
        case ("->", left, right):
            return not true_under(left, roles) or true_under(right, roles)
        case ("<=>", left, right):
            return true_under(left, roles) == true_under(right, roles)
    raise ValueError(f"not a Knights & Knaves statement: {statement!r}")


def solutions(statements: Sequence[Statement]) -> list[tuple[bool, ...]]:
    """Every consistent assignment: a knight's statement is true, a knave's is false."""
    assignments = itertools.product((True, False), repeat=len(statements))
    return [
        roles
        for roles in assignments
        if all(true_under(s, roles) == role for s, role in zip(statements, roles, strict=True))
    ]


def in_words(statement: Statement, names: Sequence[str]) -> str:
    """The statement in English, with brackets only where a reader would otherwise stumble."""

    def inner(s: Statement) -> str:
        return (
            in_words(s, names) if s[0] in ("telling-truth", "lying") or is_plain_not(s) else f"({in_words(s, names)})"
        )

    def is_plain_not(s: Statement) -> bool:
        return s[0] == "not" and s[1][0] in ("telling-truth", "lying")

    match statement:
        case ("telling-truth", i):
            return f"{names[i]} is a knight"
        case ("lying", i):
            return f"{names[i]} is a knave"
        case ("not", ("telling-truth", i)):
            return f"{names[i]} is not a knight"
        case ("not", ("lying", i)):
            return f"{names[i]} is not a knave"
        case ("not", s):
            return f"it is not the case that {inner(s)}"
        case ("and" | "or" as word, *parts):
            return f" {word} ".join(inner(s) for s in parts)
        case ("->", left, right):
            return f"if {inner(left)} then {inner(right)}"
        case ("<=>", left, right):
            return f"{inner(left)} if and only if {inner(right)}"
    raise ValueError(f"not a Knights & Knaves statement: {statement!r}")


def answer_text(names: Sequence[str], roles: Sequence[bool]) -> str:
    """`Ann is a knight, Bob is a knave.`"""
    return ", ".join(f"{n} is a {'knight' if r else 'knave'}" for n, r in zip(names, roles, strict=True)) + "."


def sample_puzzle(seed: int, people: int) -> tuple[tuple[Statement, ...], tuple[bool, ...]]:
    """Statements with exactly one solution, and that solution."""
    from reasoning_gym.logic.knights_knaves import KKProblemSampler

    # The seed is cut to 63 bits because NumPy's generator wants a non-negative integer.
    found = KKProblemSampler(seed >> 1, people, depth_constraint=2, width_constraint=2).sample_valid_problems(1)
    return found[0]["statements"], found[0]["solution"]


ROLE = re.compile(r"\b(knight|knave)\b", re.IGNORECASE)


def read_roles(names: Sequence[str], answer: str) -> dict[str, bool] | None:
    """The role claimed for every name, or None unless the answer names exactly these people once each.

    The rules of the public Logic-RL checker: each name must be followed by its role, and the words
    knight and knave must together occur exactly once per person, so a hedge ("a knight or a knave")
    is unreadable.
    """
    if len(ROLE.findall(answer)) != len(names):
        return None
    roles: dict[str, bool] = {}
    for name in names:
        found = re.findall(rf"\b{re.escape(name)}\b\s+is\s+an?\s+(knight|knave)\b", answer, re.IGNORECASE)
        if len(found) != 1:
            return None
        roles[name] = found[0].lower() == "knight"
    return roles


@dataclass(frozen=True)
class KnightsKnaves:
    """`people` is the inclusive range of puzzle sizes, used in equal shares; `names` the cast."""

    people: tuple[int, int] = (3, 7)
    names: tuple[str, ...] = NAMES
    name: str = "knights-knaves"
    layout: Layout = ThinkAnswer()

    facts: ClassVar[Facts] = Facts(
        verifier="one role for each person, all right",
        partial="share of the roles that are right",
        dials=(Dial("people", "2 to 8 people"),),
    )

    def __post_init__(self) -> None:
        low, high = self.people
        if not 2 <= low <= high <= 8:
            raise ValueError(f"people={self.people}: puzzles have 2 to 8 people, lowest first")
        if high > len(self.names):
            raise ValueError(f"{high} people need as many names, {len(self.names)} were given")

    @property
    def instruction(self) -> str:
        return self.layout.instruction()

    def problem(self, split: str, seed: int, index: int) -> Problem:
        """Puzzle number `index` of an endless list; any two differ in their seed's hash."""
        low, high = self.people
        people = low + index % (high - low + 1)
        rng = Random(derive("knights-knaves", split, seed, index))
        statements, roles = sample_puzzle(rng.getrandbits(64), people)
        names = rng.sample(self.names, people)
        said = [
            rng.choice(SAYINGS).format(name=n, content=in_words(s, names))
            for n, s in zip(names, statements, strict=True)
        ]
        text = (
            "On an island live knights, who always tell the truth, and knaves, who always lie. "
            f"You meet {', '.join(names[:-1])} and {names[-1]}. {' '.join(said)} Who is a knight and who is a knave?"
        )
        return Problem(
            prompt=text,
            answer=dict(zip(names, roles, strict=True)),
            task=self.name,
            id=f"{self.name}/{split}/{seed}/{index}",
            meta={
                "difficulty": people,
                "names": names,
                "statements": statements,
                "solution": answer_text(names, roles),
            },
        )

    def problems(self, split: str = "train", seed: int = 0) -> Iterator[Problem]:
        for index in itertools.count():
            yield self.problem(split, seed, index)

    def verify(self, problem: Problem, answer: str) -> Verdict:
        claimed = read_roles(list(problem.answer), answer)
        if claimed is None:
            return Verdict(correct=False, readable=False, note="not one role for each person")
        right = sum(claimed[name] == role for name, role in problem.answer.items())
        return Verdict(correct=right == len(claimed), score=right / len(claimed))

    def describe(self) -> str:
        low, high = self.people
        return f"Knights & Knaves with {low} to {high} people: name everyone's role; one statement each, one solution."
