"""`merf train`: one run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from merf.train.options import TrainOptions


@dataclass(frozen=True)
class Command:
    """Train a model with reinforcement learning on a task, telling it the rules or not.

    Without options: the lab's base model, Knights & Knaves, the rules shown to half of every group.
    With your own model and data: --model FOLDER_OR_HUB_ID --data PUZZLES.jsonl
    """

    train: Annotated[TrainOptions, tyro.conf.arg(name="")] = field(default_factory=TrainOptions)
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

    from merf.cli.live import watching
    from merf.lab.bases import resolve
    from merf.lab.worlds import task_for
    from merf.train.start import start

    task = task_for(options)
    resume = f"merf train --resume {shlex.quote(str(folder))}"
    with watching(f"{options.task}, {options.motivation.variant}", options.steps, command.quiet) as watch:
        run = start(options, task, resolve(options.model), folder, watch, resume)
    if run.interrupted:
        print(f"stopped after a whole step; continue with:\n  {resume}")
    elif not command.quiet:
        print(f"done: {folder}")


def settle(command: Command) -> tuple[TrainOptions, Path]:
    """The options to run with and the folder to run in."""
    from merf.core.toml import read_toml
    from merf.train.options import from_dict

    options = command.train
    if command.resume is not None:
        path = command.resume / "config.toml"
        if not path.exists():
            raise ValueError(f"{command.resume} is not a run folder: it has no config.toml")
        return from_dict(read_toml(path)), command.resume
    if command.config is not None:
        options = from_dict(read_toml(command.config))
    name = options.task.replace(":", "-").replace("/", "-")
    folder = command.out or Path("runs") / f"{name}-seed-{options.seed}"
    if command.out is None and (folder / "config.toml").exists():
        raise ValueError(
            f"{folder} already holds a run: continue it with `merf train --resume {folder}`, or give --out"
        )
    return options, folder
