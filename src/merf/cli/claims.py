"""`merf claims`: measure what methods are said to achieve."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

if TYPE_CHECKING:
    from merf.lab.claims import Case

FOLDER = Path("runs/claims")
TUNING = 1000
"""Seeds from here upwards are for tuning and never reported."""


@dataclass(frozen=True)
class Run:
    """Train the arms of these claims with several seeds, as many runs at a time as there are cores. Runs that are done
    are kept, interrupted ones go on where they stopped."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Methods (all their claims) or single claims such as merf-1. Default: all."""
    seeds: int = 5
    """How many seeds per arm, counted from 0; those from 1000 upwards are for tuning and never reported."""
    jobs: int = field(default_factory=lambda: max(os.cpu_count() or 1, 1))
    out: Path = FOLDER


@dataclass(frozen=True)
class Report:
    """Judge the claims from the runs at hand; writes claims.md, claims.svg and claims.json, and beside the runs
    claims.html with all learning curves."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    runs: Path = FOLDER
    out: Path = Path("docs")


@dataclass(frozen=True)
class List:
    """List all claims."""


Command = (
    Annotated[Run, tyro.conf.subcommand("run")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[List, tyro.conf.subcommand("list")]
)


def main(arguments: Sequence[str]) -> None:
    match tyro.cli(Command, args=list(arguments), prog="merf claims"):
        case Run() as command:
            run(command)
        case Report() as command:
            report(command)
        case List():
            for case in chosen(()):
                print(f"{case.name:<18} {case.claim.says} [{' against '.join(reversed(case.claim.arms))}]")


def chosen(names: Sequence[str]) -> list[Case]:
    """The claims that are named; all of them if none is."""
    import difflib

    from merf.lab.claims import cases_of
    from merf.methods.registry import load_all

    cases = cases_of(load_all().values())
    known = {case.name for case in cases} | {case.method.name for case in cases}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "`merf claims list` shows them"
            raise ValueError(f"there is no claim or method with claims called {name!r}: {hint}")
    return [case for case in cases if not names or case.name in names or case.method.name in names]


def run(command: Run) -> None:
    from rich.console import Console

    from merf.cli.lab import print_card
    from merf.cli.live import Watcher
    from merf.lab.bases import require, resolve
    from merf.lab.card import Card
    from merf.lab.claims import base_of, experiment_of, worlds_of
    from merf.lab.experiment import jobs_of
    from merf.lab.experiment import run as run_jobs

    if command.seeds > TUNING:
        raise ValueError(f"seeds from {TUNING} upwards are for tuning: report fewer")
    cases, console = chosen(command.names), Console()
    failed = []
    experiments = {world: experiment_of(world, cases) for world in worlds_of(cases)}
    require(one.options(arm, 0).model for one in experiments.values() for arm in one.arms)
    for world, experiment in experiments.items():
        base = base_of(experiment)
        print_card(base.removeprefix("lab:"), Card.load(Path(resolve(base)) / "card.json"))
        jobs = jobs_of(experiment, range(command.seeds), command.out / world)
        with Watcher(f"claims in {world}", jobs, console) as watcher:
            failed += run_jobs(jobs, command.jobs, watcher)
    for job in failed:
        console.print(f"[bold red]failed:[/] {job.folder}: {job.status.get('reason') or 'see its log.txt'}")
    if failed:
        raise RuntimeError(f"{len(failed)} runs failed; run the same command again to retry them")
    console.print("done; `merf claims report` judges them")


def report(command: Report) -> None:
    from merf.lab.bases import build_first
    from merf.lab.claims import as_numbers, base_of, experiment_of, measure, pays, worlds_of
    from merf.lab.experiment import jobs_of, seeds_in
    from merf.report.forest import write_findings, write_page
    from merf.report.runs import ArmRecord, RunRecord

    cases = chosen(command.names)
    findings = {}
    arms: dict[str, list[ArmRecord]] = {}
    worlds: dict[str, list[ArmRecord]] = {}
    models: dict[str, None] = {}
    steps: set[int] = set()
    for world in worlds_of(cases):
        experiment = experiment_of(world, cases)
        runs: dict[str, dict[int, RunRecord]] = {arm.name: {} for arm in experiment.arms}
        for job in jobs_of(experiment, seeds_in(command.runs / world), command.runs / world):
            if job.done and job.seed < TUNING:  # of runs with other options than the claim's nothing is read
                runs[job.arm.name][job.seed] = RunRecord(job.folder)
        records = {name: ArmRecord(name, list(found.values())) for name, found in runs.items()}
        worlds[world] = trained = [one for one in records.values() if one.runs]
        models.update((experiment.options(arm, 0).model, None) for arm in experiment.arms)
        steps |= {one.runs[0].config["steps"] for one in trained}
        worth = pays(base_of(experiment)) if trained else float("nan")
        for case in cases:
            if case.claim.world == world:
                findings[case.name] = as_numbers(measure(case, runs, worth))
                arms[case.name] = [records[name] for name in case.arms]
    setting = (
        "A world is a base model, with the runs that `src/merf/lab/claims.toml` describes, or an experiment of that "
        f"name in `src/merf/lab/experiments/`. Runs of {', '.join(map(str, sorted(steps))) or 'no'} steps."
    )
    again = build_first(models) + "\n".join([*made_by(cases, findings), "merf claims report"])
    ordered = [findings[case.name] for case in cases]
    write_findings(command.out, ordered, worlds, again, setting)
    write_page(command.runs / "claims.html", ordered, arms, again, setting)
    counts: dict[str, int] = {}
    for one in findings.values():
        counts[one["outcome"]] = counts.get(one["outcome"], 0) + 1
    print(f"curves: {command.runs / 'claims.html'}")
    print(f"{command.out / 'claims.md'}: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items()))


def made_by(cases: Sequence[Case], findings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Commands that make the runs behind findings: one for the fewest seeds, then one for all that have more, and so
    on. A method stands for all its claims."""
    measured = {name: one for name, one in findings.items() if one["outcome"] != "not measured"}
    seeds = {case.name: max(measured[case.name]["seeds"]) + 1 if case.name in measured else 0 for case in cases}
    lines: list[str] = []
    for most in sorted(set(seeds.values()) - {0}):
        words = ["merf", "claims", "run"]
        if lines:
            by_method: dict[str, list[str]] = {}
            for case in cases:
                by_method.setdefault(case.method.name, []).append(case.name)
            for method, names in by_method.items():
                some = [name for name in names if seeds[name] >= most]
                words += [method] if some == names else some
        lines.append(shlex.join([*words, "--seeds", str(most)]))
    return lines
