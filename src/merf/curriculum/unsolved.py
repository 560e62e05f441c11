"""A curriculum that asks the policy: only problems that it doesn't solve by itself are practised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from merf.core.problem import Problem
from merf.core.rollouts import Rollouts
from merf.core.seams import Context, Rollout, Task


@dataclass(frozen=True)
class Unsolved:
    """`rollout` for those of the drawn problems whose greedy response, from the prompt of the group's `member`,
    is not right.

    It stands in front of a rollout because a curriculum is not told what the policy can do. Groups keep the numbers
    of their draws. If everything drawn is solved, one group is sampled for the record and left out of the gradient.
    """

    task: Task
    rollout: Rollout
    member: int = 0

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts:
        greedy = ctx.sample(
            problems=problems,
            prompts=[ctx.frame(problem, self.member) for problem in problems],
            group=range(len(problems)),
            member=[self.member] * len(problems),
            how=replace(ctx.sampling, temperature=0.0),
        )
        responses = greedy.responses(self.task.layout, self.task.verify, ctx.progress)
        unsolved = [i for i, response in enumerate(responses) if response.verdict.correct is not True]
        chosen = np.array(unsolved or [0])
        rollouts = self.rollout.collect([problems[i] for i in chosen], ctx)
        rollouts = replace(rollouts, group=chosen[rollouts.group])
        return rollouts if unsolved else rollouts.masked(np.zeros(len(rollouts), bool))
