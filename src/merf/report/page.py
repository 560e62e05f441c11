"""A self-contained HTML report of a comparison: opens from disk, loads nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from merf.report.runs import FEW, ArmRecord, RunRecord, headline, largest_k, table
from merf.train.records import plain_number, write_text

PALETTE = (
    "#6f7681",
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8c564b",
    "#7f3c8d",
    "#332288",
    "#999933",
    "#661100",
)
"""The baseline in grey, the others in Okabe and Ito's colours, which colour-blind readers can tell apart."""

Series = list[tuple[int, float]]


@dataclass(frozen=True)
class Chart:
    title: str
    caption: str
    figure: go.Figure


def colours(arms: Sequence[ArmRecord]) -> dict[str, str]:
    return {arm.name: PALETTE[i % len(PALETTE)] for i, arm in enumerate(arms)}


def mean_and_range(curves: Sequence[Series]) -> tuple[list[int], list[float], list[float], list[float]]:
    """Steps, and the mean, lowest and highest value over the seeds at each step all of them have."""
    steps = sorted(set.intersection(*({step for step, _ in curve} for curve in curves))) if curves else []
    values = np.array([[dict(curve)[step] for step in steps] for curve in curves], float)
    if not steps:
        return [], [], [], []
    return steps, values.mean(0).tolist(), values.min(0).tolist(), values.max(0).tolist()


def empty_figure(x: str, y: str, share: bool = False) -> go.Figure:
    """Axes without curves; those of a share go from 0 to 1."""
    figure = go.Figure()
    figure.update_layout(
        template="simple_white",
        margin={"l": 52, "r": 12, "t": 6, "b": 40},
        height=290,
        showlegend=False,
        hovermode="x unified",
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#1d2126"},
    )
    figure.update_xaxes(title=x, showgrid=False)
    figure.update_yaxes(title=y, gridcolor="#eceff2", showgrid=True, zeroline=False)
    if share:
        figure.update_yaxes(range=[-0.02, 1.02])
    return figure


def add_curves(
    figure: go.Figure,
    arms: Sequence[ArmRecord],
    curve: Callable[[RunRecord], Series],
    dash: str = "solid",
    label: str = "",
) -> None:
    """One line per arm, the mean over seeds; where arms are few, with a band from the lowest to the highest seed."""
    for name, colour in colours(arms).items():
        arm = next(a for a in arms if a.name == name)
        steps, mean, low, high = mean_and_range([c for c in map(curve, arm.runs) if c])
        if not steps:
            continue
        if len(arm.runs) > 1 and dash == "solid" and len(arms) <= FEW:
            figure.add_scatter(
                x=steps + steps[::-1],
                y=high + low[::-1],
                fill="toself",
                fillcolor=colour,
                opacity=0.13,
                line={"width": 0},
                hoverinfo="skip",
            )
        figure.add_scatter(
            x=steps,
            y=mean,
            mode="lines+markers" if len(steps) < 15 else "lines",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"size": 5},
            name=f"{name}{label}",
            hovertemplate="%{y:.3f}",
        )


def smoothed(run: RunRecord, metric: str, window: int = 5) -> Series:
    """A training metric as a running mean over `window` steps."""
    found = [(s["step"], s[metric]) for s in run.steps if s.get(metric) is not None]
    out = []
    for i, (step, _) in enumerate(found):
        near = [value for _, value in found[max(0, i - window + 1) : i + 1]]
        out.append((step, float(np.mean(near))))
    return out


def pass_curve(run: RunRecord, mode: str) -> Series:
    full = [e for e in run.evaluations if e["mode"] == mode and e["full"] and e["step"] > 0]
    if not full:
        return []
    return sorted((int(key.split("@")[1]), value) for key, value in full[-1].items() if key.startswith("pass@"))


