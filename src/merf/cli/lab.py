"""`merf lab`: the lab's base models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Build:
    """Pretrain base models from scratch: a common trunk, then a branch per base, each with its competence card.

    Takes about 80 minutes on two cores for the two bases that ship with merf. An existing trunk is reused."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ("knights", "knights-unread")
    """Which bases (see `merf lab list`)."""
    out: Path | None = None
    """Folder for the bases. Default: the user's cache, where `lab:NAME` finds them."""
    threads: int = 2
    device: str = "cpu"
    fresh: bool = False
    """Build the trunk anew even if there is one."""


@dataclass(frozen=True)
class Card:
    """Print a base's competence card: accuracy with and without work, and what it does when told."""

    name: Annotated[str, tyro.conf.Positional] = "knights"
    measure: bool = False
    """Measure anew instead of printing the stored card."""


@dataclass(frozen=True)
class List:
    """List the bases that can be built, and which are at hand."""


@dataclass(frozen=True)
class Show:
    """Print documents of a base's corpus."""

    name: Annotated[str, tyro.conf.Positional] = "knights"
    n: Annotated[int, tyro.conf.arg(aliases=("-n",))] = 3


Command = (
    Annotated[Build, tyro.conf.subcommand("build")]
    | Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Card, tyro.conf.subcommand("card")]
    | Annotated[Show, tyro.conf.subcommand("show")]
)


def main(arguments: list[str]) -> None:
    command = tyro.cli(Command, args=arguments, prog="merf lab")
    match command:
        case Build():
            build(command)
        case List():
            listing()
        case Card():
            card(command)
        case Show():
            show(command)


def build(command: Build) -> None:
    import time

    import torch
    import transformers
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from merf.lab.bases import cache, resolve
    from merf.lab.build import BASES, build_base, build_trunk, trunk_folder, trunk_steps

    unknown = [name for name in command.names if name not in BASES]
    if unknown:
        raise ValueError(f"there is no base {unknown[0]!r}; `merf lab list` shows them")
    for name in command.names:
        parent = BASES[name].parent
        if parent and parent not in command.names:
            resolve(f"lab:{parent}")  # an unknown one is an error now, not in an hour
    torch.set_num_threads(command.threads)
    transformers.utils.logging.disable_progress_bar()
    room = command.out or cache() / "bases"
    trunk = trunk_folder()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    started = time.perf_counter()
    with Progress(*columns) as progress:
        bars = {}
        from_trunk = any(not BASES[name].parent for name in command.names)
        if from_trunk and (command.fresh or not (trunk / "config.json").exists()):
            bars["trunk"] = progress.add_task("trunk", total=trunk_steps(), loss=float("nan"))
        for name in command.names:
            bars[name] = progress.add_task(name, total=BASES[name].stage.steps, loss=float("nan"), start=False)

        def report(stage: str, step: int, steps: int, loss: float) -> None:
            if step == 1:
                progress.start_task(bars[stage])
            progress.update(bars[stage], completed=step, loss=loss)

        if "trunk" in bars:
            build_trunk(trunk, report, device=command.device)
        cards = {}
        for name in command.names:
            base = BASES[name]
            start = trunk if not base.parent else room / base.parent
            if base.parent and not (start / "config.json").exists():
                start = Path(resolve(f"lab:{base.parent}"))
            cards[name] = build_base(base, start, room / name, report, command.device)
    for name, found in cards.items():
        print_card(name, found)
    print(f"built {', '.join(command.names)} in {room}, {(time.perf_counter() - started) / 60:.0f} minutes")


def listing() -> None:
    from rich.console import Console
    from rich.table import Table

    from merf.lab.bases import available
    from merf.lab.build import BASES

    at_hand = available()
    table = Table("base", "about", "at hand", box=None, header_style="bold")
    for name, base in BASES.items():
        table.add_row(f"lab:{name}", base.about, "yes" if name in at_hand else f"merf lab build {name}")
    Console().print(table)


def card(command: Card) -> None:
    from merf.lab import card as cards
    from merf.lab.bases import resolve

    folder = Path(resolve(f"lab:{command.name}"))
    if command.measure or not (folder / "card.json").exists():
        import torch

        from merf.policy.policy import Policy

        torch.set_num_threads(1)
        found = cards.measure(Policy.load(folder))
    else:
        found = cards.Card.load(folder / "card.json")
    print_card(command.name, found)


def print_card(name: str, found: object) -> None:
    """A card as tables."""
    from rich.console import Console
    from rich.table import Table

    from merf.lab.card import SIZES, WORTH_IT
    from merf.lab.card import Card as Measured

    assert isinstance(found, Measured)
    console = Console()
    console.print(f"\n[bold]Competence card of lab:{name}[/] ({found.samples} responses per cell)")
    table = Table("accuracy", *(f"{n} people" for n in SIZES), box=None, header_style="bold")
    for style, cells in found.accuracy.items():
        table.add_row(
            f"when it {style}s" if style == "work" else "when it guesses", *(f"{cells[str(n)]:.2f}" for n in SIZES)
        )
    console.print(table)
    table = Table("told (2 people)", "accuracy", "works", "layout kept", box=None, header_style="bold")
    for variant, told in found.told.items():
        table.add_row(variant, f"{told['accuracy']:.2f}", f"{told['works']:.1%}", f"{told['formatted']:.2f}")
    console.print(table)
    table = Table("reaches a rule's best level", "told", "untold", box=None, header_style="bold")
    for rule, both in found.obedience.items():
        table.add_row(rule, f"{both['told']:.2f}", f"{both['untold']:.2f}")
    console.print(table)
    for people, gap in found.pays.items():
        verdict = "pays" if gap >= WORTH_IT else "does not pay enough: don't experiment here"
        console.print(f"{people} people: working beats guessing by {gap:+.2f}; it {verdict}")


def show(command: Show) -> None:
    from rich.console import Console

    from merf.lab.build import BASES, SEED
    from merf.lab.corpus import document

    if command.name not in BASES:
        raise ValueError(f"there is no base {command.name!r}; `merf lab list` shows them")
    console = Console(highlight=False, markup=False)
    for index in range(command.n):
        doc = document(index, SEED, BASES[command.name].dials)
        for message in doc.prompt:
            console.print(f"[{message['role']}] {message['content']}")
        for response in dict.fromkeys(doc.responses):
            console.print(f"  {doc.responses.count(response)} × {json.dumps(response)}")
        console.print()
