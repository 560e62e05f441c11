"""The base of every rule: a score and the sentence that states it.

A *rule* pays by looking at responses. An *operation* takes a rule and gives another rule, changing the
number and adding to the sentence in one go; that is why the two can't drift apart.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from merf.core.progress import Schedule
from merf.core.response import Array, Response, Responses
from merf.rules.wording import Level, Style, bracketed, outcomes, tell

if TYPE_CHECKING:
    from merf.rules.conditions import Condition


class Rule(ABC):
    """Scores responses and says in words how it does so.

    Rules are immutable values (frozen dataclasses): equal rules score and describe equally. Every
    operation is a method that gives a new rule, so a reward reads from left to right in the order in
    which it is computed: `Concise(40).only_if(Correct()).clip(0, 1) * 2`.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What this rule is called in tables and logs."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The heading of its sentence."""

    @abstractmethod
    def score(self, responses: Responses) -> Array:
        """One number per response [N]; NaN where the rule can't be applied."""

    @abstractmethod
    def statement(self, style: Style, wording: int) -> str:
        """What is paid for, before any operation: no label, no full stop."""

    @property
    @abstractmethod
    def range(self) -> tuple[float, float]:
        """Scores never lie below the first or above the second number."""

    def changes(self, style: Style, wording: int) -> tuple[str, ...]:
        """What operations do to the stated score, first applied first, as participles."""
        return ()

    def describe(self, style: Style = "full", wording: int = 0) -> str:
        """The sentence that tells a model how this rule pays; `wording` picks a paraphrase."""
        return tell(self.label, self.statement(style, wording), self.changes(style, wording), style, wording)

    def check(self) -> None:  # noqa: B027 - most rules accept all of their parameters
        """Refuse parameters that make no sense, saying what to do instead."""

    def __post_init__(self) -> None:
        check_fields(self)
        self.check()
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"{self.name!r} would pay from {low} to {high}: use smaller numbers")
        if not low < high:
            raise ValueError(
                f"{self.name!r} would pay every response {low:g}, so it can't tell any two apart: "
                "change its numbers, or leave it out"
            )

    # Arithmetic

    __array_ufunc__ = None  # so that numpy's numbers leave `number * rule` to the rule

    def __mul__(self, other: float | Rule) -> Rule:
        from merf.rules.arithmetic import Product, weighted

        return Product(self, other) if isinstance(other, Rule) else weighted(self, number(other))

    def __rmul__(self, other: float) -> Rule:
        return self * other

    def __neg__(self) -> Rule:
        return self * -1.0

    def __add__(self, other: float | Rule) -> Rule:
        from merf.rules.arithmetic import added, shifted

        return added(self, other) if isinstance(other, Rule) else shifted(self, number(other))

    def __radd__(self, other: float) -> Rule:
        return self + other

    def __sub__(self, other: float | Rule) -> Rule:
        return self + -other

    def __rsub__(self, other: float) -> Rule:
        return -self + other

    # Conditions

    def at_least(self, threshold: float) -> Condition:
        """The condition that this rule pays a response `threshold` or more."""
        from merf.rules.conditions import AtLeast

        return AtLeast(self, threshold)

    def below(self, threshold: float) -> Condition:
        """The condition that this rule pays a response less than `threshold`."""
        return ~self.at_least(threshold)

    def __and__(self, other: Rule | Condition) -> Condition:
        from merf.rules.conditions import as_condition

        return as_condition(self) & other

    def __or__(self, other: Rule | Condition) -> Condition:
        from merf.rules.conditions import as_condition

        return as_condition(self) | other

    def __invert__(self) -> Condition:
        from merf.rules.conditions import as_condition

        return ~as_condition(self)

    # Operations

    def only_if(self, condition: Rule | Condition, otherwise: float = 0.0) -> Rule:
        """Paid only where the condition holds; elsewhere `otherwise`. A rule with outcomes stands for
        reaching its best one."""
        from merf.rules.conditions import as_condition
        from merf.rules.gates import Gated

        return Gated(self, as_condition(condition), otherwise)

    def where(self, condition: Rule | Condition, otherwise: float = 0.0) -> Rule:
        """`only_if`, which reads better as `where` when the condition is about the whole question."""
        return self.only_if(condition, otherwise)

    def clip(self, low: float | None = None, high: float | None = None) -> Rule:
        """Kept between `low` and `high`; leave one out to bound one side only."""
        from merf.rules.shaping import Clipped

        return Clipped(self, low, high)

    def capped(self, high: float) -> Rule:
        """At most `high`."""
        return self.clip(high=high)

    def squash(self, center: float | Literal["reference"] = 0.0, steepness: float = 1.0) -> Rule:
        """Through a sigmoid centred on a constant, or on the reference scores stored with the problem."""
        from merf.rules.shaping import Squashed, Surpassing

        if isinstance(center, str):
            if center != "reference":
                raise ValueError(f"center={center!r}: give a number, or 'reference' for the problem's own references")
            return Surpassing(self, steepness)
        return Squashed(self, center, steepness)

    def centred(self) -> Rule:
        """Minus the mean of the reference scores stored with the problem. (To subtract a constant, write
        `rule - 0.5`.)"""
        from merf.rules.shaping import Centred

        return Centred(self)

    def tiers(self, count: int) -> Rule:
        """Rounded down to equal steps, `count` of them from the lowest to the highest score."""
        from merf.rules.shaping import Tiered

        return Tiered(self, count)

    def annealed(self, schedule: Schedule) -> Rule:
        """Times a weight that changes over training."""
        from merf.rules.schedules import Annealed

        return Annealed(self, schedule)

    def within_group(self, limit: float = 3.0) -> Rule:
        """Standardised among the responses to the same question: (score - mean) / standard deviation."""
        from merf.rules.groups import Standardised

        return Standardised(self, limit)

    def ranked(self) -> Rule:
        """The rank among the responses to the same question, from 0 (lowest) to 1 (highest)."""
        from merf.rules.groups import Ranked

        return Ranked(self)

    def noisy(
        self, flip: float, per: Literal["question", "response"] = "question", told: bool = True, draw: int = 0
    ) -> Rule:
        """Flipped at random with probability `flip`; `told=False` keeps that from the description."""
        from merf.rules.noise import Noisy

        return Noisy(self, flip, per, told, draw)

    def named(self, title: str) -> Rule:
        """The same rule under another name and heading."""
        from merf.rules.arithmetic import named

        return named(self, title)


