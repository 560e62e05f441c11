"""The lab's small worlds, and the task a run's options ask for."""

from __future__ import annotations

from merf.core.seams import Task
from merf.lab.worlds.knights import CAST
from merf.tasks.knights_knaves import NAMES, KnightsKnaves
from merf.train.options import TrainOptions


def task_for(options: TrainOptions) -> Task:
    """The task named in the options. The lab's bases know only the names of the lab's cast."""
    if options.task == "knights-knaves":
        names = CAST if options.model.startswith("lab:") else NAMES
        return KnightsKnaves(people=options.people, names=names)
    raise ValueError(f"there is no task {options.task!r}; known: knights-knaves")
