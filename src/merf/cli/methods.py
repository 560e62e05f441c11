"""`merf methods`: published methods, and what became of their claims."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import tyro


@dataclass(frozen=True)
class List:
    """List the methods: name, paper, the seams they touch, the idea in a line, and what became of their claims."""


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

    from merf.methods.registry import load_all, measured

    table = Table("method", "paper", "seams", "idea", "claims", box=None, header_style="bold", pad_edge=False)
    findings = measured()
    for found in load_all().values():
        outcomes = Counter(
            findings[name]["outcome"] if name in findings else "not measured" for name in found.claim_names
        )
        claims = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items())
        table.add_row(found.name, found.paper, ", ".join(sorted(found.seams)), found.idea, claims or "none")
    console = Console()
    console.print(table)
    console.print("\n`merf methods show NAME` explains one; `merf train --method NAME[,NAME…]` trains with them.")


def show(name: str) -> None:
    from rich.console import Console

    from merf.methods.registry import get, measured

    found, findings = get(name), measured()
    console = Console(highlight=False, markup=False)
    console.print(f"{found.name}  ({found.paper}; {', '.join(sorted(found.seams))})\n")
    console.print(found.docs)
    if found.parameters:
        console.print("\nparameters")
        for parameter in found.parameters.values():
            console.print(f"  {parameter.name}={parameter.default}")
    for key, claim in zip(found.claim_names, found.claims, strict=True):
        console.print(f"\nclaim {key}: {claim.says}")
        console.print(f"  in {claim.world}, {claim.metric}: {' against '.join(reversed(claim.arms))}, {claim.expect}")
        finding = findings.get(key, {"outcome": "not measured", "difference": None, "seeds": []})
        numbers = ""
        if finding["difference"]:
            mean, low, high = finding["difference"]
            numbers = f", {mean:+.2f} [{low:+.2f}, {high:+.2f}], {len(finding['seeds'])} seeds"
        console.print(f"  {finding['outcome']}{numbers}")
