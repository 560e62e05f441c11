"""Several rounds within a step, each with as much of the solution given away as keeps about half of them right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from merf.core.layout import Layout
from merf.core.problem import Problem
from merf.core.rollouts import Rollouts
from merf.core.seams import Context, Task
from merf.core.steps import step_spans
from merf.rollout.imitated import imitation
from merf.rollout.item_response import ItemResponse
from merf.rules.conditions import known_in, right_answers

WORD = re.compile(r"\S+\s*")


def pieces(solution: str) -> list[int]:
    """Where a solution may be cut: after its sentences and lines, or after its words if there is but one."""
    ends = [end for _, end in step_spans(solution)]
    return ends if len(ends) > 1 else [found.end() for found in WORD.finditer(solution)]


def beginning(layout: Layout, hint: str) -> str:
    """A response in this layout, as far as its reasoning has got with the hint."""
    whole = layout.render(hint, "?")
    end = whole.find(hint)
    return whole[: end + len(hint)] if hint and end >= 0 else hint


@dataclass
class Item:
    """One problem in a step: how much of its solution was shown, and how many of the responses were right."""

    problem: Problem
    ends: list[int]
    rates: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, problem: Problem) -> Item:
        solution = problem.meta.get("solution")
        return cls(problem, pieces(solution) if isinstance(solution, str) else [])

    def next_rate(self, target: float) -> float:
        """At first all but the last piece; then where the curve through what was seen meets the target."""
        if not self.accuracies:
            return (len(self.ends) - 1) / len(self.ends) if self.ends else 0.0
        return ItemResponse.fit(self.rates, self.accuracies).rate(target)

    def hint(self, rate: float) -> str:
        shown = round(rate * len(self.ends))
        return str(self.problem.meta["solution"])[: self.ends[shown - 1]].rstrip() if shown else ""


@dataclass(frozen=True)
class Hinted:
    """Groups of `group_size` in `rounds` equal rounds. Responses begin with a piece of `meta["solution"]`, long
    enough that about `target` of them should be right.

    Every hint comes with a row of its tokens to be imitated, weighted by the number of responses that began with it.
    """

    task: Task
    group_size: int = 32
    rounds: int = 4
    target: float = 0.5

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.group_size % self.rounds:
            raise ValueError(
                f"groups of {self.group_size} can't be drawn in {self.rounds} equal rounds: choose a --group-size that "
                "is a multiple of the rounds"
            )
        if not 0 < self.target < 1:
            raise ValueError(f"target={self.target}: the accuracy aimed at lies between 0 and 1")

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts:
        items = [Item.of(problem) for problem in problems]
        each = self.group_size // self.rounds
        parts = [self.round(items, range(start, start + each), ctx) for start in range(0, self.group_size, each)]
        together = Rollouts.concatenate([part for pair in parts for part in pair if part is not None])
        return together.select(np.argsort(together.group, kind="stable").tolist())

    def round(self, items: Sequence[Item], members: range, ctx: Context) -> tuple[Rollouts, Rollouts | None]:
        """Responses of these members of every group, and the hints to be imitated."""
        rates = [item.next_rate(self.target) for item in items]
        starts = [beginning(self.task.layout, item.hint(rate)) for item, rate in zip(items, rates, strict=True)]
        rows = [(group, member) for group in range(len(items)) for member in members]
        prompts = []
        for group, member in rows:
            prompt = ctx.frame(items[group].problem, member)
            opening = ctx.policy.encode(prompt.acting).opening
            prompts.append(replace(prompt, prefill=starts[group].removeprefix(opening)))
        drawn = ctx.sample(
            [items[group].problem for group, _ in rows],
            prompts,
            [group for group, _ in rows],
            [member for _, member in rows],
        )
        right = right_answers(drawn.responses(self.task.layout, self.task.verify, ctx.progress))
        for group, (item, rate) in enumerate(zip(items, rates, strict=True)):
            known = known_in(right, drawn.group == group)
            if len(known):
                item.rates.append(rate)
                item.accuracies.append(float(known.mean()))
        told = [row for row in range(0, len(rows), len(members)) if prompts[row].prefill]
        ids = [ctx.policy.tokenize(prompts[row].prefill) for row in told]
        hints = imitation(drawn, told, ids, [float(len(members))] * len(told), ctx.policy) if told else None
        return drawn, hints
