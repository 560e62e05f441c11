"""`merf lab`: the lab's base models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.progress import Progress

    from merf.lab.build import Base, Report


@dataclass(frozen=True)
class Build:
    """Pretrain base models from scratch: a trunk, then a branch per base, each with its competence card.

    Says first how long it will take. What is built already, and would come out the same, isn't built again. The two
    bases that ship with merf take about 80 minutes on two cores, those of the other worlds less than 20 each."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ("knights", "knights-unread")
    """Which bases (see `merf lab list`), or TOML files with mixtures of your own."""
    out: Path | None = None
    """Folder for the bases. Default: the user's cache, where `lab:NAME` finds them."""
    threads: int = 2
    device: str = "cpu"
    fresh: bool = False
    """Build the bases and their trunks anew even if nothing has changed."""
    estimate: bool = False
    """Only say how long it would take."""


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
    """Print documents of a base's corpus: `merf lab show arithmetic -n 5`, or of a mixture of your own."""

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

    from merf.lab.bases import cache, resolve
    from merf.lab.build import (
        base_mark,
        base_named,
        build_base,
        build_trunk,
        fresh,
        tokenizer_for,
        trunk_folder,
        trunk_mark,
    )
    from merf.lab.estimate import estimate
    from merf.policy.load import load_tokenizer

    torch.set_num_threads(command.threads)
    transformers.utils.logging.disable_progress_bar()
    room = command.out or cache() / "bases"
    bases = [base_named(name) for name in command.names]
    todo: list[Base] = []

    def parent_of(base: Base) -> Path | None:
        """The folder of the base that this one continues from; one that is nowhere is an error now, not in an hour."""
        if not base.parent:
            return None
        at_hand = (room / base.parent / "config.json").exists()
        coming = base.parent in {one.name for one in todo}
        return room / base.parent if at_hand or coming else Path(resolve(f"lab:{base.parent}"))

    for base in bases:
        parent = parent_of(base)
        awaited = base.parent in {one.name for one in todo}
        if command.fresh or awaited or not fresh(room / base.name, base_mark(base, parent)):
            todo.append(base)
        else:
            print(f"{base.name} is built, and nothing that it is made from has changed: {room / base.name}")
    trunks: dict[Path, Base] = {}
    for base in todo:
        folder = trunk_folder(base)
        if not base.parent and (command.fresh or not fresh(folder, trunk_mark(base), unstamped=True)):
            trunks.setdefault(folder, base)
    if not todo:
        return

    tokenizers, seconds = {}, 0.0
    for base in todo:
        folder = trunk_folder(base)
        if folder not in tokenizers:
            source = folder if not base.parent else parent_of(base)
            ready = source is not None and folder not in trunks and (source / "config.json").exists()
            tokenizers[folder] = load_tokenizer(source) if ready and source else tokenizer_for(base)
        found = estimate(base, tokenizers[folder], trunks.get(folder) is base, command.device)
        seconds += found.total
        print(f"{base.name}: {found}")
    if len(todo) > 1:
        print(f"all together: about {seconds / 60:.0f} minutes")
    if command.estimate:
        return

    started, cards = time.perf_counter(), {}
    with bars_of(todo, list(trunks.values())) as (progress, report):
        for base in todo:
            folder = trunk_folder(base)
            if trunks.get(folder) is base:
                build_trunk(base, folder, report, command.device, tokenizers[folder])
            start = parent_of(base) or folder
            cards[base.name] = build_base(base, start, room / base.name, report, command.device)
            progress.refresh()
    for name, measured in cards.items():
        print_card(name, measured)
    print(f"built {', '.join(cards)} in {room}, {(time.perf_counter() - started) / 60:.0f} minutes")


