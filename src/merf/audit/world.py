"""The audit of rewards that people train with.

    python -m merf.audit.world                # everything, some ten minutes; goes on where it was stopped
    python -m merf.audit.world dice TinyZero  # these only
    python -m merf.audit.world --fresh        # all over again

writes docs/results/audit.md and, with the numbers behind it, audit.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from merf.audit.others import LOGIC_RL, LOGIC_RL_TOLD, TINY_ZERO, TINY_ZERO_TOLD, AsItComes, LogicRL, TinyZero, marks
from merf.audit.suite import THRESHOLD, Audit, audit
from merf.audit.world_page import page
from merf.core.seams import Task
from merf.rules.correctness import Correct
from merf.rules.format import Format
from merf.rules.rulebook import Rulebook
from merf.tasks import get
from merf.tasks.gym import scoring
from merf.tasks.gym_table import table

FOLDER = Path("docs/results")
PROBLEMS = 6
LONGEST_EXAMPLE = 300

PATIENCE = 120.0
"""Seconds for one answer. On a busy machine the limit that training keeps to would blame scorers for waiting."""


@dataclass(frozen=True)
class Subject:
    """A reward to audit. `told` is its own prompt's words, where it has no description."""

    name: str
    group: str
    book: Rulebook
    task: Callable[[], Task]
    told: str | None = None


def subjects() -> list[Subject]:
    """Other projects' rewards, and on the same tasks the rulebook of MeRF with this package's verifiers."""
    paper, scorer = Rulebook(Correct(), Format()), Rulebook(marks)
    return [
        Subject("Logic-RL", "published rewards", LOGIC_RL, LogicRL, LOGIC_RL_TOLD),
        Subject("TinyZero", "published rewards", TINY_ZERO, TinyZero, TINY_ZERO_TOLD),
        *(Subject(name, "merf", paper, partial(get, name)) for name in ("knights-knaves", "countdown")),
        *(Subject(name, "reasoning-gym as it comes", scorer, partial(AsItComes, name)) for name in table()),
        *(Subject(f"rg:{name}", "merf", paper, partial(get, f"rg:{name}")) for name in table()),
    ]


def record(found: Audit) -> dict[str, Any]:
    """What is kept of an audit."""
    rows = {row.name: row for row in found.rows}
    holes = []
    for hole in found.holes:
        row = rows.get(hole.name)
        shown = None if row is None or row.failed > found.threshold else rounded(row.share)
        holes.append({"name": hole.name, "about": hole.about, "share": shown, "example": shortened(hole.example)})
    return {
        "holes": holes,
        "notes": list(found.notes),
        "stored": found.stored,
        "chance": rounded(found.chance),
        "scale": {name: rounded(value) for name, value in vars(found.scale).items()},
        "paid": {row.name: [rounded(row.mean), rounded(row.limit)] for row in found.rows},
    }


def unscored(error: ValueError) -> dict[str, Any]:
    """Where not even honest responses have a score, that is the finding."""
    return {"name": "stored answer", "about": str(error), "share": None, "example": ""}


def rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def shortened(text: str) -> str:
    half = LONGEST_EXAMPLE // 2
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[:half]} … {text[-half:]}"


def settings() -> dict[str, Any]:
    """What the numbers depend on: results made under others are made again."""
    return {"problems": PROBLEMS, "threshold": THRESHOLD, "seed": 0, "reasoning-gym": version("reasoning-gym")}


def write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f"{path.suffix}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def main(arguments: Sequence[str] | None = None) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parser = argparse.ArgumentParser(
        prog="python -m merf.audit.world", description="Audit the rewards that others use."
    )
    parser.add_argument("names", nargs="*", help="only these, by the names in the table (all)")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help=f"where to write ({FOLDER})")
    asked = parser.parse_args(arguments)
    known = subjects()
    if strangers := set(asked.names) - {subject.name for subject in known}:
        parser.error(f"nothing here is called {', '.join(sorted(strangers))}: see the table in docs/results/audit.md")
    path = asked.out / "audit.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() and not asked.fresh else {}
    results = kept["results"] if kept.get("settings") == settings() else {}
    chosen = [one for one in known if (one.name in asked.names if asked.names else key(one) not in results)]
    scoring().seconds = PATIENCE
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=len(chosen))
        for subject in chosen:
            progress.update(bar, description=f"{subject.name:<28}")
            try:
                results[key(subject)] = record(
                    audit(subject.book, subject.task(), problems=PROBLEMS, told=subject.told)
                )
            except ValueError as error:
                results[key(subject)] = {"holes": [unscored(error)]}
            order = [key(one) for one in known if key(one) in results]
            results = {name: results[name] for name in order}
            write(path, as_json(results))
            progress.advance(bar)
    write(asked.out / "audit.md", page(settings(), results))


def key(subject: Subject) -> str:
    return f"{subject.group}/{subject.name}"


def as_json(results: dict[str, Any]) -> str:
    """One line per audit, so that a changed result is a changed line."""
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(found, ensure_ascii=False)}" for name, found in results.items()
    )
    return f'{{"settings": {json.dumps(settings())},\n "results": {{\n{lines}\n }}}}\n'


if __name__ == "__main__":
    main()
