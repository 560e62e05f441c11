"""`merf score`: a file of completions, scored by a rulebook."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from merf.rules.score_file import Job, Tally

SET_ASIDE = 3
"""Exit status when everything is done but for lines that could not be read."""


@dataclass(frozen=True)
class Command:
    """Score a file of completions, of any size, with a rulebook.

    The input has one JSON object per line, with a completion and what its judging needs; the output has a line for
    each of them, in order. Lines that can't be scored are kept aside in OUTPUT.bad.jsonl (exit status 3). A run that
    was stopped or killed goes on where it was when the same command is given again.
    """

    rulebook: str
    """A .toml file, or package.module:name for one written in Python (whose module is run)."""
    input: Path
    """A .jsonl file."""
    output: Path
    """The .jsonl file to write."""
    task: str = ""
    """How answers are judged: a task's name (`merf tasks`), or exact, math, choice, … Without it, math-verify where the
    answers look like mathematics, else the same text."""
    layout: str = ""
    """How responses are laid out (think-answer, boxed, final-line, plain, …). Without it, as the rulebook's
    Format says, or as the completions are."""
    columns: tuple[str, ...] = ()
    """FIELD=COLUMN for columns that aren't recognised: completion, prompt, answer, group, tokens, finished, …"""
    workers: int | None = None
    """Processes that score at the same time. Default: one per core."""
    seconds: float = 10.0
    """Time limit of the rules for one response."""
    memory: int = 1024
    """MiB that the rules may use for one response."""
    max_failed: float = 0.05
    """Share of responses that can't be judged (verifier failed, limit exceeded) above which the run stops."""
    alone: bool = False
    """Score every line by itself, whatever group it is in."""
    batch: int = 1
    """Groups that make a batch, for rules that compare the questions of a batch."""
    progress: float = 0.0
    """Where in training, from 0 to 1, for rules that change over training."""
    keep: bool = False
    """Copy the columns of the input into the output, as `row`."""
    overwrite: bool = False
    """Delete the output and what is left of earlier runs, and start anew."""
    trust_code: bool = False
    """Import the Python functions that a .toml file names."""


def main(arguments: Sequence[str]) -> None:
    """Entry point of `merf score`."""
    command = tyro.cli(Command, args=list(arguments), prog="merf score")
    from merf.core.layout import layout_named
    from merf.rules.rulebook import Rulebook
    from merf.rules.score_file import prepared

    job = prepared(
        Rulebook.load(command.rulebook, command.trust_code),
        command.input,
        command.output,
        task=command.task,
        layout=layout_named(command.layout) if command.layout else None,
        columns=columns_of(command.columns),
        seconds=command.seconds,
        memory=command.memory << 20,
        workers=command.workers,
        groups=command.batch,
        alone=command.alone,
        progress=command.progress,
        max_failed=command.max_failed,
        keep=command.keep,
    )
    if command.overwrite:
        job.discard()
    print(job.reading, file=sys.stderr)
    tally = run(job)
    report(job, tally)
    if tally.bad:
        raise SystemExit(SET_ASIDE)


def columns_of(texts: Sequence[str]) -> dict[str, str]:
    """`FIELD=COLUMN` pairs."""
    columns = dict(text.partition("=")[::2] for text in texts)
    for field, column in columns.items():
        if not column:
            raise ValueError(f"--columns {field}: expected FIELD=COLUMN, such as completion=response")
    return columns


def run(job: Job) -> Tally:
    """Run the job under a progress bar, which shows only at a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("scoring", total=job.source.stat().st_size, said="")

        def told(offset: int, tally: Tally) -> None:
            said = f"{tally.lines:,} scored" + (f", {tally.failed:,} failed" if tally.failed else "")
            bar.update(shown, completed=offset, said=said + (f", {tally.bad:,} set aside" if tally.bad else ""))

        return job.run(told)


def report(job: Job, tally: Tally) -> None:
    """What was paid, what couldn't be, and where everything is."""
    header = ("part", "mean", "lowest", "highest", "not applicable")
    rows = []
    for name, part in tally.parts.items():
        paid = (f"{value:.4g}" if part.count else "" for value in (part.mean, part.lowest, part.highest))
        rows.append((name, *paid, str(tally.lines - part.count)))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Column, Table

        table = Table("part", *(Column(name, justify="right") for name in header[1:]))
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    else:
        print("\n".join("\t".join(row) for row in (header, *rows)))
    print(f"{tally.lines} responses scored: {job.target}")
    if tally.failed:
        why = "; ".join(f"{count} × {reason}" for reason, count in list(tally.reasons.items())[:3])
        print(f"{tally.failed} of them could not be judged and got no score: {why}")
    for warning in tally.warnings:
        print(f"warning: {warning}")
    if tally.bad:
        listed = "; ".join(f"line {line}: {reason}" for line, reason in tally.examples)
        print(f"{tally.bad} lines were set aside in {job.aside} ({listed}{'; …' if tally.bad > 5 else ''})")
