"""The lab's small worlds, and the task a run's options ask for."""

from __future__ import annotations

from dataclasses import replace

from merf.core.seams import Task
from merf.lab.worlds.knights import CAST
from merf.train.build import build_task
from merf.train.options import TrainOptions, task_name


def task_for(options: TrainOptions) -> Task:
    """The task named in the options. The lab's bases know only the names of the lab's cast."""
    if options.model.startswith("lab:") and task_name(options) == "knights-knaves" and not options.data:
        options = replace(options, task_options={"names": CAST, **options.task_options})
    return build_task(options)
