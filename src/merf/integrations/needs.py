"""What a rulebook has to know before it can score, and who can't tell it.

Other people's trainers call a reward with less than our own loop does: with one response at a time, without
the step, or without a count of tokens. A rule that needs what its host doesn't have is refused when it is
exported, not paid wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from merf.core.response import Responses
from merf.rules.conditions import Condition, Solved, Standing
from merf.rules.custom import FunctionRule, parameters
from merf.rules.diversity import DistinctAnswer, Diversity
from merf.rules.groups import WithinGroup
from merf.rules.length import Brevity, Overlong
from merf.rules.likelihood import Hesitation, ReferenceLikelihood, SelfAligned
from merf.rules.noise import Noisy
from merf.rules.rule import Rule
from merf.rules.rulebook import Rulebook
from merf.rules.schedules import Annealed

Need = Literal["group", "policy", "progress", "tokens"]

NEEDS: dict[Need, str] = {
    "group": "looks at the whole group of responses to a question",
    "policy": "asks the model being trained",
    "progress": "changes over training",
    "tokens": "counts tokens",
}


def pieces(node: Rule | Condition) -> Iterator[Rule | Condition]:
    """A rule or condition and everything it is built from."""
    yield node
    names: list[str] = [entry.name for entry in fields(node)] if is_dataclass(node) else []
    for name in names:
        value: Any = getattr(node, name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Rule | Condition):
                yield from pieces(inner)


def needs(rule: Rule) -> set[Need]:
    """What `rule` must be told besides the text of one response and its problem."""
    found: set[Need] = set()
    for piece in pieces(rule):
        match piece:
            case WithinGroup() | Diversity() | DistinctAnswer() | Standing() | Solved() | Noisy(per="response"):
                found.add("group")
            case ReferenceLikelihood() | SelfAligned() | Hesitation():
                found.add("policy")
            case Brevity(unit=unit):
                found |= {"group", "tokens"} if unit == "tokens" else {"group"}
            case FunctionRule(whole_batch=True):
                found.add("group")
            case FunctionRule() if "tokens" in parameters(piece.function):
                found.add("tokens")
            case Annealed():
                found.add("progress")
            case Overlong():
                found.add("tokens")
    return found


def refuse(book: Rulebook, missing: Mapping[Need, str]) -> None:
    """ValueError, with the remedy that `missing` gives, where a part needs what the host doesn't have. No host can
    be asked for its model."""
    missing = {"policy": "leave it out, or train with merf", **missing}
    if not book.parts:
        raise ValueError("an empty rulebook can't score: give it at least one rule, such as Rulebook(Correct())")
    for part in book:
        for need in sorted(needs(part) & set(missing)):
            raise ValueError(f"the part {part.name!r} {NEEDS[need]}: {missing[need]}")


class Ungrouped(Responses):
    """Responses of which nobody knows which belong together: rules of your own that ask are refused too."""

    def groups(self) -> Iterator[NDArray[np.intp]]:
        raise ValueError(
            f"a rule {NEEDS['group']}, which isn't known here; with TRL, name num_generations: "
            "book.for_trl(task, num_generations=8)"
        )
