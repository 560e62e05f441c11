"""Reading run folders back, and the table that compares arms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any, Literal

from scipy.integrate import trapezoid

from merf.core.toml import read_toml
from merf.evaluate.statistics import Interval, bootstrap, paired
from merf.train import records

Over = Literal["final", "average"]


@dataclass(frozen=True)
class RunRecord:
    """What one run wrote."""

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        path = self.folder / "config.toml"
        return read_toml(path) if path.exists() else {}

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        return list(records.read(self.folder / "metrics.jsonl"))

    @cached_property
    def evaluations(self) -> list[dict[str, Any]]:
        return list(records.read(self.folder / "evaluations.jsonl"))

    @cached_property
    def samples(self) -> list[dict[str, Any]]:
        return list(records.read(self.folder / "samples.jsonl"))

    @property
    def motivation(self) -> str:
        path = self.folder / "motivation.txt"
        return path.read_text() if path.exists() else ""

    @property
    def status(self) -> dict[str, Any]:
        path = self.folder / "status.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    @property
    def state(self) -> str:
        """`running`, `interrupted`, `failed` or `done`; `waiting` before the start."""
        return str(self.status.get("state", "waiting"))

    @property
    def seconds(self) -> float:
        return float(self.status.get("seconds", "nan"))

    def curve(self, mode: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of every evaluation in `mode`."""
        return [(e["step"], e[metric]) for e in self.evaluations if e["mode"] == mode and e.get(metric) is not None]

    def final(self, mode: str, metric: str) -> float:
        """The metric at the last full evaluation."""
        full = [e for e in self.evaluations if e["mode"] == mode and e["full"] and e["step"] > 0]
        return float(full[-1].get(metric, float("nan"))) if full else float("nan")

    def first(self, mode: str, metric: str) -> float:
        """The metric before training."""
        start = [e for e in self.evaluations if e["mode"] == mode and e["step"] == 0]
        return float(start[0].get(metric, float("nan"))) if start else float("nan")

    def average(self, mode: str, metric: str) -> float:
        """The metric's mean over training (the area under its curve): high for who learns early."""
        steps, values = zip(*self.curve(mode, metric), strict=True)
        return float(trapezoid(values, steps) / (steps[-1] - steps[0])) if len(steps) > 1 else float("nan")

    def steps_to(self, mode: str, metric: str, level: float) -> float:
        """The first evaluated step at which the metric reaches `level`; infinite if it never does."""
        return next((float(step) for step, value in self.curve(mode, metric) if value >= level), float("inf"))


@dataclass(frozen=True)
class ArmRecord:
    """All seeds of one arm; `against` names the arm it is compared with (the first one if empty)."""

    name: str
    runs: Sequence[RunRecord]
    against: str = ""

    def final(self, mode: str, metric: str) -> Interval:
        return bootstrap([run.final(mode, metric) for run in self.runs])

    def difference(self, other: ArmRecord, mode: str, metric: str, over: Over = "final") -> Interval:
        """Difference to another arm at the end of training, or of the averages over training, paired by seed."""
        mine = {run.folder.name: getattr(run, over)(mode, metric) for run in self.runs}
        theirs = {run.folder.name: getattr(run, over)(mode, metric) for run in other.runs}
        both = sorted(set(mine) & set(theirs))
        return paired([mine[seed] for seed in both], [theirs[seed] for seed in both])


def baseline_of(arm: ArmRecord, arms: Sequence[ArmRecord]) -> ArmRecord | None:
    """The arm that `arm` is compared with; None for a baseline."""
    named = next((other for other in arms if other.name == arm.against), arms[0])
    return None if named is arm else named


def largest_k(arms: Sequence[ArmRecord]) -> int:
    """The largest k for which pass@k was measured at the end."""
    last = arms[0].runs[0].evaluations[-1]
    return max(int(name.split("@")[1]) for name in last if name.startswith("pass@"))


COLUMNS = (
    "arm",
    "accuracy without motivation",
    "accuracy with motivation",
    "difference to its baseline, without",
    "the same, averaged over training",
    "pass@k without",
    "steps to its baseline's final accuracy",
    "sampled tokens",
    "seconds",
)


def steps_taken(reached: Sequence[float]) -> str:
    """The median of the steps that seeds took to a level, and how many never (infinity) reached it."""
    finite = [steps for steps in reached if steps < float("inf")]
    if not finite:
        return "never"
    missed = len(reached) - len(finite)
    return f"{median(finite):.0f}" + (f" (never in {missed} of {len(reached)})" if missed else "")


def table(arms: Sequence[ArmRecord]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the comparison."""
    k = largest_k(arms)
    rows = []
    for arm in arms:
        baseline = baseline_of(arm, arms)
        reached = [
            run.steps_to("bare", "accuracy", other.final("bare", "accuracy"))
            for run, other in zip(arm.runs, (baseline or arm).runs, strict=False)
        ]
        rows.append(
            [
                arm.name,
                str(arm.final("bare", "accuracy")),
                str(arm.final("told", "accuracy")),
                f"{arm.difference(baseline, 'bare', 'accuracy')}" if baseline else "",
                f"{arm.difference(baseline, 'bare', 'accuracy', 'average')}" if baseline else "",
                str(arm.final("bare", f"pass@{k}")),
                steps_taken(reached),
                f"{bootstrap([run.steps[-1]['num_tokens'] for run in arm.runs]).mean:,.0f}",
                f"{bootstrap([run.seconds for run in arm.runs]).mean:.0f}",
            ]
        )
    return [column.replace("pass@k", f"pass@{k}") for column in COLUMNS], rows


FEW = 3
"""How many arms can have bands in one chart, and half a sentence each, and still be told apart."""


def headline(arms: Sequence[ArmRecord]) -> str:
    """One sentence that says what was measured, whatever it is; of many arms only the largest difference."""
    compared = [(arm, baseline) for arm in arms if (baseline := baseline_of(arm, arms))]
    if len(arms) > FEW and compared:
        gains = {arm.name: arm.difference(baseline, "bare", "accuracy") for arm, baseline in compared}
        name = max(gains, key=lambda arm: abs(gains[arm].mean))
        return (
            f"{len(arms)} arms. The largest difference to a baseline in accuracy without the motivation: {name}, "
            f"{gains[name]}."
        )
    said = []
    for arm in arms:
        baseline = baseline_of(arm, arms)
        bare, told = arm.final("bare", "accuracy"), arm.final("told", "accuracy")
        if baseline is None:
            said.append(f"{arm.name} ends at {bare} accuracy without the motivation")
        else:
            gain = arm.difference(baseline, "bare", "accuracy")
            said.append(f"{arm.name} at {bare} (difference {round(gain.mean, 2) + 0.0:+.2f}), and at {told} with it")
    seeds = len(arms[0].runs)
    caution = "" if seeds >= 5 else f" {'One seed decides' if seeds == 1 else f'{seeds} seeds decide'} nothing."
    return "; ".join(said) + "." + caution
