"""Conditions under which a rule pays: on the response itself, or on its whole group.

A condition is true, false, or unknown (NaN, where the rule that decides it can't be applied). One that
could never be true, or never be false, is refused where it is used: the gate would be a typing error.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from merf.core.response import Array, Responses
from merf.rules.rule import LevelRule, Rule, check_fields, must_be_rule, operand
from merf.rules.wording import Style, listed, percent, pick, plain


class Condition(ABC):
    """Something that holds for a response or does not."""

    @abstractmethod
    def holds(self, responses: Responses) -> Array:
        """1 where it holds, 0 where not, NaN where that can't be known [N]."""

    @abstractmethod
    def clause(self, style: Style, wording: int) -> str:
        """The words after "only if"."""

    @property
    def compound(self) -> bool:
        """Whether its clause contains an "and" or "or" of its own, and so needs brackets inside another."""
        return False

    @abstractmethod
    def atoms(self) -> Iterator[Atom]:
        """The plain conditions it is built from."""

    @abstractmethod
    def true_in(self, case: Mapping[Hashable, Any]) -> bool:
        """Whether it holds when every atom's subject is in the given state."""

    def __and__(self, other: Rule | Condition) -> Condition:
        return All((*members(self, All), *members(as_condition(other), All)))

    def __or__(self, other: Rule | Condition) -> Condition:
        return AnyOf((*members(self, AnyOf), *members(as_condition(other), AnyOf)))

    def __invert__(self) -> Condition:
        return Not(self)

    def __rand__(self, other: Rule) -> Condition:
        return as_condition(other) & self

    def __ror__(self, other: Rule) -> Condition:
        return as_condition(other) | self


class Atom(Condition):
    """A condition without parts."""

    def __post_init__(self) -> None:
        check_fields(self)
        self.check()

    def check(self) -> None:
        """Refuse parameters that make no sense."""

    @property
    @abstractmethod
    def subject(self) -> Hashable:
        """What it looks at: atoms with the same subject can contradict each other."""

    @property
    @abstractmethod
    def states(self) -> set[Any]:
        """States of the subject that between them make this atom both true and false, if anything can."""

    @abstractmethod
    def true_for(self, state: Any) -> bool: ...

    def atoms(self) -> Iterator[Atom]:
        yield self

    def true_in(self, case: Mapping[Hashable, Any]) -> bool:
        return self.true_for(case[self.subject])


@dataclass(frozen=True)
class AtLeast(Atom):
    """A rule pays this response `threshold` or more."""

    rule: Rule
    threshold: float

    def check(self) -> None:
        low, high = self.rule.range
        if not low < self.threshold <= high:
            when = "always" if self.threshold <= low else "never"
            raise ValueError(
                f"{self.rule.name!r} pays from {plain(low)} to {plain(high)}, so it {when} reaches "
                f"{plain(self.threshold)}: choose a threshold above {plain(low)} and up to {plain(high)}"
            )

    def reached(self, rule: LevelRule) -> list[int]:
        """The outcomes that satisfy it."""
        return [i for i, level in enumerate(rule.levels()) if level.value >= self.threshold]

    def missed(self, rule: LevelRule) -> list[int]:
        return [i for i, level in enumerate(rule.levels()) if level.value < self.threshold]

    @property
    def compound(self) -> bool:
        return isinstance(self.rule, LevelRule) and len(self.reached(self.rule)) > 1

    def holds(self, responses: Responses) -> Array:
        score = self.rule.score(responses)
        return np.where(np.isnan(score), np.nan, (score >= self.threshold).astype(np.float64))

    def clause(self, style: Style, wording: int) -> str:
        if isinstance(self.rule, LevelRule):
            levels = self.rule.levels(wording)
            return listed([levels[i].condition(style) for i in self.reached(self.rule)], "or")
        what, threshold = operand(self.rule, style, wording), plain(self.threshold)
        return f"{what} >= {threshold}" if style == "terse" else f"{what} comes to at least {threshold}"

    @property
    def subject(self) -> Hashable:
        # Rules with the same outcomes look at the same thing, whatever numbers they attach to them.
        if isinstance(self.rule, LevelRule):
            return tuple(level.condition("full") for level in self.rule.levels())
        return self.rule

    @property
    def states(self) -> set[Any]:
        if isinstance(self.rule, LevelRule):
            return set(range(len(self.rule.levels())))
        low, high = self.rule.range
        return {low, self.threshold, high}

    def true_for(self, state: Any) -> bool:
        if isinstance(self.rule, LevelRule):
            return state in self.reached(self.rule)
        return bool(state >= self.threshold)


