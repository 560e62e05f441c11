"""Gates: scores that count only where something else was achieved first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import Any, ClassVar

import numpy as np

from merf.core.response import Array, Responses
from merf.rules.conditions import All, AtLeast, Condition, as_condition, truths
from merf.rules.rule import Operation, Rule, must_be_rule, operand
from merf.rules.wording import Style, capital, pick, plain, signed


@dataclass(frozen=True)
class Gated(Operation):
    """The rule's score where the condition holds, `otherwise` elsewhere: the posterior gate of P-GRPO
    (arXiv 2508.05170), R = 1[condition]·rule.

    Where the condition fails, the rule isn't asked: its NaN doesn't count there. Where the condition
    itself is unknown, so is the score.
    """

    condition: Condition
    otherwise: float = 0.0
    verb: ClassVar[str] = "only_if"

    def check(self) -> None:
        refuse_fixed(self.condition)
        for inner in gates_inside(self.rule):
            if True not in truths(self.condition & inner.condition):
                raise ValueError(
                    f"contradictory gates on {self.rule.name!r}: outside, it counts only if "
                    f"{self.condition.clause('full', 0)}; inside, only if {inner.condition.clause('full', 0)}; "
                    "these never hold together, so drop one of them"
                )

    def score(self, responses: Responses) -> Array:
        holds = self.condition.holds(responses)
        score = np.where(holds == 1.0, self.rule.score(responses), self.otherwise)
        return np.where(np.isnan(holds), np.nan, score)

    @property
    def range(self) -> tuple[float, float]:
        low, high = self.rule.range
        return min(low, self.otherwise), max(high, self.otherwise)

    def change(self, style: Style, wording: int) -> str:
        clause, otherwise = self.condition.clause(style, wording), plain(self.otherwise)
        if style == "terse":
            return f"only if {clause}" + ("" if self.otherwise == 0 else f", else {signed(self.otherwise)}")
        paid = pick(wording, f"counted only if {clause}", f"paid only if {clause}")
        return paid + pick(wording, f" (otherwise {otherwise})", f" ({otherwise} otherwise)")


def refuse_fixed(condition: Condition) -> None:
    """A gate that never opens or never closes is a typing error."""
    possible = truths(condition)
    if len(possible) == 1:
        clause = condition.clause("full", 0)
        if True in possible:
            raise ValueError(f"this gate is always open ({clause}): leave it out")
        raise ValueError(f"this gate can never open, its conditions contradict each other ({clause}): drop one of them")


def gates_inside(rule: Rule) -> Iterator[Gated]:
    """Every gate inside `rule`, itself included."""
    if isinstance(rule, Gated):
        yield rule
    for part in parts_of(rule):
        yield from gates_inside(part)


def parts_of(rule: Rule) -> Iterator[Rule]:
    """The rules that a rule is made of and whose scores go into its own."""
    owned: dict[str, Any] = vars(rule) if is_dataclass(rule) else {}
    for value in owned.values():
        for part in value if isinstance(value, tuple) else (value,):
            inner = part.rule if isinstance(part, AtLeast) else part
            if isinstance(inner, Rule):
                yield inner


@dataclass(frozen=True)
class Priority(Rule):
    """Gated accumulation (G-RA, arXiv 2508.10548): each score counts only if every earlier one reached its
    threshold.

        R = Σ_i r_i · Π_{j<i} 1[r_j ≥ v_j]

    So cheap low-priority scores can't be farmed while the important one is missed.
    """

    gates: tuple[AtLeast, ...]
    last: Rule
    key: ClassVar[str] = "priority"

    def check(self) -> None:
        must_be_rule(self.last)
        if not self.gates:
            raise ValueError("priority needs at least two scores: what comes first, and what it unlocks")
        for gate in self.gates:
            if not isinstance(gate, AtLeast):
                raise TypeError("each score before the last needs a threshold: rule.at_least(number)")
        refuse_fixed(All(self.gates))

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (*(gate.rule for gate in self.gates), self.last)

    @property
    def name(self) -> str:
        return "+".join(rule.name for rule in self.rules)

    @property
    def label(self) -> str:
        return capital(", then ".join(rule.label.lower() for rule in self.rules))

    def score(self, responses: Responses) -> Array:
        total = self.gates[0].rule.score(responses)
        open_ = self.gates[0].holds(responses)
        for i, rule in enumerate(self.rules[1:], start=1):
            total = np.where(open_ == 0.0, total, total + rule.score(responses))
            if i < len(self.gates):
                open_ = np.where(open_ == 0.0, 0.0, self.gates[i].holds(responses))
        return total

    @property
    def range(self) -> tuple[float, float]:
        low, high = self.gates[0].rule.range
        for rule in self.rules[1:]:
            low, high = low + min(rule.range[0], 0.0), high + max(rule.range[1], 0.0)
        return low, high

    def statement(self, style: Style, wording: int) -> str:
        terms = [operand(rule, style, wording) for rule in self.rules]
        clauses = [gate.clause(style, wording) for gate in self.gates]
        if style == "terse":
            return terms[0] + "".join(
                f", if {clause} also {term}" for clause, term in zip(clauses, terms[1:], strict=True)
            )
        first = pick(wording, "in order of priority, first", "step by step, first")
        later = [
            f"only if {clause}{' as well' if i else ''}, also {term}"
            for i, (clause, term) in enumerate(zip(clauses, terms[1:], strict=True))
        ]
        return f"{first} {terms[0]}; {'; '.join(later)}"


def priority(*scores: Rule | Condition) -> Rule:
    """Scores in order of importance; every one but the last with the threshold that unlocks what follows:
    `priority(Correct().at_least(2), Format(), Steps())`. A bare rule with outcomes has to reach its best."""
    if len(scores) < 2:
        raise ValueError("priority needs at least two scores: what comes first, and what it unlocks")
    *first, last = scores
    gates = tuple(as_condition(score) for score in first)
    return Priority(gates, last)  # type: ignore[arg-type]
