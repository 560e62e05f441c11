"""Training from Python: a rulebook of one's own, a task, a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from merf.core.seams import Task
    from merf.report.runs import RunRecord
    from merf.rules.rulebook import Rulebook


def finetune(
    rulebook: Rulebook | None = None,
    task: Task | str = "knights-knaves",
    model: str = "lab:knights",
    out: Path | str = "runs/finetune",
    *,
    quiet: bool = False,
    **options: Any,
) -> RunRecord:
    """Train `model` on `task` for what `rulebook` pays, and tell it so; returns what the run recorded.

    `rulebook` is MeRF's own (correctness and format) if not given; `task` an object or a name as `merf tasks` lists
    them; `model` a folder, a hub id, or a lab base as `lab:NAME`; `options` are those of `merf train --help`, nested
    ones as dictionaries: `finetune(book, steps=40, motivation={"exposure": "always"})`.

    An interrupted run in `out` is continued; a finished one is returned as it is. Raises ValueError for options that
    don't exist or don't fit, before anything is computed, and if `out` holds a run with other options.
    """
    from merf.lab.bases import resolve
    from merf.lab.worlds import task_for
    from merf.report.live import watching
    from merf.report.runs import RunRecord
    from merf.train.build import build_recipe, build_rulebook
    from merf.train.options import from_dict, to_dict
    from merf.train.start import start

    named = {"task": task} if isinstance(task, str) else {}
    settings = from_dict({"model": model, **named, **options})
    made = task_for(settings) if isinstance(task, str) else task
    book = rulebook or build_rulebook(settings, made)
    record = RunRecord(Path(out))
    if (record.folder / "rulebook.txt").exists():
        paid = build_recipe(settings, made, book).rulebook.describe()
        if record.config != to_dict(settings) or (record.folder / "rulebook.txt").read_text() != paid:
            raise ValueError(f"{out} holds a run with other options or rules: give another `out`, or remove it")
        if record.state == "done":
            return record
    with watching(f"{made.name}, {settings.motivation.variant}", settings.steps, quiet) as watch:
        again = "call finetune again with the same arguments"
        start(settings, made, resolve(model), record.folder, watch, again, book)
    return RunRecord(record.folder)
