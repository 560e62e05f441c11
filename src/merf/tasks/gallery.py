"""The tables in `docs/tasks.md`, made from the tasks themselves.

    python -m merf.tasks.gallery [docs/tasks.md]

rewrites what stands between the markers and leaves the rest of the page alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merf.tasks import TASKS, get, load
from merf.tasks.data import Preset
from merf.tasks.extras import MissingExtra
from merf.tasks.facts import DescribedTask, Dial, Facts
from merf.tasks.gym_table import FLAGS, flags, table
from merf.tasks.procedural import span
from merf.tasks.textarena import TextArena


@dataclass(frozen=True)
class Entry:
    """A task in a list."""

    name: str
    about: str
    facts: Facts
    dials: tuple[str, ...]


def catalogue(gym: bool = True) -> list[Entry]:
    """Every task, with `gym` those of reasoning-gym too."""
    entries = []
    for name, home in TASKS.items():
        maker = load(home)
        if isinstance(maker, Preset):
            entries.append(Entry(name, maker.about, maker.facts, ("the data",)))
            continue
        try:
            entries.append(entry(maker()))
        except MissingExtra as missing:
            entries.append(Entry(name, str(missing), maker.facts, ()))  # type: ignore[attr-defined]
    about = "Any file, folder or hub dataset, with a verifier of choice."
    entries.append(Entry("data:PATH", about, Facts("by option", "by verifier"), ("the data",)))
    entries.append(entry_of_games())
    if gym:
        entries += [entry(get(f"rg:{name}")) for name in table()]
    return entries


def entry(task: DescribedTask) -> Entry:
    return Entry(task.name, task.describe(), task.facts, tuple(in_words(task, dial) for dial in task.facts.dials))


def entry_of_games() -> Entry:
    """One row for all games of TextArena; it can be made without the package."""
    dials = tuple(in_words(TextArena, dial) for dial in TextArena.facts.dials)
    return Entry("textarena:GAME", "A single-player game of TextArena.", TextArena.facts, ("the game", *dials))


def in_words(task: DescribedTask | type[TextArena], dial: Dial) -> str:
    """`people = 3 to 7 (2 to 8 people)`."""
    value: Any = getattr(task, dial.name) if dial.default is None else dial.default
    shown = span(*value) if isinstance(value, tuple) else str(value)
    return f"{dial.name} = {shown or '(empty)'}" + (f" ({dial.range})" if dial.range else "")


def tasks_table() -> str:
    """One row per task, in Markdown."""
    rows = ["| task | verifier | turns | part marks | difficulty dials |", "|---|---|---|---|---|"]
    for one in catalogue():
        cells = (f"`{one.name}`", one.facts.verifier, one.facts.turns, one.facts.partial, "; ".join(one.dials))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def faults_table() -> str:
    """What the audit holds against reasoning-gym's scorers, in Markdown."""
    rows = ["| fault of the scorer as it comes | datasets |", "|---|---|"]
    for flag, meaning in FLAGS.items():
        held = [name for name in table() if flag in flags(name)]
        rows.append(f"| {meaning} | {', '.join(held) or 'none'} |")
    return "\n".join(rows)


TABLES = {"tasks": tasks_table, "faults": faults_table}


def filled_in(page: str) -> str:
    """The page with fresh tables between `<!-- NAME -->` and `<!-- /NAME -->`."""
    for name, make in TABLES.items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not begin or not end:
            raise ValueError(f"the page has no <!-- {name} --> … <!-- /{name} -->")
        page = f"{before}{begin}{make()}\n{end}{after}"
    return page


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/tasks.md")
    path.write_text(filled_in(path.read_text(encoding="utf-8")), encoding="utf-8")
