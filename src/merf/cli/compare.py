"""`merf compare`: several arms and seeds side by side, a table and a report at the end."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

if TYPE_CHECKING:
    from merf.lab.experiment import Experiment
    from merf.report.runs import ArmRecord


@dataclass(frozen=True)
class Command:
    """Run an experiment: every arm with every seed, side by side, then a table and report.html.

    EXPERIMENT is a TOML file, or the name of one that comes with merf (`merf compare --list`). Runs that
    are already done are kept, so an interrupted comparison goes on where it stopped.
    """

    experiment: Annotated[str, tyro.conf.Positional] = "demo"
    seeds: int = 1
    """How many seeds per arm, counted from --first-seed."""
    first_seed: int = 0
    jobs: int = field(default_factory=lambda: max(os.cpu_count() or 1, 1))
    """Runs at the same time; each uses the experiment's `threads`."""
    arms: tuple[str, ...] = ()
    """Only these arms, by name."""
    out: Path | None = None
    """Folder for the runs and the report. Default: runs/EXPERIMENT."""
    publish: Path | None = None
    """Also write the results to this folder as files to keep: a page, a picture, and all numbers as JSON."""
    name: str = ""
    """What these files are called. Default: EXPERIMENT."""
    list: bool = False
    """List the experiments that come with merf."""


def main(arguments: Sequence[str]) -> None:
    command = tyro.cli(Command, args=list(arguments), prog="merf compare")
    from merf.lab.experiment import SHIPPED, Experiment

    if command.list:
        for path in sorted(SHIPPED.glob("*.toml")):
            print(f"{path.stem:<16} {Experiment.load(path).title}")
        return
    path = Path(command.experiment)
    if path.suffix != ".toml":
        path = SHIPPED / f"{command.experiment}.toml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.toml")))
        raise ValueError(f"there is no experiment {command.experiment!r}: give a TOML file, or one of {known}")
    experiment = Experiment.load(path).only(command.arms)
    folder = command.out or Path("runs") / path.stem
    seeds = range(command.first_seed, command.first_seed + command.seeds)
    arms, _ = compare(experiment, [*seeds], folder, command.jobs)
    if command.publish:
        from merf.lab.bases import build_first
        from merf.report.published import Publication

        models = [experiment.options(arm, 0).model for arm in experiment.arms]
        again = build_first(models) + as_typed(command)
        cards, name = cards_of(experiment), command.name or path.stem
        Publication(name, experiment.title, experiment.question, again, arms, cards, experiment.headline).write(
            command.publish
        )
        print(f"results: {command.publish / name}.md, .svg and .json")


def as_typed(command: Command) -> str:
    """The command line that makes the same results again, wherever its runs were kept."""
    words = ["merf", "compare", command.experiment, "--seeds", str(command.seeds)]
    if command.first_seed:
        words += ["--first-seed", str(command.first_seed)]
    if command.arms:
        words += ["--arms", *command.arms]
    words += ["--publish", str(command.publish)]
    if command.name:
        words += ["--name", command.name]
    return shlex.join(words)


def cards_of(experiment: Experiment) -> dict[str, Any]:
    """The competence cards of the experiment's base models."""
    from merf.lab.bases import resolve

    models = {experiment.options(arm, 0).model for arm in experiment.arms}
    files = {model: Path(resolve(model)) / "card.json" for model in sorted(models)}
    return {model: json.loads(file.read_text()) for model, file in files.items() if file.exists()}


def compare(
    experiment: Experiment, seeds: Sequence[int], folder: Path, at_once: int
) -> tuple[Sequence[ArmRecord], Path]:
    """Run what is missing, print the table, write the report; returns what was run and the report's path."""
    from rich.console import Console
    from rich.table import Table

    from merf.cli.live import Watcher
    from merf.lab.experiment import jobs_of, run
    from merf.report.page import write_report
    from merf.report.runs import ArmRecord, RunRecord, headline, table

    console = Console()
    jobs = jobs_of(experiment, seeds, folder)
    if all(job.done for job in jobs):
        console.print(f"all {len(jobs)} runs are already done in {folder} (remove the folder to run them again)")
    else:
        with Watcher(experiment.title, jobs, console) as watcher:
            failed = run(jobs, at_once, watcher)
        for job in failed:
            reason = job.status.get("reason") or "see its log.txt"
            console.print(f"[bold red]failed:[/] {job.folder}: {reason}")
        if failed:
            raise RuntimeError(f"{len(failed)} of {len(jobs)} runs failed; run the same command again to retry them")

    arms = [
        ArmRecord(arm.name, [RunRecord(j.folder) for j in jobs if j.arm == arm], arm.against) for arm in experiment.arms
    ]
    header, rows = table(arms)
    few = len(rows) <= 4  # a few arms stand side by side, many one below the other
    lines = list(zip(header, *rows, strict=True)) if few else [tuple(header), *map(tuple, rows)]
    shown = Table(title=experiment.title, title_justify="left", title_style="bold", header_style="bold")
    for i, column in enumerate(lines[0]):
        shown.add_column(column, justify="left" if i == 0 else "right")
    for line in lines[1:]:
        shown.add_row(*line)
    console.print()
    console.print(shown)
    console.print(headline(arms))
    report = folder / "report.html"
    write_report(report, experiment.title, experiment.question, arms)
    console.print(f"\nreport: [bold]{report.resolve()}[/]  (open it in a browser)")
    return arms, report
