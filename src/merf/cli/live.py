"""Live views of running trainings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from merf.lab.experiment import Job
from merf.report.live import ArmView, bars, comparison


class Tail:
    """Follows the records that another process appends to a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.offset = path, 0

    def fresh(self) -> list[dict[str, Any]]:
        """Whole lines that came since the last call. A file that shrank was rewritten: start over."""
        import json

        if not self.path.exists():
            return []
        if self.path.stat().st_size < self.offset:
            self.offset = 0
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Watcher:
    """A live view of an experiment's running jobs. Call it with what runs and what waits."""

    def __init__(self, title: str, jobs: Sequence[Job], console: Console) -> None:
        self.title, self.progress = title, bars()
        self.views = {job.folder: ArmView(f"{job.arm.name}", job.options.steps) for job in jobs}
        self.tails = {
            job.folder: {
                "step": Tail(job.folder / "metrics.jsonl"),
                "evaluation": Tail(job.folder / "evaluations.jsonl"),
            }
            for job in jobs
        }
        many = len({job.seed for job in jobs}) > 1
        self.whole = self.progress.add_task("all runs", total=sum(job.options.steps for job in jobs)) if many else None
        self.bars = {
            job.folder: self.progress.add_task(
                job.arm.name + (f", seed {job.seed}" if many else ""),
                total=job.options.steps,
                visible=not many,
                start=False,
            )
            for job in jobs
        }
        self.live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> Watcher:
        self.live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.live.__exit__(*exception)

    def __call__(self, running: Sequence[Job], waiting: Sequence[Job]) -> None:
        shown = {job.folder for job in running}
        for folder, view in self.views.items():
            for kind, tail in self.tails[folder].items():
                for record in tail.fresh():
                    view.take(kind, record)
            bar = self.bars[folder]
            if view.done and not self.progress.tasks[self.progress.task_ids.index(bar)].started:
                self.progress.start_task(bar)
            self.progress.update(bar, completed=view.done)
            if self.whole is not None:
                self.progress.update(bar, visible=folder in shown)
        if self.whole is not None:
            self.progress.update(self.whole, completed=sum(view.done for view in self.views.values()))
        columns = [self.views[job.folder] for job in running] if self.whole is not None else list(self.views.values())
        self.live.update(comparison(columns[:3], self.progress, self.title))
