"""What a person watches while runs are going on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], low: float = 0.0, high: float = 1.0, width: int = 24) -> str:
    """A line of bars, the most recent `width` values."""
    span = (high - low) or 1.0
    return "".join(
        BARS[min(int((min(max(v, low), high) - low) / span * len(BARS)), len(BARS) - 1)] for v in values[-width:]
    )


def bars() -> Progress:
    """Progress bars with time elapsed and time left."""
    return Progress(
        TextColumn("{task.description}", justify="left"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


@dataclass
class ArmView:
    """The latest numbers of one run."""

    name: str
    steps: int
    latest: dict[str, Any] = field(default_factory=dict)
    evaluations: dict[str, list[float]] = field(default_factory=lambda: {"bare": [], "told": []})
    warnings: list[str] = field(default_factory=list)
    state: str = "waiting"

    def take(self, kind: str, record: dict[str, Any]) -> None:
        """Take in one record of a run."""
        if kind == "step":
            self.latest = record
        elif kind == "evaluation":
            self.evaluations[record["mode"]].append(record["accuracy"])
        elif kind == "warning":
            self.warnings.append(record["text"])
        elif kind == "status":
            self.state = record["state"]

    @property
    def done(self) -> int:
        return int(self.latest["step"]) + 1 if self.latest else 0


def comparison(views: Sequence[ArmView], progress: Progress, title: str) -> RenderableType:
    """Arms side by side, one column each."""
    grid = Table(expand=False, show_edge=False, pad_edge=False, box=None)
    grid.add_column(style="dim")
    for view in views:
        grid.add_column(Text(view.name, style="bold"), justify="left", min_width=30)

    def row(label: str, cells: Sequence[str]) -> None:
        grid.add_row(label, *cells)

    def number(view: ArmView, key: str, form: str) -> str:
        value = view.latest.get(key)
        return "–" if value is None else format(value, form)

    for mode, label in (("bare", "accuracy without motivation"), ("told", "accuracy with motivation")):
        cells = []
        for view in views:
            seen = view.evaluations[mode]
            cells.append(f"{seen[-1]:.2f}  {sparkline(seen)}" if seen else "–")
        row(label, cells)
    row("reward", [number(v, "reward", "+.2f") for v in views])
    for name in sorted(
        {key for v in views for key in v.latest if key.startswith("rewards/") and key.endswith("/mean")}
    ):
        row(f"  {name.split('/')[1]}", [number(v, name, "+.2f") for v in views])
    row("groups that teach", [number(v, "live_groups", ".0%") for v in views])
    row("entropy (nats per token)", [number(v, "entropy", ".2f") for v in views])
    row("tokens per response", [number(v, "completions/mean_length", ".0f") for v in views])
    row("tokens per second", [number(v, "tokens_per_second", ",.0f") for v in views])
    warnings = [Text(f"{view.name}: {text}", style="yellow") for view in views for text in view.warnings[-1:]]
    return Panel(Group(progress, Text(), grid, *warnings), title=title, title_align="left", border_style="dim")


@contextmanager
def watching(name: str, steps: int, quiet: bool) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """A live view of one run; yields the function that records are told to. When quiet, only warnings are shown."""
    if quiet:
        yield only_warnings
        return
    view, progress = ArmView(name, steps), bars()
    bar = progress.add_task(name, total=steps)
    with Live(comparison([view], progress, "merf train"), refresh_per_second=4) as live:

        def watch(kind: str, record: dict[str, Any]) -> None:
            view.take(kind, record)
            progress.update(bar, completed=view.done)
            live.update(comparison([view], progress, "merf train"))

        yield watch


def only_warnings(kind: str, record: dict[str, Any]) -> None:
    if kind == "warning":
        print(f"merf train: warning: {record['text']}", file=sys.stderr)
