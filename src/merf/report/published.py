"""An experiment's results as files to keep: a page to read, a picture, and the numbers behind them.

NAME.md     the table, what it shows and what it doesn't, and the command that made it
NAME.svg    learning curves
NAME.json   every run: its options, its evaluations, what it cost, and on what it ran
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from merf.core.toml import read_toml
from merf.evaluate.statistics import Interval
from merf.report.page import colours, mean_and_range
from merf.report.runs import FEW, ArmRecord, RunRecord, baseline_of, table
from merf.train.records import plain_number, write_text


@dataclass(frozen=True)
class Publication:
    """A finished experiment; `cards` are the competence cards of its base models, by name, `headline` the arms that a
    small second picture shows."""

    name: str
    title: str
    question: str
    command: str
    arms: Sequence[ArmRecord]
    cards: Mapping[str, Any] = field(default_factory=dict)
    headline: Sequence[str] = ()

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.draw(folder / f"{self.name}.svg")
        if self.headline:
            self.draw_headline(folder / f"{self.name}-headline.svg")
        write_text(folder / f"{self.name}.json", json.dumps(plain_number(self.numbers()), indent=1) + "\n")
        write_text(folder / f"{self.name}.md", self.page())

    def numbers(self) -> dict[str, Any]:
        """Everything that was measured."""
        return {
            "title": self.title,
            "question": self.question,
            "command": self.command,
            "cards": self.cards,
            "arms": [
                {"name": arm.name, "against": arm.against, "runs": [describe_run(run) for run in arm.runs]}
                for arm in self.arms
            ],
        }

    def page(self) -> str:
        header, rows = table(self.arms)
        lines = [
            f"# {self.title}",
            "",
            self.question,
            "",
            f"![Accuracy over training]({self.name}.svg)",
            "",
            *markdown_table(header, rows),
            "",
            "Accuracies are shares of right answers to held-out problems in the strict layout, sampled at "
            "temperature 1, at the end of training, with the rules in the prompt and without. Brackets are 95 % "
            "bootstrap intervals over seeds. Differences are paired by seed, and their intervals are widened to "
            "Student's where that is wider. The average over training is the area under the learning curve: it tells "
            "who learns early.",
            "",
            "## What it shows",
            "",
            *(f"- {sentence}" for sentence in self.findings()),
            "",
            *self.bases(),
            "## How it was made",
            "",
            "```bash",
            self.command,
            "```",
            "",
            self.setting(),
            f"Every run with its curves is in [{self.name}.json]({self.name}.json).",
            "",
        ]
        return "\n".join(lines)

    def findings(self) -> list[str]:
        """A sentence per compared arm, by rule: an effect is claimed only where the interval excludes zero."""
        said = []
        for arm in self.arms:
            baseline = baseline_of(arm, self.arms)
            if baseline is None:
                continue
            for mode, where in (("bare", "without the motivation"), ("told", "with it")):
                last = verdict(arm.difference(baseline, mode, "accuracy"))
                early = verdict(arm.difference(baseline, mode, "accuracy", "average"))
                said.append(
                    f"**{arm.name}** against {baseline.name}, asked {where}: at the end {last}; averaged over training "
                    f"{early}."
                )
        return said

    def bases(self) -> list[str]:
        """The competence of the base models before any training, where cards are at hand."""
        if not self.cards:
            return []
        header = ("base", "works untold", "works when told", "right when it works", "right when it guesses")
        rows = [
            (
                f"`{name}`",
                f"{card['told']['none']['works'] * 100:.2g} %",
                f"{card['told']['truth']['works'] * 100:.2g} %",
                f"{card['accuracy']['work']['2']:.2f}",
                f"{card['accuracy']['guess']['2']:.2f}",
            )
            for name, card in self.cards.items()
        ]
        samples = next(iter(self.cards.values()))["samples"]
        said = f"Measured before training on puzzles with two people, {samples} responses a cell."
        return ["## The base models", "", *markdown_table(header, rows), "", said, ""]

    def setting(self) -> str:
        run = self.arms[0].runs[0]
        config = run.config
        machine = environment(run)
        seeds = ", ".join(str(r.config["seed"]) for r in self.arms[0].runs)
        minutes = sum(r.seconds for arm in self.arms for r in arm.runs) / 60
        return (
            f"{config['steps']} steps of {config['problems']} problems × {config['group_size']} responses, learning "
            f"rate {config['optimizer']['lr']:g}, seeds {seeds}; torch {machine['packages']['torch']} on "
            f"{machine['processor']}, {minutes:.0f} minutes of one process altogether. "
        )

    def draw(self, path: Path) -> None:
        """Accuracy over training: a column for every baseline with the arms that are compared with it, asked without
        the rules in the upper row and with them in the lower."""
        families: dict[str, list[ArmRecord]] = {}
        for arm in self.arms:
            baseline = baseline_of(arm, self.arms)
            families.setdefault((baseline or arm).name, []).append(arm)
        with matplotlib.rc_context(FIXED):
            figure = Figure(figsize=(1.0 + 3.2 * len(families), 7.0), layout="constrained")
            panels = figure.subplots(2, len(families), sharex=True, sharey=True, squeeze=False)
            for column, arms in enumerate(families.values()):
                for row, (mode, title) in enumerate((("bare", "without the rules"), ("told", "with the rules"))):
                    panel = panels[row][column]
                    plot_accuracy(panel, arms, mode, colours(self.arms))
                    panel.set_title(f"asked {title}", fontsize=9, loc="left")
                panels[1][column].set_xlabel("training step")
            for row in panels:
                row[0].set_ylabel("accuracy")
            lines = [line for panel in panels[0] for line in panel.get_legend_handles_labels()[0]]
            figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False)
            figure.savefig(path, metadata={"Date": None})

    def draw_headline(self, path: Path) -> None:
        """The arms of the headline, asked both ways, side by side."""
        arms = [arm for arm in self.arms if arm.name in self.headline]
        with matplotlib.rc_context(FIXED):
            figure = Figure(figsize=(7.6, 2.9), layout="constrained")
            panels = figure.subplots(1, 2, sharey=True)
            for panel, (mode, title) in zip(panels, (("bare", "without"), ("told", "with")), strict=True):
                plot_accuracy(panel, arms, mode, colours(arms))
                panel.set_title(f"asked {title} the rules in the prompt", fontsize=9, loc="left")
                panel.set_xlabel("training step")
            panels[0].set_ylabel("accuracy on held-out puzzles")
            panels[0].legend(edgecolor="none", framealpha=0.85, loc="lower right")
            figure.savefig(path, metadata={"Date": None})


FIXED: Any = {"svg.hashsalt": "merf", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9}


def plot_accuracy(panel: Axes, arms: Sequence[ArmRecord], mode: str, colour: Mapping[str, str]) -> None:
    """One line per arm, the mean over seeds; where there are few arms, every seed as a thin line."""
    for arm in arms:
        curves = [run.curve(mode, "accuracy") for run in arm.runs]
        if len(curves) > 1 and len(arms) <= FEW:
            for curve in curves:
                panel.plot(*zip(*curve, strict=True), color=colour[arm.name], alpha=0.25, linewidth=0.7)
        steps, mean, _, _ = mean_and_range(curves)
        panel.plot(steps, mean, color=colour[arm.name], label=arm.name, linewidth=2.0)
    panel.set_ylim(0, 1)
    panel.grid(axis="y", color="#e5e8eb")
    panel.spines[["top", "right"]].set_visible(False)


def verdict(difference: Interval) -> str:
    """What an interval allows to say."""
    if difference.n < 3:
        return f"{difference.mean:+.2f} (too few seeds for an interval)"
    if difference.low > 0:
        return f"higher, by {difference}"
    if difference.high < 0:
        return f"lower, by {difference}"
    return f"no difference shown, {difference}"


def environment(run: RunRecord) -> dict[str, Any]:
    return read_toml(run.folder / "environment.toml")


def provenance(run: RunRecord) -> dict[str, Any]:
    """Where a run comes from and what it took, as plain values."""
    found = environment(run)
    return {
        "seed": run.config["seed"],
        "model": run.config["model"],
        "commit": found["commit"],
        "processor": found["processor"],
        "torch": found["packages"]["torch"],
        "tokens": run.steps[-1]["num_tokens"] if run.steps else None,
        "seconds": round(run.seconds, 1),
    }


def describe_run(run: RunRecord) -> dict[str, Any]:
    """A run's options, evaluations, cost and provenance, as plain values."""
    last = run.steps[-1] if run.steps else {}
    return {
        "seed": run.config.get("seed"),
        "options": run.config,
        "environment": environment(run),
        "motivation": run.motivation,
        "tokens": last.get("num_tokens"),
        "seconds": round(run.seconds, 1),
        "evaluations": [
            {key: rounded(value) for key, value in record.items() if key != "elapsed"} for record in run.evaluations
        ],
        "training": {
            name: [rounded(step.get(name)) for step in run.steps]
            for name in ("reward", "correct", "live_groups", "entropy", "completions/mean_length")
        },
    }


def rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) and math.isfinite(value) else value


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
