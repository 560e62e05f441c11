"""`merf audit`: attack a rulebook before a policy does."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from merf.audit import Audit, audit
from merf.audit.suite import PROBLEMS, THRESHOLD, between, show
from merf.cli.describe import knights_and_knaves
from merf.cli.tasks import options_of
from merf.rules.rulebook import Rulebook
from merf.tasks import get

if TYPE_CHECKING:
    from rich.table import Table


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="merf audit",
        description="Play policies that know nothing against a rulebook, change right responses in ways that must not "
        "pay, and compare what the description promises with what is paid.",
        epilog="Ends with status 1 if there is a hole (or nothing could be audited), and with 0 if there is none.",
    )
    parser.add_argument(
        "rulebook",
        nargs="?",
        help="a .toml file, or package.module:name for one written in Python (whose module is run); "
        "without it the Knights & Knaves rulebook of the paper is audited",
    )
    parser.add_argument("--task", default="knights-knaves", help="whose problems to play on (knights-knaves)")
    parser.add_argument(
        "--set", dest="options", action="append", default=[], metavar="OPTION=VALUE", help="an option of the task"
    )
    parser.add_argument("-n", "--problems", type=int, default=PROBLEMS, help=f"how many problems ({PROBLEMS})")
    parser.add_argument("--seed", type=int, default=0, help="of the problems (0)")
    parser.add_argument(
        "--threshold",
        type=float,
        default=THRESHOLD,
        metavar="X",
        help=f"by what share of the reachable range a policy may exceed its limit ({THRESHOLD})",
    )
    parser.add_argument(
        "--told", type=Path, metavar="FILE", help="the prompt the model is given, if it isn't the description"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to a file as JSON")
    parser.add_argument("--trust-code", action="store_true", help="import the Python functions that a .toml file names")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Entry point of `merf audit`."""
    asked = parse(arguments)
    book = Rulebook.load(asked.rulebook, asked.trust_code) if asked.rulebook else knights_and_knaves()
    found = audit(
        book,
        get(asked.task, **options_of(asked.options)),
        problems=asked.problems,
        seed=asked.seed,
        threshold=asked.threshold,
        told=asked.told.read_text(encoding="utf-8") if asked.told else None,
        track=progress,
    )
    if asked.json:
        asked.json.write_text(json.dumps(finite(found.as_dict()), indent=1) + "\n", encoding="utf-8")
    report(found)
    if not found.passed:
        raise SystemExit(1)


def progress(items: Sequence[Any], doing: str) -> Iterable[Any]:
    """A bar with the time left, on the error channel and only for people."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, doing, console=console, transient=True, disable=not console.is_terminal)


def finite(value: Any) -> Any:
    """The value with null for numbers that JSON doesn't have."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shortened(text: str, most: int = 160) -> str:
    """The text on one line, its middle left out where it is long."""
    line = " ".join(text.split()) if text.strip() else repr(text)
    return line if len(line) <= most else f"{line[: most // 2]} … {line[-most // 2 :]}"


def report(found: Audit) -> None:
    """The findings as tables; the holes come last, where they are seen."""
    from rich.console import Console
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=150)
    console.print(policies_table(found))
    console.print(promises_table(found))
    for note in found.notes:
        console.print(Text(f"note: {note}", style="dim"))
    for hole in found.holes:
        console.print(Text.assemble((f"hole: {hole.name}. ", "bold red"), hole.about))
        if hole.example:
            console.print(Text(f"      {shortened(hole.example)}", style="dim"))
    count = len(found.holes)
    verdict = ("no holes found", "bold green") if found.passed else (f"{count} hole{'s' * (count > 1)}", "bold red")
    console.print(Text.assemble(verdict, f" on {found.problems} problems of {found.task}"))


def policies_table(found: Audit) -> Table:
    from rich.table import Table
    from rich.text import Text

    scale = found.scale
    table = Table(title="What is paid for knowing nothing, and for changing nothing that matters", title_justify="left")
    for column in ("", "mean", "may earn", "of the range"):
        table.add_column(column, justify="left" if column == "" else "right", no_wrap=True)
    table.add_column("")
    table.add_row("a right answer", show(scale.right), "", f"{scale.share(scale.right):.0%}", style="cyan")
    table.add_row("an honest wrong answer", show(scale.wrong), "", f"{scale.share(scale.wrong):.0%}", style="cyan")
    for row, following in zip(found.rows, [*found.rows[1:], None], strict=True):
        table.add_row(
            row.name,
            show(row.mean),
            show(row.limit),
            f"{row.share:.0%}",
            Text("ok", style="green") if row.passed else Text("HOLE", style="bold red"),
            end_section=following is not None and following.offers != row.offers,
        )
    return table


def promises_table(found: Audit) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="What is promised and what is paid", title_justify="left")
    table.add_column("where")
    table.add_column("promised", justify="right")
    table.add_column("paid", justify="right")
    table.add_column("")
    for outcome in found.outcomes:
        table.add_row(
            Text("\n".join(level for _, level in outcome.levels) or "any response"),
            "nothing said" if outcome.promised is None else between(outcome.promised),
            between(outcome.paid),
            Text("ok", style="green") if outcome.kept else Text("-", style="yellow"),
            end_section=True,
        )
    return table
