"""A scaffold: every group member is told a different share of the rules, and all of them less and less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from merf.core.problem import Problem, Prompt
from merf.core.progress import Progress, Schedule, Sigmoid
from merf.core.seams import Rewards
from merf.core.seeds import derive
from merf.framing.motivation import Position, Telling, place

Within = Callable[[int, int], float]
"""(member, group size) -> the share of the rules this member is told before any decay."""


def graded(member: int, size: int) -> float:
    """From everything for the first member to nothing for the last, in equal steps."""
    return (size - 1 - member) / max(size - 1, 1)


def half(member: int, size: int) -> float:
    """Everything for the first half of the group, nothing for the others."""
    return float(member < size / 2)


WITHIN: dict[str, Within] = {"graded": graded, "half": half}


@dataclass(frozen=True)
class Scaffolded:
    """Member i is told round(within(i) · decay(progress) · N) of the rulebook's N parts, drawn at random.

    Whoever is told nothing sees the plain prompt. `learning="bare"` trains everybody on the plain prompt.
    The draw depends on problem, step and member alone.
    """

    system: str
    telling: Telling = Telling()
    position: Position = "system"
    within: Within = graded
    decay: Schedule = Sigmoid(steepness=125.0, middle=0.2)
    learning: Literal["acting", "bare"] = "bare"

    def __call__(self, problem: Problem, member: int, group_size: int, progress: Progress, rulebook: Rewards) -> Prompt:
        share = self.within(member, group_size) * self.decay(progress.fraction)
        names = [part.name for part in rulebook]
        shown = round(share * len(names))
        bare = place(self.system, problem, "", self.position)
        if not shown:
            return Prompt(acting=bare, learning=bare)
        chosen = Random(derive("scaffold", problem.id, progress.step, member)).sample(names, shown)
        acting = place(self.system, problem, self.telling(rulebook.only(*chosen)), self.position)
        learning = acting if self.learning == "acting" else bare
        return Prompt(acting=acting, learning=learning, exposure=shown / len(names))