def charts(arms: Sequence[ArmRecord]) -> list[Chart]:
    """All figures of the report."""
    out = []

    def both_modes(title: str, caption: str, metric: str, y: str) -> None:
        figure = empty_figure("training step", y, share=y.startswith("share"))
        add_curves(figure, arms, lambda run: run.curve("bare", metric), label=", without")
        add_curves(figure, arms, lambda run: run.curve("told", metric), dash="dash", label=", with")
        out.append(Chart(title, caption, figure))

    def training(title: str, caption: str, metric: str, y: str) -> None:
        figure = empty_figure("training step", y, share=y.startswith("share"))
        add_curves(figure, arms, lambda run: smoothed(run, metric))
        out.append(Chart(title, caption, figure))

    both_modes("Accuracy", "held-out puzzles, strict layout", "accuracy", "share right")
    figure = empty_figure("samples k", "pass@k")
    figure.update_xaxes(type="log", tickvals=[2**i for i in range(8)])
    add_curves(figure, arms, lambda run: pass_curve(run, "bare"), label=", without")
    add_curves(figure, arms, lambda run: pass_curve(run, "told"), dash="dash", label=", with")
    out.append(Chart("Pass@k after training", "chance that one of k samples is right (unbiased estimate)", figure))
    training("Reward in training", "mean over all samples of a step; running mean of 5 steps", "reward", "points")
    for key in sorted(
        {k for arm in arms for k in arm.runs[0].steps[-1] if k.startswith("rewards/") and k.endswith("/mean")}
    ):
        rule = key.split("/")[1]
        training(f"Reward for {rule}", "the part of the reward that this rule pays", key, "points")
    training("Right answers in training", "told and untold samples together", "correct", "share right")
    training("Groups that teach", "share of groups whose members were not all paid alike", "live_groups", "share")
    training("Entropy", "of the sampled tokens' distributions, in nats", "entropy", "nats per token")
    both_modes("Response length", "held-out puzzles", "tokens", "tokens")
    both_modes("Required layout kept", "held-out puzzles", "formatted", "share")
    return out


WHEN = {
    "always": "in every prompt",
    "half": "in the prompts of half of every group",
    "linear": "in a share of every group that falls linearly from all to none",
    "sigmoid": "in a share of every group that falls from all to none around the middle of training",
}


def samples_of(arms: Sequence[ArmRecord], most: int = 1200) -> list[dict[str, Any]]:
    """Responses to browse: every arm's first seed, thinned evenly."""
    found = []
    for arm in arms:
        for sample in arm.runs[0].samples:
            prompt = "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in sample["prompt"])
            found.append({**sample, "arm": arm.name, "prompt": prompt, "answer": str(sample["answer"])})
    every = max(len(found) // most, 1)
    return found[::every]


def embedded(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can close the element or open another."""
    text = json.dumps(plain_number(value), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def write_report(path: Path, title: str, question: str, arms: Sequence[ArmRecord]) -> None:
    """Write the report of a comparison; the first arm is the baseline."""
    header, rows = table(arms)
    drawn = charts(arms)
    seeds = len(arms[0].runs)
    config = arms[0].runs[0].config
    told = []
    for arm in arms:
        run = arm.runs[0]
        exposure = run.config.get("motivation", {}).get("exposure", "always")
        text = run.motivation
        told.append({"name": arm.name, "when": WHEN.get(exposure, exposure) if text else "nothing", "text": text})
    facts = (
        f"Model {config['model']}, {config['steps']} steps of {config['problems']} problems × "
        f"{config['group_size']} responses, {seeds} seed{'s' if seeds > 1 else ''} per arm."
    )
    note = (
        "Accuracy is the share of right answers over held-out problems, sampled as in training; "
        f"pass@{largest_k(arms)} is the unbiased estimate. "
    )
    note += (
        "Brackets are 95 % bootstrap intervals over seeds; differences are paired by seed, with Student's interval "
        "where it is wider."
        if seeds > 2
        else "With fewer than three seeds there are no intervals: a difference may be luck."
    )
    bands = ""
    if seeds > 1:
        bands = (
            "Bands reach from the lowest to the highest seed." if len(arms) <= FEW else "Lines are means over seeds."
        )
    page = rendered(
        "page.html.jinja",
        title=title,
        question=question,
        headline=headline(arms),
        facts=facts,
        header=header,
        rows=rows,
        colours=colours(arms),
        note=note,
        bands=bands,
        charts=drawn,
        figures=embedded([json.loads(chart.figure.to_json()) for chart in drawn]),
        samples=embedded(samples_of(arms)),
        told=told,
    )
    write_text(path, page)


def rendered(name: str, **values: Any) -> str:
    """A page from one of the templates here, with style and charts inside it."""
    room = resources.files("merf.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((room / name).read_text(encoding="utf-8"))
    style = (room / "page.css").read_text(encoding="utf-8")
    return template.render(style=style, plotly=get_plotlyjs(), **values)
