"""A rulebook as a taskset for verifiers (`verifiers.v1`).

    # my_countdown.py
    Countdown = book.for_verifiers("countdown")
    __all__ = ["Countdown"]

and `validate my-countdown -n 20`, `eval my-countdown …` or prime-rl find it by the module's name.

The parts come out as one reward each, whose weights are the rulebook's: a weight changed in a config would pay
something else than the prompt says. A response that can't be scored raises, which verifiers records as an error
of this rollout, with its rewards left open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from merf.core.problem import Problem
from merf.core.response import Response
from merf.core.seams import Task
from merf.framing.motivation import Motivated
from merf.integrations.needs import Need, Ungrouped, refuse
from merf.integrations.rows import as_framing, as_task, decode, encode, fingerprint, solution_of, spoken
from merf.rules.rulebook import Rulebook
from merf.tasks.data import Data
from merf.tasks.extras import require

MISSING: dict[Need, str] = {
    "group": "verifiers scores one response at a time, so use it with for_trl, or merf's own trainer",
    "progress": "verifiers doesn't tell its rewards how far training is, so leave the schedule out",
}


def for_verifiers(book: Rulebook, task: Task | str, *, framing: Motivated | None = None, **options: Any) -> Any:
    """`Rulebook.for_verifiers`, which says what the arguments mean."""
    refuse(book, MISSING)
    require("verifiers", "verifiers", "making a taskset")
    import verifiers.v1 as vf

    made = as_task(task, options)
    frame = as_framing(framing, made).frame
    written_for = fingerprint(book)

    class ProblemData(vf.TaskData):  # type: ignore[misc]
        problem: str
        """What the verifier needs, as JSON."""

    class MotivatedTask(vf.Task[ProblemData]):  # type: ignore[misc]
        def read(self, trace: Any) -> Response:
            """The attempt as rules see it: the last turn's text, with the reasoning put back where the
            server has taken it out."""
            turns = trace.assistant_messages
            return Response(
                problem=decode(self.data.problem, written_for),
                text=spoken(turns[-1].model_dump(), made.layout) if turns else "",
                tokens=trace.num_output_tokens,
                finished=not trace.is_truncated,
                layout=made.layout,
                verify=made.verify,
            )

        @vf.reward  # type: ignore[untyped-decorator]
        async def rulebook(self, trace: Any) -> dict[str, float]:
            """Every part's score by its name."""
            scores = await asyncio.to_thread(book.score, Ungrouped.of([self.read(trace)]))
            if scores.failed:
                raise ValueError(f"no score: {scores.notes[0]}")
            return {name: float(values[0]) for name, values in scores.parts.items()}

        async def validate(self, runtime: Any) -> bool | None:
            """Whether the verifier accepts the problem's own solution; None where it states none."""
            problem = decode(self.data.problem, written_for)
            solution = solution_of(problem)
            if solution is None:
                return None
            ideal = Response(problem, made.layout.render("", solution), layout=made.layout, verify=made.verify)
            return (await asyncio.to_thread(lambda: ideal.verdict)).correct

    class MotivatedConfig(vf.TasksetConfig):  # type: ignore[misc]
        split: str = "train"
        """The task's split: train or test."""
        seed: int = 0
        """The seed of the task's problems."""
        told: bool = True
        """Whether prompts carry the motivation; MeRF validates without."""

    class MotivatedTaskset(vf.Taskset[MotivatedTask, MotivatedConfig]):  # type: ignore[misc]
        INFINITE = not isinstance(made, Data)

        def load(self) -> Iterator[MotivatedTask]:
            for problem in made.problems(self.config.split, self.config.seed):
                yield MotivatedTask(data_of(problem, self.config.told), self.config.task)

    def data_of(problem: Problem, told: bool) -> ProblemData:
        first, *rest = frame(problem, book, told).acting
        system = first["content"] if first["role"] == "system" else None
        turns = rest if system is not None else [first, *rest]
        prompt: Any = turns[0]["content"] if len(turns) == 1 else list(turns)
        return ProblemData(
            id=problem.id, name=problem.id, system_prompt=system, prompt=prompt, problem=encode(problem, book)
        )

    return MotivatedTaskset
