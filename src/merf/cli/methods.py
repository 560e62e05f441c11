"""`merf methods`: published methods, and what became of their claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class List:
    """List the methods: name, paper, the seams they touch, and the idea in a line."""


@dataclass(frozen=True)
class Show:
    """Explain one method: its source, formula, parameters and claims."""

    name: Annotated[str, tyro.conf.Positional]


Command = Annotated[List, tyro.conf.subcommand("list")] | Annotated[Show, tyro.conf.subcommand("show")]


def main(arguments: list[str]) -> None:
    match tyro.cli(Command, args=arguments or ["list"], prog="merf methods"):
        case List():
            listing()
        case Show(name):
            show(name)


def listing() -> None:
    from rich.console import Console
    from rich.table import Table

    from merf.methods.registry import load_all

    table = Table("method", "paper", "seams", "idea", box=None, header_style="bold", pad_edge=False)
    for found in load_all().values():
        table.add_row(found.name, found.paper, ", ".join(sorted(found.seams)), found.idea)
    console = Console()
    console.print(table)
    console.print("\n`merf methods show NAME` explains one; `merf train --method NAME[,NAME…]` trains with them.")


def show(name: str) -> None:
    from rich.console import Console

    from merf.methods.registry import get

    found = get(name)
    console = Console(highlight=False, markup=False)
    console.print(f"{found.name}  ({found.paper}; {', '.join(sorted(found.seams))})\n")
    console.print(found.docs)
    if found.parameters:
        console.print("\nparameters")
        for parameter in found.parameters.values():
            console.print(f"  {parameter.name}={parameter.default}")
    for claim in found.claims:
        console.print(f"\nclaim: {claim.says}")
        console.print(f"  in {claim.world}, {claim.metric}: {' against '.join(reversed(claim.arms))}, {claim.expect}")