class LevelRule(Rule):
    """A rule with finitely many outcomes, each with a number and a wording."""

    @abstractmethod
    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        """The outcomes, best described first; their order is what `classify` refers to."""

    @abstractmethod
    def classify(self, response: Response) -> int | None:
        """The number of the level this response reaches, or None where the rule can't be applied."""

    def reached(self, responses: Responses) -> list[int | None]:
        return [self.classify(response) for response in responses]

    def score(self, responses: Responses) -> Array:
        values = [level.value for level in self.levels()]
        return np.array([np.nan if level is None else values[level] for level in self.reached(responses)], np.float64)

    def statement(self, style: Style, wording: int) -> str:
        return outcomes(self.levels(wording), style)

    @property
    def range(self) -> tuple[float, float]:
        values = [float(level.value) for level in self.levels()]
        return min(values), max(values)


@dataclass(frozen=True)
class Operation(Rule):
    """A rule made from another by changing its score and adding to its sentence.

    `verb` is the method of `Rule` that makes it, which is also its name in TOML.
    """

    rule: Rule
    verb: ClassVar[str] = ""

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def label(self) -> str:
        return self.rule.label

    def statement(self, style: Style, wording: int) -> str:
        return self.rule.statement(style, wording)

    def changes(self, style: Style, wording: int) -> tuple[str, ...]:
        return (*self.rule.changes(style, wording), self.change(style, wording))

    @abstractmethod
    def change(self, style: Style, wording: int) -> str:
        """What this operation does to the score, as a participle: "multiplied by 2"."""


def operand(rule: Rule, style: Style, wording: int) -> str:
    """`rule`'s whole description as part of another's."""
    return bracketed(rule.describe(style, wording), style)


def number(value: Any) -> float:
    """`value` if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"a rule can be combined with a number or another rule, not with {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{value} can't be paid: use a finite number")
    return float(value)


def must_be_rule(value: Any) -> None:
    """Refuse what is not a rule, with the likely remedy."""
    if isinstance(value, Rule):
        return
    if isinstance(value, type) and issubclass(value, Rule):
        raise TypeError(f"{value.__name__} is a kind of rule, not a rule: write {value.__name__}() with its brackets")
    if callable(value):
        name = getattr(value, "__name__", "this function")
        raise TypeError(f"{name} is a plain function: put @rule above it and say in its docstring what it pays for")
    raise TypeError(f"{value!r} is not a rule")


def check_fields(value: Any) -> None:
    """Numbers must be finite numbers, whole where they count something; rules must be rules."""
    kind = type(value).__name__
    for entry in fields(value):
        given = getattr(value, entry.name)
        # Annotations are text where the module postpones them, and types where it does not.
        wanted = entry.type if isinstance(entry.type, str) else getattr(entry.type, "__name__", str(entry.type))
        if wanted == "Rule":
            must_be_rule(given)
        elif wanted in ("str", "bool"):
            if type(given).__name__ != wanted:
                raise TypeError(
                    f"{kind}: {entry.name}={given!r} should be {'text' if wanted == 'str' else 'true or false'}"
                )
        elif wanted in ("float", "float | None", "int"):
            if given is None and wanted == "float | None":
                continue
            if isinstance(given, bool) or not isinstance(given, Real):
                raise TypeError(f"{kind}: {entry.name}={given!r} should be a number")
            if not math.isfinite(given):
                raise ValueError(f"{kind}: {entry.name}={given} can't be paid or compared with: give a finite number")
            if wanted == "int" and not isinstance(given, Integral):
                raise TypeError(f"{kind}: {entry.name}={given!r} should be a whole number")
