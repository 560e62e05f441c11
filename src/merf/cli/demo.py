"""`merf demo`: the first thing to run."""

from __future__ import annotations

import os
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Command:
    """Train a small model on Knights & Knaves twice, side by side: once by plain reinforcement learning with
    verifiable rewards (RLVR), once with the scoring rules written into half of the prompts (MeRF). Takes a few
    minutes on two CPU cores; ends with a table and a report to open."""

    seed: int = 0
    out: Path = Path("runs/demo")
    fresh: bool = True
    """Train anew even if the folder already holds a finished demo."""
    browser: bool = False
    """Open the report in the web browser at the end."""


def main(arguments: list[str]) -> None:
    command = tyro.cli(Command, args=arguments, prog="merf demo")
    import shutil

    from merf.cli.compare import compare
    from merf.lab.experiment import SHIPPED, Experiment, jobs_of

    experiment = Experiment.load(SHIPPED / "demo.toml")
    if command.fresh and all(job.done for job in jobs_of(experiment, [command.seed], command.out)):
        shutil.rmtree(command.out)
    _, report = compare(experiment, [command.seed], command.out, min(os.cpu_count() or 1, len(experiment.arms)))
    print(f"another seed: merf demo --seed {command.seed + 1}; eighteen seeds of it: docs/results/merf-kk-18.md")
    if command.browser:
        webbrowser.open(report.resolve().as_uri())
