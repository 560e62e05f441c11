"""`merf describe`: a rulebook as a model reads it, in every style, and what it can pay."""

from __future__ import annotations

import argparse
import sys

from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.rulebook import Rulebook
from merf.rules.wording import STYLES, capital, plain, signed


def knights_and_knaves() -> Rulebook:
    """The reward of Logic-RL and MeRF, shown where no file is named."""
    return Rulebook(Correct(right=2.0, wrong=-1.5, unreadable=-2.0), Format(good=1.0, bad=-1.0))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="merf describe",
        description="Print a rulebook as a model reads it, in every style, and the range of what it pays.",
    )
    parser.add_argument(
        "rulebook",
        nargs="?",
        help="a .toml file, or package.module:name for one written in Python (whose module is run); "
        "without it the Knights & Knaves rulebook of the paper is shown",
    )
    parser.add_argument("--style", choices=STYLES, help="only this style")
    parser.add_argument("--wording", type=int, default=0, metavar="N", help="which paraphrase (0, 1, 2, …)")
    parser.add_argument("--inverted", action="store_true", help="with every score's sign flipped")
    parser.add_argument("--python", action="store_true", help="print it as a Python expression instead")
    parser.add_argument("--trust-code", action="store_true", help="import the Python functions that a .toml file names")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Entry point of `merf describe`."""
    asked = parse(arguments)
    book = Rulebook.load(asked.rulebook, asked.trust_code) if asked.rulebook else knights_and_knaves()
    book = book.inverted() if asked.inverted else book
    if asked.python:
        print(book.as_python())
        return
    styles = [style for style in STYLES if asked.style in (None, style)]
    texts: dict[str, str] = {style: book.describe(style, asked.wording) for style in styles}
    rows = [(part.name, *map(signed, part.range), part.describe("terse", asked.wording)) for part in book]
    low, high = book.range
    total = f"A response is paid from {plain(low)} to {plain(high)}."
    if not book.told:
        total += " This rulebook is silent: the model is told nothing."
    if sys.stdout.isatty():
        show(texts, rows, total)
    else:
        for style, text in texts.items():
            print(f"# {style}\n{text}\n")
        print("\n".join([total, "", "part\tlowest\thighest\tin short", *map("\t".join, rows)]))


def show(texts: dict[str, str], rows: list[tuple[str, ...]], total: str) -> None:
    """The same in colours and boxes, for a person at a terminal."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for style, text in texts.items():
        console.print(Panel(Text(text or "(nothing)"), title=capital(style), title_align="left", border_style="cyan"))
    table = Table(title=total, title_justify="left", title_style="bold")
    table.add_column("part", style="bold")
    table.add_column("lowest", justify="right")
    table.add_column("highest", justify="right")
    table.add_column("in short")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
