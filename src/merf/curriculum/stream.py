"""The plain curriculum: the task's problems in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from merf.core.problem import Problem
from merf.core.progress import Progress
from merf.core.response import Scores
from merf.core.seams import Task


class Stream:
    """Problems as the task yields them; a finite task starts over in a new order when it runs out."""

    def __init__(self, task: Task, split: str = "train", seed: int = 0) -> None:
        self.task, self.split, self.seed = task, split, seed
        self.drawn, self.epoch = 0, 0
        self._source = self._open()

    def _open(self) -> Iterator[Problem]:
        return self.task.problems(self.split, self.seed + self.epoch)

    def draw(self, n: int, progress: Progress) -> list[Problem]:
        problems = list(islice(self._source, n))
        self.drawn += len(problems)
        while len(problems) < n:
            self.epoch, self.drawn, self._source = self.epoch + 1, 0, self._open()
            more = list(islice(self._source, n - len(problems)))
            if not more:
                raise ValueError(f"task {self.task.name!r} has no problems in split {self.split!r}")
            self.drawn += len(more)
            problems += more
        return problems

    def observe(self, problems: Sequence[Problem], scores: Scores) -> None:
        """The plain curriculum doesn't look at scores."""

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "drawn": self.drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.drawn = int(state["epoch"]), int(state["drawn"])
        self._source = self._open()
        for _ in islice(self._source, self.drawn):
            pass
