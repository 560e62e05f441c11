"""The lab's small worlds by name, and the task a run's options ask for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from merf.core.seams import Task
from merf.lab.bases import world_of
from merf.lab.worlds.world import World
from merf.tasks import load, nearest
from merf.train.build import build_task
from merf.train.options import TrainOptions

WORLDS: dict[str, str] = {
    "knights": "merf.lab.worlds.knights:Knights",
    "arithmetic": "merf.lab.worlds.arithmetic:Arithmetic",
    "countdown": "merf.lab.worlds.countdown:Countdown",
    "functions": "merf.lab.worlds.functions:Functions",
    "graph": "merf.lab.worlds.graph:Graph",
    "facts": "merf.lab.worlds.facts:FactsWorld",
    "graded": "merf.lab.worlds.graded:GradedWorld",
    "distractors": "merf.lab.worlds.distractors:DistractorsWorld",
}
"""World names and their classes, as `module:class`."""


@cache
def get(name: str) -> World:
    """The world called `name`; ValueError for an unknown name, with the nearest one."""
    if name not in WORLDS:
        raise ValueError(f"there is no world {name!r}{nearest(name, WORLDS)}")
    made: World = load(WORLDS[name])()
    return made


def task_for(options: TrainOptions) -> Task:
    """The task named in the options; where a lab base is to be trained and none is named, that of the base's world.

    A lab base knows its own world's problems only, such as the names of a small cast, at the difficulty of the lab's
    experiments unless the task's options say otherwise.
    """
    if not options.model.startswith("lab:") or options.data:
        return build_task(options)
    home = get(world_of(options.model.removeprefix("lab:")))
    if (options.task or home.task_name) != home.task_name:
        return build_task(options)
    own = home.options(home.level, home.level)
    if home.task_name == "knights-knaves":
        del own["people"]  # an option of its own
    return build_task(replace(options, task=home.task_name, task_options={**own, **options.task_options}))
