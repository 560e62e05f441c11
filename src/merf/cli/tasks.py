"""`merf tasks`: what can be trained on, and what its problems look like."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from itertools import islice
from typing import Any

from merf.tasks import get, names


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="merf tasks",
        description="List the tasks, or show some problems of one with their answers.",
        epilog="merf tasks show countdown -n 3 --set numbers='[3, 5]'   merf tasks show gsm8k --set data=train.jsonl",
    )
    commands = parser.add_subparsers(dest="command", metavar="{list,show}")
    listing = commands.add_parser("list", help="list the tasks (also what `merf tasks` alone does)")
    listing.add_argument("--all", action="store_true", help="with a row for every dataset of reasoning-gym")
    showing = commands.add_parser("show", help="print problems of a task with their answers")
    showing.add_argument("name", help="a task's name")
    showing.add_argument("-n", "--number", type=int, default=3, help="how many problems (3)")
    showing.add_argument("--split", default="train", choices=("train", "test"))
    showing.add_argument("--seed", type=int, default=0)
    showing.add_argument(
        "--set", dest="options", action="append", default=[], metavar="OPTION=VALUE", help="an option of the task"
    )
    return parser.parse_args(["list", *arguments] if arguments in ([], ["--all"]) else arguments)


def main(arguments: list[str]) -> None:
    """Entry point of `merf tasks`."""
    asked = parse(arguments)
    if asked.command == "list":
        show_list(asked.all)
    else:
        show_problems(asked.name, options_of(asked.options), asked.number, asked.split, asked.seed)


def options_of(texts: Sequence[str]) -> dict[str, Any]:
    """`OPTION=VALUE` pairs, the values read as TOML and, where they aren't TOML, as plain text."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    options: dict[str, Any] = {}
    for text in texts:
        option, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text}: expected OPTION=VALUE")
        try:
            options[option] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options[option] = value
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def show_list(everything: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from merf.tasks.gallery import catalogue
    from merf.tasks.gym_table import FLAGS, flags

    entries = catalogue(gym=everything)
    if not sys.stdout.isatty():
        for entry in entries:
            cells = (entry.name, entry.facts.verifier, entry.facts.turns, entry.facts.partial, "; ".join(entry.dials))
            print("\t".join(cells))
        if not everything:
            print("\n".join(name for name in names() if name.startswith("rg:")))
        return
    console = Console()
    grid = Table(Column("task", no_wrap=True), "what it asks", "how it is judged", "difficulty dials", show_lines=True)
    for entry in entries:
        marks = "" if entry.facts.partial == "none" else f"\npart marks: {entry.facts.partial}"
        turns = "" if entry.facts.turns == "1" else f"\nturns: {entry.facts.turns}"
        judged = escape(f"{entry.facts.verifier}{marks}{turns}")
        grid.add_row(f"[bold]{entry.name}[/]", escape(entry.about), judged, escape("\n".join(entry.dials)))
    console.print(grid)
    if not everything:
        from rich.columns import Columns

        gym = [name for name in names() if name.startswith("rg:")]
        serious = [flag for flag in FLAGS if flag not in ("padding", "junk-marks")]
        shown = [f"{name}[red]*[/]" if set(flags(name.removeprefix("rg:"))) & set(serious) else name for name in gym]
        console.print(f"\n[bold]reasoning-gym[/], {len(gym)} datasets (`merf tasks list --all` for their dials):")
        console.print(Columns(shown, padding=(0, 2)))
        console.print("[red]*[/] the package's own scorer has a fault; `merf tasks show` names it")


def show_problems(name: str, options: dict[str, Any], number: int, split: str, seed: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.panel import Panel

    from merf.tasks.columns import text_of
    from merf.tasks.gallery import entry
    from merf.tasks.gym_table import FLAGS, flags

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        task = get(name, **options)
        problems = list(islice(task.problems(split, seed), number))
    console = Console()
    described = entry(task)
    console.print(f"[bold]{escape(task.name)}[/]: {escape(described.about)}")
    console.print(f"verifier: {described.facts.verifier}. Part marks: {described.facts.partial}.", highlight=False)
    for dial in described.dials:
        console.print(f"  {dial}", highlight=False, markup=False)
    for flag in flags(name.removeprefix("rg:")) if name.startswith("rg:") else ():
        console.print(f"[yellow]the package's scorer: {FLAGS[flag]}[/]")
    for warning in told:
        console.print(f"[yellow]{escape(str(warning.message))}[/]")
    for problem in problems:
        answer = problem.meta.get("solution")
        answer = problem.answer if answer is None else answer
        console.print(
            Panel(
                f"{escape(text_of(problem.prompt))}\n\n[bold]answer[/] {escape(str(answer))}",
                title=escape(problem.id),
                subtitle=f"difficulty {problem.meta.get('difficulty')}",
                title_align="left",
                subtitle_align="left",
            )
        )
    if not problems:
        console.print(f"there are no problems in the {split} split")
