"""What an audit plays with: problems, each with its right answer and with honest wrong ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from merf.core.layout import Layout
from merf.core.problem import Problem
from merf.core.seams import Task
from merf.core.seeds import derive
from merf.tasks.columns import text_of

Track = Callable[[Sequence[Any], str], Iterable[Any]]
"""Wraps a loop over some items that takes a while, given what is being done: `rich.progress.track`, for one."""

GUESSES = 6
"""Wrong answers per problem."""

DRAWS = 24
"""Guesses drawn per problem, to find these and to see how often a guess is right."""

REASONING = (
    "Let me look at what is given. First I go through the conditions one by one. "
    "Then I rule out what contradicts them. So only one answer is left."
)
"""The thinking part of honest responses, right and wrong alike, so that it can't make a difference."""

PAIRS = (("knight", "knave"), ("true", "false"), ("yes", "no"))
OPPOSITE = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
OPEN = re.compile(rf"\d+|\b(?:{'|'.join(OPPOSITE)})\b", re.IGNORECASE)
"""What a guess draws afresh in an answer: numbers, and words of which there are two."""

NO_IDEA = ("0", "1", "none", "I don't know")
"""Guesses where not even the form of an answer is known."""


@dataclass(frozen=True)
class Case:
    """A problem with its stored answer (None where there is none in text) and guesses that differ from it.

    A guess is the right answer with its numbers, roles, yeses and noes drawn afresh, or the answer to
    another problem: of the right form, and wrong but for a lucky accident.
    """

    problem: Problem
    layout: Layout
    solution: str | None
    guesses: tuple[str, ...]
    chance: float = 0.0
    """How often a guess is the stored answer. `guesses` leaves these out."""

    @property
    def question(self) -> str:
        return text_of(self.problem.prompt)

    @property
    def candidates(self) -> list[str]:
        """The guesses with the right answer among them, neither first nor last: reading the first or the last of
        several answers is a matter of taste, paying for any of them is a leak."""
        half = len(self.guesses) // 2
        known = () if self.solution is None else (self.solution,)
        return [*self.guesses[: half or 1], *known, *self.guesses[half:]]

    def respond(self, answer: str, reasoning: str = REASONING) -> str:
        """A response in the task's layout."""
        return self.layout.render(reasoning, answer)

    def is_solution(self, answer: str | None) -> bool:
        """Whether an answer is the stored one, as a text or as a number."""
        return answer is not None and self.solution is not None and same(answer, self.solution)


def draw_cases(task: Task, problems: int, seed: int, track: Track) -> list[Case]:
    """Cases from the task's training problems. ValueError where it has none."""
    endless = task.problems("train", seed)
    drawn = [found for _ in track(range(problems), "drawing problems") if (found := next(endless, None)) is not None]
    if not drawn:
        raise ValueError(f"{task.name} has no training problems to audit with")
    solutions = [solution_of(problem) for problem in drawn]
    return [
        Case(problem, task.layout, solution, *guesses(solution, solutions, Random(derive("guesses", seed, i))))
        for i, (problem, solution) in enumerate(zip(drawn, solutions, strict=True))
    ]


def solution_of(problem: Problem) -> str | None:
    """The stored answer as a text."""
    stored: Any = problem.meta.get("solution")
    stored = problem.answer if stored is None else stored
    if isinstance(stored, tuple | list) and stored:
        stored = stored[0]
    if isinstance(stored, bool) or not isinstance(stored, str | int | float):
        return None
    return str(stored).strip() or None


def guesses(solution: str | None, others: Sequence[str | None], rng: Random) -> tuple[tuple[str, ...], float]:
    """Up to `GUESSES` different answers, none of them the solution, and the share of draws that were."""
    pool = [other for other in others if other is not None] or list(NO_IDEA)
    drawn = [redrawn(solution, rng) or rng.choice(pool) for _ in range(DRAWS)]
    wrong = [guess for guess in [*drawn, *rng.sample(pool, len(pool))] if solution is None or not same(guess, solution)]
    chance = 0.0 if solution is None else sum(same(guess, solution) for guess in drawn) / DRAWS
    return tuple(dict.fromkeys(wrong or [text for text in NO_IDEA if text != solution]))[:GUESSES], chance


def redrawn(solution: str | None, rng: Random) -> str | None:
    """The solution with everything open in it drawn afresh; of a single letter, another one. None where there is
    nothing to draw."""
    if solution and re.fullmatch("[A-Z]", solution):
        return rng.choice("ABCDE")
    return OPEN.sub(lambda found: draw(found[0], rng), solution) if solution and OPEN.search(solution) else None


def draw(open_: str, rng: Random) -> str:
    """A number of as many digits, or one of the two words."""
    if open_[0].isdigit():
        first = "" if len(open_) == 1 else rng.choice("123456789")
        return first + "".join(rng.choice("0123456789") for _ in open_[len(first) :])
    if rng.random() < 0.5:
        return open_
    other = OPPOSITE[open_.lower()]
    return other.capitalize() if open_[0].isupper() else other


def same(answer: str, solution: str) -> bool:
    """Whether two answers are the same text or the same number."""
    if " ".join(answer.split()).casefold() == " ".join(solution.split()).casefold():
        return True
    try:
        return len(answer) < 400 and len(solution) < 400 and float(answer) == float(solution)
    except ValueError:
        return False