@contextmanager
def bars_of(todo: Sequence[Base], trunks: Sequence[Base]) -> Iterator[tuple[Progress, Report]]:
    """A progress bar for every trunk, mixture and card to come, and the report that moves them."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from merf.lab.build import card_of, steps_of
    from merf.lab.card import parts
    from merf.lab.worlds import get

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bars = {}
        for base in todo:
            if base in trunks:
                bars[f"{base.name}: trunk"] = steps_of(base.trunk)
            bars[base.name] = base.stage.steps
            bars[card_of(base)] = parts(get(base.dials.world))
        ids = {name: progress.add_task(name, total=total, loss="", start=False) for name, total in bars.items()}

        def report(stage: str, step: int, steps: int, loss: float) -> None:
            if step == 1:
                progress.start_task(ids[stage])
            progress.update(ids[stage], completed=step, loss="" if loss != loss else f"loss {loss:.3f}")

        yield progress, report


def listing() -> None:
    from rich.console import Console
    from rich.table import Table

    from merf.lab.bases import available
    from merf.lab.build import known

    at_hand = available()
    table = Table("base", "about", "at hand", box=None, header_style="bold")
    for name, base in known().items():
        table.add_row(f"lab:{name}", base.about, "yes" if name in at_hand else f"merf lab build {name}")
    for name in sorted(set(at_hand) - set(known())):
        table.add_row(f"lab:{name}", "from a mixture of your own", "yes")
    Console().print(table)


def card(command: Card) -> None:
    from merf.lab import card as cards
    from merf.lab.bases import resolve, world_of
    from merf.lab.worlds import get

    folder = Path(resolve(f"lab:{command.name}"))
    if command.measure or not (folder / "card.json").exists():
        import torch

        from merf.policy.policy import Policy

        torch.set_num_threads(1)
        found = cards.measure(Policy.load(folder), get(world_of(command.name)))
    else:
        found = cards.Card.load(folder / "card.json")
    print_card(command.name, found)


def print_card(name: str, found: object) -> None:
    """A card as tables."""
    from rich.console import Console
    from rich.table import Table

    from merf.lab.card import WORTH_IT
    from merf.lab.card import Card as Measured

    assert isinstance(found, Measured)
    console, what = Console(), f"difficulty {found.level}"
    console.print(f"\n[bold]Competence card of lab:{name}[/] ({found.samples} responses per cell)")
    levels = list(found.accuracy[found.main])
    table = Table("accuracy by difficulty", *levels, box=None, header_style="bold")
    for style, cells in found.accuracy.items():
        table.add_row(style, *(f"{cells[level]:.2f}" for level in levels))
    console.print(table)
    table = Table(f"told ({what})", "accuracy", "works", "layout kept", box=None, header_style="bold")
    for variant, told in found.told.items():
        table.add_row(variant, f"{told['accuracy']:.2f}", f"{told['works']:.1%}", f"{told['formatted']:.2f}")
    console.print(table)
    table = Table("reaches a rule's best level", "told", "untold", box=None, header_style="bold")
    for rule, both in found.obedience.items():
        table.add_row(rule, f"{both['told']:.2f}", f"{both['untold']:.2f}")
    console.print(table)
    if found.kinds:
        table = Table("right when given", *found.kinds, box=None, header_style="bold")
        table.add_row(what, *(f"{value:.2f}" for value in found.kinds.values()))
        console.print(table)
    if found.pass_at:
        table = Table("pass@", *found.pass_at, box=None, header_style="bold")
        table.add_row(f"untold, {what}", *(f"{value:.2f}" for value in found.pass_at.values()))
        console.print(table)
    for level, gap in found.pays.items():
        verdict = "pays" if gap >= WORTH_IT else "does not pay enough: don't experiment here"
        console.print(f"difficulty {level}: working beats guessing by {gap:+.2f}; it {verdict}")


def show(command: Show) -> None:
    from rich.console import Console

    from merf.lab.build import base_named
    from merf.lab.corpus import document
    from merf.lab.fingerprint import SEED

    dials = base_named(command.name).dials
    console = Console(highlight=False, markup=False)
    for index in range(command.n):
        doc = document(index, SEED, dials)
        for message in doc.prompt:
            console.print(f"[{message['role']}] {message['content']}")
        for response in dict.fromkeys(doc.responses):
            console.print(f"  {doc.responses.count(response)} × {json.dumps(response)}")
        console.print()
