"""`merf train`: one run."""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from merf.train.options import TrainOptions, task_name

if TYPE_CHECKING:
    from merf.core.seams import Task


@dataclass(frozen=True)
class Command:
    """Train a model with reinforcement learning on a task, telling it the rules or not.

    Without options: the lab's base model, Knights & Knaves, the rules shown to half of every group.

    Another task: --task countdown --set numbers='[3, 3]'

    Your own model and data: --model FOLDER_OR_HUB_ID --data problems.jsonl --prompt-column question
    """

    train: Annotated[TrainOptions, tyro.conf.arg(name="")] = field(default_factory=TrainOptions)
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=VALUE")] = ()
    """Options of the task, such as difficulty dials (`merf tasks` lists them): --set numbers='[3, 5]' largest=20"""
    prompt_column: str | None = None
    """The column of --data that holds the questions. Default: recognised by its name."""
    answer_column: str | None = None
    """The column of --data that holds the right answers. Default: recognised by its name."""
    verifier: str | None = None
    """How the answers of --data are judged: exact, math, choice, knights-knaves, countdown, code or sql. Default:
    recognised by the columns, else exact."""
    out: Path | None = None
    """The run's folder. Default: runs/TASK-seed-N."""
    config: Path | None = None
    """A TOML file of options (a run's own config.toml, for instance) to use instead of the flags."""
    resume: Path | None = None
    """Continue an interrupted run from its folder."""
    quiet: bool = False
    """No live view."""


def main(arguments: list[str]) -> None:
    command = tyro.cli(Command, args=arguments, prog="merf train")
    options, folder = settle(command)
    task = made(options)

    from merf.lab.bases import resolve
    from merf.report.live import watching
    from merf.train.start import start

    resume = f"merf train --resume {shlex.quote(str(folder))}"
    with watching(f"{task.name}, {options.motivation.variant}", options.steps, command.quiet) as watch:
        run = start(options, task, resolve(options.model), folder, watch, resume)
    if run.interrupted:
        print(f"stopped after a whole step; continue with:\n  {resume}")
    elif not command.quiet:
        print(f"done: {folder}")


def made(options: TrainOptions) -> Task:
    """The task; what its data gives reason to warn of is printed."""
    from merf.lab.worlds import task_for

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        task = task_for(options)
    for warning in told:
        print(f"merf train: warning: {warning.message}", file=sys.stderr)
    return task


def settle(command: Command) -> tuple[TrainOptions, Path]:
    """The options to run with and the folder to run in."""
    from merf.core.toml import read_toml
    from merf.train.options import from_dict

    if command.resume is not None:
        path = command.resume / "config.toml"
        if not path.exists():
            raise ValueError(f"{command.resume} is not a run folder: it has no config.toml")
        return from_dict(read_toml(path)), command.resume
    options = command.train if command.config is None else from_dict(read_toml(command.config))
    if options.task and options.task.startswith("data:"):
        options = replace(options, task=None, data=options.task.removeprefix("data:"))
    options = replace(
        options,
        task_options={**options.task_options, **task_options(command)},
        data=findable(options.data),
        rulebook=findable(options.rulebook),
    )
    folder = command.out or Path("runs") / f"{slug(options)}-seed-{options.seed}"
    if command.out is None and (folder / "config.toml").exists():
        raise ValueError(
            f"{folder} already holds a run: continue it with `merf train --resume {folder}`, or give --out"
        )
    return options, folder


def task_options(command: Command) -> dict[str, Any]:
    """What the flags say about the task."""
    from merf.cli.tasks import options_of

    columns = {"prompt": command.prompt_column, "answer": command.answer_column, "verifier": command.verifier}
    return {**options_of(command.set), **{name: value for name, value in columns.items() if value is not None}}


def findable(path: str | None) -> str | None:
    """A path that stays right in another working directory; what is no file (a hub id, say) is left alone."""
    return str(Path(path).resolve()) if path and Path(path).exists() else path


def slug(options: TrainOptions) -> str:
    """The task in a folder's name."""
    name = Path(options.data).stem if options.data else task_name(options)
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")
