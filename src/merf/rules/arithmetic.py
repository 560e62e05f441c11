"""Sums, weights, products, lowest and highest: arithmetic on rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from merf.core.response import Array, Response, Responses
from merf.rules.rule import LevelRule, Operation, Rule, must_be_rule, operand
from merf.rules.wording import Level, Style, capital, heading, listed, pick, plain


@dataclass(frozen=True)
class Weighted(LevelRule):
    """weight × rule, for a rule with outcomes: the sentence states the products themselves."""

    rule: LevelRule
    weight: float
    verb: ClassVar[str] = "times"

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def label(self) -> str:
        return self.rule.label

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        return tuple(replace(level, value=self.weight * level.value) for level in self.rule.levels(wording))

    def classify(self, response: Response) -> int | None:
        return self.rule.classify(response)


@dataclass(frozen=True)
class Scaled(Operation):
    """weight × rule, for any other rule."""

    weight: float
    verb: ClassVar[str] = "times"

    def score(self, responses: Responses) -> Array:
        return self.weight * self.rule.score(responses)

    @property
    def range(self) -> tuple[float, float]:
        low, high = sorted(self.weight * end for end in self.rule.range)
        return low, high

    def change(self, style: Style, wording: int) -> str:
        by = plain(self.weight)
        return f"x {by}" if style == "terse" else pick(wording, f"multiplied by {by}", f"weighted by {by}")


def weighted(rule: Rule, weight: float) -> Rule:
    """`rule` times a constant; weights merge."""
    if isinstance(rule, Weighted | Scaled):
        return weighted(rule.rule, rule.weight * weight)
    if weight == 1.0:
        return rule
    return Weighted(rule, weight) if isinstance(rule, LevelRule) else Scaled(rule, weight)


@dataclass(frozen=True)
class Shifted(Operation):
    """rule + constant. Invisible to group-normalised advantages on its own; needed inside products."""

    amount: float
    verb: ClassVar[str] = "plus"

    def score(self, responses: Responses) -> Array:
        return self.rule.score(responses) + self.amount

    @property
    def range(self) -> tuple[float, float]:
        low, high = self.rule.range
        return low + self.amount, high + self.amount

    def change(self, style: Style, wording: int) -> str:
        size = plain(abs(self.amount))
        if style == "terse":
            return f"plus {size}" if self.amount > 0 else f"minus {size}"
        if self.amount > 0:
            return pick(wording, f"raised by {size}", f"increased by {size}")
        return pick(wording, f"lowered by {size}", f"reduced by {size}")


def shifted(rule: Rule, amount: float) -> Rule:
    """`rule` plus a constant."""
    if isinstance(rule, Shifted):
        return shifted(rule.rule, rule.amount + amount)
    return rule if amount == 0.0 else Shifted(rule, amount)


@dataclass(frozen=True)
class Several(Rule):
    """A rule made of several rules side by side."""

    rules: tuple[Rule, ...]
    key: ClassVar[str] = ""

    def check(self) -> None:
        for rule in self.rules:
            must_be_rule(rule)
        if len(self.rules) < 2:
            raise ValueError(f"{type(self).__name__} combines at least two rules; {len(self.rules)} given")

    @property
    def name(self) -> str:
        return "+".join(rule.name for rule in self.rules)

    @property
    def label(self) -> str:
        return capital(listed([rule.label.lower() for rule in self.rules]))

    def operands(self, style: Style, wording: int) -> list[str]:
        return [operand(rule, style, wording) for rule in self.rules]


@dataclass(frozen=True)
class Sum(Several):
    """Σ rules, as one part of a rulebook."""

    key: ClassVar[str] = "sum"

    def check(self) -> None:
        super().check()
        refuse_cancelling(self.rules)

    def score(self, responses: Responses) -> Array:
        total: Array = np.sum([rule.score(responses) for rule in self.rules], axis=0)
        return total

    @property
    def range(self) -> tuple[float, float]:
        return sum(rule.range[0] for rule in self.rules), sum(rule.range[1] for rule in self.rules)

    def statement(self, style: Style, wording: int) -> str:
        terms = self.operands(style, wording)
        if style == "terse":
            return " + ".join(terms)
        if style == "story":
            return f"{pick(wording, 'these are added up', 'the points of these add up')}: {listed(terms)}"
        return f"{pick(wording, 'the sum of', 'all of these added up:')} {listed(terms)}"


def added(left: Rule, right: Rule) -> Rule:
    """left + right, without brackets inside brackets, and with constants outside."""
    if isinstance(left, Shifted):
        return shifted(added(left.rule, right), left.amount)
    if isinstance(right, Shifted):
        return shifted(added(left, right.rule), right.amount)
    terms = [
        *(left.rules if isinstance(left, Sum) else (left,)),
        *(right.rules if isinstance(right, Sum) else (right,)),
    ]
    return Sum(tuple(terms))


def terms_of(rule: Rule) -> Iterator[tuple[Rule, float]]:
    """The rule as a linear combination: (rule, weight) pairs, with constants left out."""
    if isinstance(rule, Weighted | Scaled):
        yield from ((inner, weight * rule.weight) for inner, weight in terms_of(rule.rule))
    elif isinstance(rule, Shifted | Named | NamedLevels):
        yield from terms_of(rule.rule)
    elif isinstance(rule, Sum):
        for term in rule.rules:
            yield from terms_of(term)
    else:
        yield rule, 1.0


def refuse_cancelling(rules: tuple[Rule, ...]) -> None:
    """A rule that is added and taken away again pays nothing while the text still speaks of it."""
    net: dict[Rule, list[float]] = {}
    for rule, weight in (term for given in rules for term in terms_of(given)):
        net.setdefault(rule, []).append(weight)
    for rule, weights in net.items():
        if len(weights) > 1 and abs(sum(weights)) <= 1e-12 * max(map(abs, weights)):
            raise ValueError(
                f"the weights of {rule.name!r} cancel ({' and '.join(map(plain, weights))}), so it pays nothing: "
                "leave it out or change a weight"
            )


@dataclass(frozen=True)
class Product(Operation):
    """rule × factor. With a factor of 1 + Σ w·auxiliary it is a bonus that is worth nothing without the
    first rule: R·(1 + Σ w·aux), the form shared by P-GRPO (arXiv 2508.05170), SER-RL (2506.15647) and
    GRPO-λ (2505.18086)."""

    factor: Rule
    verb: ClassVar[str] = "multiplied_by"

    def score(self, responses: Responses) -> Array:
        return self.rule.score(responses) * self.factor.score(responses)

    @property
    def range(self) -> tuple[float, float]:
        corners = [a * b for a in self.rule.range for b in self.factor.range]
        return min(corners), max(corners)

    def change(self, style: Style, wording: int) -> str:
        factor = self.factor
        if isinstance(factor, Shifted) and factor.amount > 0:
            inner = factor.rule.rules if isinstance(factor.rule, Sum) else (factor.rule,)
            terms = [plain(factor.amount), *(operand(rule, style, wording) for rule in inner)]
            by = f"({(' + ' if style == 'terse' else ' plus ').join(terms)})"
        else:
            by = operand(factor, style, wording)
        return f"x {by}" if style == "terse" else f"multiplied by {by}"


@dataclass(frozen=True)
class Extreme(Several):
    """One of several scores, chosen by its size."""

    def statement(self, style: Style, wording: int) -> str:
        terms = self.operands(style, wording)
        if style == "terse":
            return f"{self.key} of {', '.join(terms)}"
        if style == "story":
            return f"only the {self.key} of these counts: {listed(terms)}"
        return f"{pick(wording, f'the {self.key} of', f'whichever is {self.key} of')} {listed(terms)}"


@dataclass(frozen=True)
class Lowest(Extreme):
    """min over rules: every one of them has to be good."""

    key: ClassVar[str] = "lowest"

    def score(self, responses: Responses) -> Array:
        lowest: Array = np.min([rule.score(responses) for rule in self.rules], axis=0)
        return lowest

    @property
    def range(self) -> tuple[float, float]:
        return min(rule.range[0] for rule in self.rules), min(rule.range[1] for rule in self.rules)


@dataclass(frozen=True)
class Highest(Extreme):
    """max over rules: one of them is enough."""

    key: ClassVar[str] = "highest"

    def score(self, responses: Responses) -> Array:
        highest: Array = np.max([rule.score(responses) for rule in self.rules], axis=0)
        return highest

    @property
    def range(self) -> tuple[float, float]:
        return max(rule.range[0] for rule in self.rules), max(rule.range[1] for rule in self.rules)


def lowest(*rules: Rule) -> Rule:
    """The lowest of several scores."""
    return Lowest(rules)


def highest(*rules: Rule) -> Rule:
    """The highest of several scores."""
    return Highest(rules)


def check_title(title: str) -> None:
    if not isinstance(title, str) or not title.strip() or not title.isprintable():
        raise ValueError(f"a rule can't be named {title!r}: use a word or two")


@dataclass(frozen=True)
class Named(Operation):
    """The same rule under another name and heading: two parts of a rulebook can't share one."""

    title: str
    verb: ClassVar[str] = "named"

    def check(self) -> None:
        check_title(self.title)

    @property
    def name(self) -> str:
        return self.title

    @property
    def label(self) -> str:
        return heading(self.title)

    def score(self, responses: Responses) -> Array:
        return self.rule.score(responses)

    @property
    def range(self) -> tuple[float, float]:
        return self.rule.range

    def changes(self, style: Style, wording: int) -> tuple[str, ...]:
        return self.rule.changes(style, wording)

    def change(self, style: Style, wording: int) -> str:
        return ""


@dataclass(frozen=True)
class NamedLevels(LevelRule):
    """`Named` for a rule with outcomes, which stays one."""

    rule: LevelRule
    title: str
    verb: ClassVar[str] = "named"

    def check(self) -> None:
        check_title(self.title)

    @property
    def name(self) -> str:
        return self.title

    @property
    def label(self) -> str:
        return heading(self.title)

    def levels(self, wording: int = 0) -> tuple[Level, ...]:
        return self.rule.levels(wording)

    def classify(self, response: Response) -> int | None:
        return self.rule.classify(response)


def named(rule: Rule, title: str) -> Rule:
    """`rule` under another name; the last name given is the one that counts."""
    if isinstance(rule, Named | NamedLevels):
        return named(rule.rule, title)
    return NamedLevels(rule, title) if isinstance(rule, LevelRule) else Named(rule, title)