@dataclass(frozen=True)
class Standing(Atom):
    """The question is among the `share` of the batch's questions (rounded up) whose group scores best by the
    mean of `by`, or best or worst by the share of right answers. Ties go to the question drawn first."""

    share: float
    best: bool = True
    by: Rule | None = None

    def check(self) -> None:
        if self.by is not None:
            must_be_rule(self.by)
            if not self.best:
                raise ValueError("for the worst questions by a rule, take the best ones by its negative")
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share}: a share of the batch's questions lies between 0 and 1")

    def holds(self, responses: Responses) -> Array:
        merit = right_answers(responses) if self.by is None else self.by.score(responses)
        groups = list(responses.groups())
        means = [float(np.mean(known)) if len(known := known_in(merit, rows)) else math.nan for rows in groups]
        ranked = [i for i in range(len(groups)) if not math.isnan(means[i])]
        ranked.sort(key=lambda i: -means[i] if self.best else means[i])
        chosen = set(ranked[: math.ceil(self.share * len(ranked) - 1e-9)])
        held = np.full(len(responses), np.nan)
        for i, rows in enumerate(groups):
            if not math.isnan(means[i]):
                held[rows] = float(i in chosen)
        return held

    def clause(self, style: Style, wording: int) -> str:
        measure = "by share of right answers"
        if self.by is not None:
            which, measure = "the best", f"by the mean of {operand(self.by, style, wording)}"
        elif self.best:
            which = pick(wording, "the easiest", "the best solved")
        else:
            which = pick(wording, "the hardest", "the least solved")
        if style == "terse":
            return f"{which} {percent(self.share)} of questions" + ("" if self.by is None else f" {measure}")
        return f"the question is among {which} {percent(self.share)} of the batch, {measure}"

    @property
    def compound(self) -> bool:
        return True

    @property
    def subject(self) -> Hashable:
        return self

    @property
    def states(self) -> set[Any]:
        return {True, False}

    def true_for(self, state: Any) -> bool:
        return bool(state)


