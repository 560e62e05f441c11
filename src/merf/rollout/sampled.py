"""The ordinary rollout: every group member gets its prompt and one response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from merf.core.problem import Problem
from merf.core.rollouts import Rollouts
from merf.core.sampling import Sampling
from merf.core.seams import Context, Task
from merf.tasks.environment import is_played


@dataclass(frozen=True)
class Sampled:
    """`group_size` independent responses to each problem."""

    group_size: int = 8

    def collect(self, problems: Sequence[Problem], ctx: Context, how: Sampling | None = None) -> Rollouts:
        rows = [(group, member) for group in range(len(problems)) for member in range(self.group_size)]
        return ctx.sample(
            problems=[problems[group] for group, _ in rows],
            prompts=[ctx.frame(problems[group], member) for group, member in rows],
            group=[group for group, _ in rows],
            member=[member for _, member in rows],
            how=how,
        )


def must_be_in_one_go(task: Task, method: str) -> None:
    """Refuse tasks that are played in turns, for methods that cut responses up or write parts of them themselves."""
    if is_played(task):
        raise ValueError(f"{method} can't be used with {task.name}, which is played in turns: choose another task")
