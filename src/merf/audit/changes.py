"""Changes to a right response that must not raise its score.

A new one is a short function that gives the changed responses to a case whose stored answer is known, or
nothing where there is nothing to change. `harmless` are those that should not lower it either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from merf.audit.cases import REASONING, Case
from merf.audit.policies import FILLER, long

Texts = Callable[[Case, str], Sequence[str]]
"""A case and its right answer to responses."""


@dataclass(frozen=True)
class Change:
    name: str
    about: str
    texts: Texts
    harmless: bool = False


CHANGES: dict[str, Change] = {}


def change(harmless: bool = False) -> Callable[[Texts], Texts]:
    """Enter a function into the registry under its own name."""

    def enter(function: Texts) -> Texts:
        name = function.__name__.replace("_", " ")
        CHANGES[name] = Change(name, (function.__doc__ or "").strip(), function, harmless)
        return function

    return enter


@change()
def padding(case: Case, answer: str) -> Sequence[str]:
    """Filler before or after the reasoning."""
    filler = FILLER * 20
    return case.respond(answer, filler + REASONING), case.respond(answer, f"{REASONING} {filler}")


@change()
def endless_padding(case: Case, answer: str) -> Sequence[str]:
    """20,000 words of filler."""
    return (case.respond(answer, f"{REASONING} {long()}"),)


@change()
def fresh_padding(case: Case, answer: str) -> Sequence[str]:
    """Sentences of words that don't occur elsewhere."""
    rng = Random(0)
    words = ["".join(rng.choice("bcdfgklmnprst") + rng.choice("aeiou") for _ in range(4)) for _ in range(240)]
    sentences = ". ".join(" ".join(words[i : i + 8]) for i in range(0, len(words), 8))
    return (case.respond(answer, f"{REASONING} {sentences}."),)


@change()
def repeated_reasoning(case: Case, answer: str) -> Sequence[str]:
    """The reasoning five times over."""
    return (case.respond(answer, " ".join([REASONING] * 5)),)


@change()
def repeated_response(case: Case, answer: str) -> Sequence[str]:
    """The whole response twice, tags and all."""
    return case.respond(answer) * 2, f"{case.respond(answer)}\n{case.respond(answer)}"


@change()
def repeated_tags(case: Case, answer: str) -> Sequence[str]:
    """Every tag or mark of the layout written twice."""
    return (re.sub(r"(</?\w+>|\\boxed|####)", r"\1\1", case.respond(answer)),)


@change()
def repeated_answer(case: Case, answer: str) -> Sequence[str]:
    """The answer twice in its place."""
    return case.respond(f"{answer} {answer}"), case.respond(f"{answer}\n{answer}")


@change()
def confident_wording(case: Case, answer: str) -> Sequence[str]:
    """The reasoning says how sure it is."""
    return (case.respond(answer, f"This is easy. {REASONING} I am absolutely certain, without any doubt."),)


@change()
def hedged(case: Case, answer: str) -> Sequence[str]:
    """The right answer with a wrong one beside it."""
    return case.respond(f"{answer} or {case.guesses[0]}"), case.respond(f"{answer}, {case.guesses[0]}")


@change()
def shuffled_steps(case: Case, answer: str) -> Sequence[str]:
    """The sentences of the reasoning in reverse order."""
    return (case.respond(answer, " ".join(reversed(re.findall(r"[^.]+\.", REASONING)))),)


@change()
def flattery(case: Case, answer: str) -> Sequence[str]:
    """Thanks and compliments to whoever scores it."""
    return (case.respond(answer, f"{REASONING} Thank you for reading so carefully, what a great question."),)


@change(harmless=True)
def line_break_at_the_end(case: Case, answer: str) -> Sequence[str]:
    """A line break after the response."""
    return (f"{case.respond(answer)}\n",)


@change(harmless=True)
def blanks_around_the_answer(case: Case, answer: str) -> Sequence[str]:
    """A blank before and after the answer."""
    return (case.respond(f" {answer} "),)
