"""Second attempts: every response is criticised, written again with the critique in view, and the best kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from merf.core.problem import Message, Problem, Prompt
from merf.core.response import Response
from merf.core.rollouts import Rollouts
from merf.core.seams import Context, Task
from merf.core.seeds import derive
from merf.rollout.sampled import Sampled

REFINED = "refined"
AGAIN = "Answer the question again, better, in the same form."

Critique = Callable[[Response], str]
"""What is said of a response before it is written again."""


def indicative(response: Response) -> str:
    """Whether it is right, and what went wrong if it could not be read."""
    if response.verdict.correct is None:
        return AGAIN
    if response.verdict.correct:
        return f"Your answer is right. {AGAIN}"
    fault = f" ({response.note})" if response.note else ""
    return f"Your answer is wrong{fault}. {AGAIN}"


def with_solution(response: Response) -> str:
    """The same, and the right answer where the problem has one to show."""
    solution = response.problem.meta.get("solution", response.problem.answer)
    if not isinstance(solution, str):
        return indicative(response)
    said = indicative(response).removesuffix(AGAIN)
    return f"{said}The right answer is: {solution} {AGAIN}"


CRITIQUES: dict[str, Critique] = {"indicative": indicative, "solution": with_solution}


@dataclass(frozen=True)
class Refined:
    """Groups of `group_size`: all but `kept` are ordinary responses, the others are refinements.

    `group_size` responses are sampled and all of them refined; the last `kept` give way to refinements, right ones
    before others, chosen at random among equals. A refinement is learned from as an answer to the original prompt:
    its source is "refined", and critique and first attempt are not in its learning prompt.
    """

    task: Task
    critique: Critique = with_solution
    group_size: int = 8
    kept: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.kept < self.group_size:
            raise ValueError(
                f"kept={self.kept}: keep at least 1 refinement and fewer than group_size={self.group_size}"
            )

    def collect(self, problems: Sequence[Problem], ctx: Context) -> Rollouts:
        first = Sampled(self.group_size).collect(problems, ctx)
        responses = first.responses(self.task.layout, self.task.verify, ctx.progress)
        second = ctx.sample(
            first.problems,
            [self.prompt(prompt, response) for prompt, response in zip(first.prompts, responses, strict=True)],
            first.group.tolist(),
            first.member,
        )
        refined = second.responses(self.task.layout, self.task.verify, ctx.progress)
        right = np.array([response.verdict.correct is True for response in refined])
        stay, chosen = [], []
        for rows in refined.groups():
            rng = Random(derive("refined", second.problems[rows[0]].id, ctx.progress.step))
            best = sorted(rng.sample(rows.tolist(), len(rows)), key=lambda row: not right[row])[: self.kept]
            stay += rows[: -self.kept].tolist()
            chosen += best
        better = second.select(chosen)
        places = [self.group_size - self.kept + i % self.kept for i in range(len(chosen))]
        better = replace(better, member=places, source=[REFINED] * len(chosen))
        together = Rollouts.concatenate([first.select(stay), better])
        return together.select(np.argsort(together.group, kind="stable").tolist())

    def prompt(self, prompt: Prompt, response: Response) -> Prompt:
        """The conversation so far and the critique, when acting; the original prompt when learning."""
        turns = (
            Message(role="assistant", content=response.text),
            Message(role="user", content=self.critique(response)),
        )
        return replace(prompt, acting=prompt.acting + turns)