@dataclass(frozen=True)
class Solved(Atom):
    """At least `share` of the responses to this question are right."""

    share: float

    def check(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share={self.share}: a share of a question's responses is above 0 and at most 1")

    def holds(self, responses: Responses) -> Array:
        right = right_answers(responses)
        held = np.full(len(responses), np.nan)
        for rows in responses.groups():
            if len(known := known_in(right, rows)):
                held[rows] = float(np.mean(known) >= self.share - 1e-9)
        return held

    def clause(self, style: Style, wording: int) -> str:
        share = percent(self.share)
        if style == "terse":
            return f"{share} of the group right"
        return f"at least {share} of the responses to the question are right"

    @property
    def subject(self) -> Hashable:
        return "share of right answers"

    @property
    def states(self) -> set[Any]:
        return {0.0, self.share}

    def true_for(self, state: Any) -> bool:
        return bool(state >= self.share)


@dataclass(frozen=True)
class Not(Condition):
    condition: Condition

    def holds(self, responses: Responses) -> Array:
        return 1.0 - self.condition.holds(responses)

    @property
    def compound(self) -> bool:
        inner = self.condition
        return isinstance(inner, AtLeast) and isinstance(inner.rule, LevelRule) and len(inner.missed(inner.rule)) > 1

    def clause(self, style: Style, wording: int) -> str:
        inner = self.condition
        if isinstance(inner, AtLeast) and isinstance(inner.rule, LevelRule):
            levels = inner.rule.levels(wording)
            return listed([levels[i].condition(style) for i in inner.missed(inner.rule)], "or")
        if isinstance(inner, AtLeast):
            what, threshold = operand(inner.rule, style, wording), plain(inner.threshold)
            return f"{what} < {threshold}" if style == "terse" else f"{what} comes to less than {threshold}"
        return f"{'not' if style == 'terse' else 'it is not so that'} ({inner.clause(style, wording)})"

    def atoms(self) -> Iterator[Atom]:
        return self.condition.atoms()

    def true_in(self, case: Mapping[Hashable, Any]) -> bool:
        return not self.condition.true_in(case)

    def __invert__(self) -> Condition:
        return self.condition


@dataclass(frozen=True)
class Combined(Condition):
    """Several conditions at once."""

    conditions: tuple[Condition, ...]

    @property
    def compound(self) -> bool:
        return True

    def together(self, word: str, style: Style, wording: int) -> str:
        clauses = [(condition.clause(style, wording), condition.compound) for condition in self.conditions]
        return f" {word} ".join(f"({clause})" if compound else clause for clause, compound in clauses)

    def atoms(self) -> Iterator[Atom]:
        for condition in self.conditions:
            yield from condition.atoms()


@dataclass(frozen=True)
class All(Combined):
    def holds(self, responses: Responses) -> Array:
        held: Array = np.min([condition.holds(responses) for condition in self.conditions], axis=0)
        return held

    def clause(self, style: Style, wording: int) -> str:
        return self.together("and", style, wording)

    def true_in(self, case: Mapping[Hashable, Any]) -> bool:
        return all(condition.true_in(case) for condition in self.conditions)


@dataclass(frozen=True)
class AnyOf(Combined):
    def holds(self, responses: Responses) -> Array:
        held: Array = np.max([condition.holds(responses) for condition in self.conditions], axis=0)
        return held

    def clause(self, style: Style, wording: int) -> str:
        return self.together("or", style, wording)

    def true_in(self, case: Mapping[Hashable, Any]) -> bool:
        return any(condition.true_in(case) for condition in self.conditions)


def easiest(share: float) -> Condition:
    """The batch's questions with the highest shares of right answers (GRPO-λ, arXiv 2505.18086)."""
    return Standing(share)


def hardest(share: float) -> Condition:
    """The batch's questions with the lowest shares of right answers."""
    return Standing(share, best=False)


def best_groups(share: float, by: Rule | None = None) -> Condition:
    """The batch's questions whose responses score highest on average by a rule, or else by being right."""
    return Standing(share, by=by)


def solved(share: float) -> Condition:
    """Questions of whose responses at least this share is right."""
    return Solved(share)


def as_condition(value: Rule | Condition) -> Condition:
    """A condition as it is; a rule with outcomes as reaching its best one."""
    if isinstance(value, Condition):
        return value
    must_be_rule(value)
    if isinstance(value, LevelRule):
        return AtLeast(value, value.range[1])
    raise TypeError(
        f"{value.name!r} pays in degrees, so as a condition it needs a threshold: "
        f"write .at_least({plain(sum(value.range) / 2)}) or another number after it"
    )


def members(condition: Condition, kind: type[Combined]) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, kind) else (condition,)


def truths(condition: Condition) -> set[bool]:
    """The truth values this condition can take, found by trying every combination of its atoms' states."""
    states: dict[Hashable, set[Any]] = {}
    for atom in condition.atoms():
        states.setdefault(atom.subject, set()).update(atom.states)
    if math.prod(map(len, states.values())) > 100_000:
        return {True, False}  # too many to try; nobody writes such a gate by mistake
    cases = (dict(zip(states, case, strict=True)) for case in itertools.product(*states.values()))
    found: set[bool] = set()
    for case in cases:
        found.add(condition.true_in(case))
        if len(found) == 2:
            break
    return found


def right_answers(responses: Responses) -> Array:
    """1 for a right final answer, 0 for any other, NaN where the verifier failed [N]."""
    verdicts = [response.verdict.correct for response in responses]
    return np.array([np.nan if correct is None else float(correct) for correct in verdicts], np.float64)


def known_in(values: Array, rows: Any) -> Array:
    """The values of one group, NaN left out."""
    group: Array = values[rows]
    return group[~np.isnan(group)]
