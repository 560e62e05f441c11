"""Problems with verifiers: `get` makes a task from its name, `names` lists them.

    >>> from merf.tasks import get
    >>> task = get("countdown", numbers=(3, 3))
    >>> problem = next(task.problems("train", seed=0))
    >>> task.verify(problem, problem.meta["solution"]).correct
    True

Each task's module is imported when the task is first asked for.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from merf.core.layout import layout_named

if TYPE_CHECKING:
    from merf.tasks.facts import DescribedTask

TASKS: dict[str, str] = {
    "knights-knaves": "merf.tasks.knights_knaves:KnightsKnaves",
    "countdown": "merf.tasks.countdown:Countdown",
    "digit-arithmetic": "merf.tasks.digits:DigitArithmetic",
    "string-functions": "merf.tasks.string_functions:StringFunctions",
    "code": "merf.tasks.code:Code",
    "sql": "merf.tasks.sql:Sql",
    "math": "merf.tasks.data:math",
    "gsm8k": "merf.tasks.data:gsm8k",
    "multiple-choice": "merf.tasks.data:multiple_choice",
    "search-qa": "merf.tasks.search:SearchQA",
    "twenty-questions": "merf.tasks.games:TwentyQuestions",
    "maze": "merf.tasks.games:Maze",
    "dependency-graph": "merf.tasks.dependency_graph:DependencyGraph",
    "two-hop": "merf.tasks.two_hop:TwoHop",
    "two-hop-search": "merf.tasks.two_hop:TwoHopSearch",
    "graded": "merf.tasks.graded:Graded",
    "distractors": "merf.tasks.distractors:Distractors",
    "bandit": "merf.tasks.bandit:Bandit",
}
"""Task names and who makes them, as `module:callable`."""

FAMILIES: dict[str, str] = {
    "rg": "merf.tasks.gym:Gym",
    "data": "merf.tasks.data:Data",
    "textarena": "merf.tasks.textarena:TextArena",
}
"""`family:member` names and who makes them; the member is the callable's first argument."""


def names() -> list[str]:
    """Every name `get` knows by itself; `data:PATH` and `textarena:GAME` come on top."""
    from merf.tasks.gym_table import table

    return [*TASKS, *(f"rg:{name}" for name in table())]


def get(name: str, **options: Any) -> DescribedTask:
    """The task called `name` with its options (difficulty dials, data columns…); `layout` may be a layout's name.

    Raises KeyError for an unknown name and ValueError for an unknown option, each with the nearest valid one.
    """
    family, colon, member = name.partition(":")
    members: list[str] = []
    if colon and family in FAMILIES:
        maker = load(FAMILIES[family])
        members.append(member)
    elif name in TASKS:
        maker = load(TASKS[name])
    else:
        raise KeyError(f"there is no task {name!r}{nearest(name, [*names(), *(f'{f}:' for f in FAMILIES)])}")
    accepted = inspect.signature(maker).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        for option in options:
            if option not in accepted:
                raise ValueError(f"task {name!r} has no option {option!r}{nearest(option, accepted)}")
    for option, value in options.items():
        if option in accepted and (wanted := misfit(value, accepted[option].default)):
            raise ValueError(f"task {name!r}: {option} = {value!r}: expected {wanted}")
    if isinstance(options.get("layout"), str):
        options["layout"] = layout_named(options["layout"])
    task: DescribedTask = maker(*members, **options)
    return task


def misfit(value: Any, default: Any) -> str:
    """What an option should be, judging by its default; empty if it is, or if that tells nothing."""
    if default and isinstance(default, tuple) and all(isinstance(one, int) for one in default):
        fits = isinstance(value, tuple | list) and [type(one) for one in value] == [type(one) for one in default]
        return "" if fits else f"{len(default)} whole numbers, such as {list(default)}"
    for kinds, what in (((bool,), "true or false"), ((int,), "a whole number"), ((float, int), "a number")):
        if type(default) is kinds[0]:
            return "" if type(value) in kinds else what
    return "a text" if isinstance(default, str) and not isinstance(value, str) else ""


def load(home: str) -> Callable[..., Any]:
    """The object at `module:name`."""
    module, _, name = home.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def nearest(wrong: str, known: Iterable[str] | Mapping[str, Any]) -> str:
    """`; did you mean 'x'?`, or a list of what there is."""
    known = list(known)
    close = difflib.get_close_matches(wrong, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"
