"""What the description promises and what the scorer pays, outcome by outcome.

Promises are read from the text itself (`+2 if the final answer is right`), not taken from the rules, so a
rule that says one thing and pays another is found out, and so is a prompt written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from merf.core.response import Response, Scores
from merf.rules.rule import LevelRule, Operation, Rule
from merf.rules.rulebook import Rulebook
from merf.rules.wording import signed

NUMBER = r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Outcome:
    """A combination of levels that some response of the audit reached.

    levels    per part with levels: (name of the part, the level in words)
    promised  the least and the most that the text promises for it; None where it promises nothing
    paid      the least and the most that it was paid
    seen      how many responses reached it; `example` is one of them
    """

    levels: tuple[tuple[str, str], ...]
    promised: tuple[float, float] | None
    paid: tuple[float, float]
    seen: int
    example: str

    @property
    def kept(self) -> bool:
        """Whether what was paid is what was promised."""
        if self.promised is None:
            return False
        slack = TOLERANCE * max(1.0, *map(abs, self.promised))
        return self.promised[0] - slack <= self.paid[0] and self.paid[1] <= self.promised[1] + slack


def outcomes(book: Rulebook, told: str | None, responses: Sequence[Response], scores: Scores) -> tuple[Outcome, ...]:
    """Every outcome reached, the best paid first. `told` is what the model is told in place of the description."""
    leaves = {part.name: level_rules(spoken(part)) for part in book}
    reached: dict[tuple[int | None, ...], list[int]] = {}
    for i in np.flatnonzero(~np.isnan(scores.total)).tolist():
        key = tuple(rule.classify(responses[i]) for rules in leaves.values() for rule in rules)
        reached.setdefault(key, []).append(i)
    found = []
    for key, where in reached.items():
        levels = dict(zip(((name, rule) for name, rules in leaves.items() for rule in rules), key, strict=True))
        paid = scores.total[where]
        shortest = min(where, key=lambda i: len(responses[i].text))
        found.append(
            Outcome(
                tuple(
                    (name, rule.levels()[n].condition("full")) for (name, rule), n in levels.items() if n is not None
                ),
                promise(book, told, levels),
                (float(paid.min()), float(paid.max())),
                len(where),
                responses[shortest].text,
            )
        )
    return tuple(sorted(found, key=lambda outcome: -outcome.paid[1]))


def promise(
    book: Rulebook, told: str | None, levels: dict[tuple[str, LevelRule], int | None]
) -> tuple[float, float] | None:
    """The least and the most that the text promises a response at these levels."""
    low = high = 0.0
    for part in book:
        text = (part.describe() if book.told else "") if told is None else told
        rule = spoken(part)
        if isinstance(rule, LevelRule):
            level = levels[part.name, rule]
            number = None if level is None else stated(text, rule.levels()[level].when)
            if number is None:
                return None
            low, high = low + number, high + number
        elif part.describe().partition(": ")[2] in text:
            low, high = low + part.range[0], high + part.range[1]
        else:
            return None
    return low, high


def stated(text: str, when: str) -> float | None:
    """The number that a text attaches to a clause: 2 for "the final answer is right" in "+2 if the final answer
    is right; …"."""
    found = re.search(rf"(?<![\w.])({NUMBER}) if {re.escape(when)}(?=[;.\n]|$)", text)
    return float(found[1]) if found else None


SPEAKS_OF_PAY = re.compile(r"scor|reward|point|pay|paid|earn|penal|bonus|mark|credit", re.IGNORECASE)
SIGNED = re.compile(rf"(?<![\w.)])[+-]{NUMBER.removeprefix('[+-]?')}")
SENTENCE = re.compile(r"\n|(?<=[.!?;])\s")


def unstated(book: Rulebook, told: str) -> tuple[str, ...]:
    """The numbers a rulebook pays that a hand-written text doesn't give, in a sentence about pay or with a sign."""
    sentences = [sentence for sentence in SENTENCE.split(told) if SPEAKS_OF_PAY.search(sentence)]
    found = [number for sentence in sentences for number in re.findall(NUMBER, sentence)] + SIGNED.findall(told)
    known = {abs(float(number)) for number in found}
    values = [level.value for part in book for rule in level_rules(spoken(part)) for level in rule.levels()]
    return tuple(dict.fromkeys(signed(value) for value in values if value and abs(value) not in known))


def spoken(part: Rule) -> Rule:
    """The rule that the description speaks of: without operations that are kept from it."""
    while isinstance(part, Operation) and part.describe() == part.rule.describe():
        part = part.rule
    return part


def level_rules(value: Any) -> list[LevelRule]:
    """The rules with levels that a rule looks at, in it or in its conditions, each once."""
    found: dict[Any, LevelRule] = {}
    for rule in _level_rules(value):
        found.setdefault(tuple(level.condition("full") for level in rule.levels()), rule)
    return list(found.values())


def _level_rules(value: Any) -> Iterator[LevelRule]:
    if isinstance(value, LevelRule):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _level_rules(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for entry in fields(value):
            yield from _level_rules(getattr(value, entry.name))
