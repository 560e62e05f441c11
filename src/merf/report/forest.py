"""Findings on claims as a page, a forest plot and numbers."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import plotly.graph_objects as go
from matplotlib.figure import Figure

from merf.report.page import add_curves, embedded, empty_figure, rendered, smoothed
from merf.report.published import FIXED, markdown_table, provenance
from merf.report.runs import ArmRecord
from merf.train.records import write_text

COLOURS = {
    "reproduced": "#009e73",
    "contradicted": "#d55e00",
    "inconclusive": "#6f7681",
    "no verdict": "#6f7681",
    "not measured": "#c3c8ce",
}
MEANING = """\
A claim is *reproduced* where the 95 % interval of the difference, paired by seed, lies wholly on the claimed side of
zero (for "equal": within the margin), *contradicted* where it lies wholly on the other, else *inconclusive*. Intervals
are the bootstrap's, widened to Student's where that is wider, since the bootstrap of three to five values is too
narrow. About one claim in forty that is not true comes out as reproduced by chance. These are small models in small
worlds: a verdict is about the mechanism, not about the size of the effect elsewhere. A claim that was written down
after a look at some runs is judged by later seeds alone."""


def write_findings(
    folder: Path,
    findings: Sequence[Mapping[str, Any]],
    worlds: Mapping[str, Sequence[ArmRecord]],
    command: str,
    setting: str,
) -> None:
    """claims.md, claims.svg and claims.json in `folder`; a finding is what `merf.lab.claims.as_numbers` makes, and
    `worlds` are all arms by world, whose runs' provenance is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = [one for one in findings if one["difference"]]
    runs = [
        {"world": world, "arm": arm.name, **provenance(run)}
        for world, arms in worlds.items()
        for arm in arms
        for run in arm.runs
    ]
    # A line for every finding and every run, for people who read changes.
    lists = (("findings", findings), ("runs", runs))
    parts = [f'"{name}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in lists]
    write_text(folder / "claims.json", f'{{"command": {json.dumps(command)},\n' + ",\n".join(parts) + "}\n")
    lines = ["# Claims", "", "What published methods are said to achieve, measured in [the lab](lab.md).", ""]
    if measured:
        write_text(folder / "claims.svg", forest_plot(measured))
        lines += ["![Differences to the baseline with 95 % intervals](claims.svg)", ""]
    header = ("claim", "world", "arms", "metric", "difference", "at equal tokens", "control", "seeds", "verdict")
    rows = []
    for one in findings:
        baseline = f"`{one['arms'][0]}`" if len(one["arms"]) > 1 else "0"
        arms = f"`{one['arms'][-1]}` {escaped(one['expect'])} {baseline}"
        cells = (one[name] and shown(one[name]) for name in ("difference", "at_equal_tokens", "control"))
        note = f" ({one['note']})" if one["note"] else ""
        said = f"**{one['claim']}** ({one['paper']}): {one['says']}"
        rows.append(
            [
                said,
                one["world"],
                arms,
                one["metric"],
                *(cell or "" for cell in cells),
                str(len(one["seeds"])),
                one["outcome"] + note,
            ]
        )
    origin = "The values behind every interval, and where every run comes from, are in [claims.json](claims.json)."
    lines += [*markdown_table(header, rows), "", MEANING, "", f"{setting} {origin}", "", "```bash", command, "```", ""]
    write_text(folder / "claims.md", "\n".join(lines))


def write_page(
    path: Path,
    findings: Sequence[Mapping[str, Any]],
    arms: Mapping[str, Sequence[ArmRecord]],
    command: str,
    setting: str,
) -> None:
    """One page that opens from disk: the forest plot, and the learning curves of every claim that has runs.
    `arms` are a claim's arms by its name."""
    shown_here = [one for one in findings if any(arm.runs for arm in arms[one["claim"]])]
    with_interval = [one for one in findings if one["difference"]]
    counts = Counter(one["outcome"] for one in findings)
    forest = ""
    if with_interval:
        forest = forest_plot(with_interval)
        forest = forest[forest.index("<svg") :]
    claims = [
        {
            **{key: one[key] for key in ("claim", "says", "outcome", "metric", "note")},
            "colour": COLOURS[one["outcome"]],
            "expect": " ".join([one["arms"][-1], one["expect"], one["arms"][0] if len(one["arms"]) > 1 else "0"]),
            "numbers": shown(one["difference"]) if one["difference"] else "",
        }
        for one in shown_here
    ]
    figures = [curves(one["metric"], [arm for arm in arms[one["claim"]] if arm.runs]) for one in shown_here]
    page = rendered(
        "claims.html.jinja",
        counts=", ".join(f"{n} {outcome}" for outcome, n in counts.items()),
        meaning=MEANING.replace("*", ""),
        forest=forest,
        claims=claims,
        setting=setting,
        command=command,
        figures=embedded([json.loads(figure.to_json()) for figure in figures]),
    )
    write_text(path, page)


def curves(metric: str, arms: Sequence[ArmRecord]) -> go.Figure:
    """The metric over training: of evaluations in both modes, else of the training steps."""
    name = metric.rpartition(":")[2]
    figure = empty_figure("training step", name)
    if any(run.curve("bare", name) for arm in arms for run in arm.runs):
        add_curves(figure, arms, lambda run: run.curve("bare", name))
        add_curves(figure, arms, lambda run: run.curve("told", name), dash="dash", label=", told")
    else:
        add_curves(figure, arms, lambda run: smoothed(run, name))
    for trace in figure.data:
        trace.showlegend = trace.line.dash == "solid"
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "font": {"size": 11}}
    figure.update_layout(showlegend=True, legend=legend, margin={"t": 30})
    return figure


def escaped(sign: str) -> str:
    return {">": "&gt;", "<": "&lt;"}.get(sign, sign)


def shown(interval: Sequence[float]) -> str:
    mean, low, high = interval
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def forest_plot(findings: Sequence[Mapping[str, Any]]) -> str:
    """A forest plot, as an SVG."""
    drawn = io.StringIO()
    with matplotlib.rc_context(FIXED):
        figure = Figure(figsize=(8.4, 0.9 + 0.34 * len(findings)), layout="constrained")
        panel = figure.subplots()
        for row, one in enumerate(reversed(findings)):
            mean, low, high = (value / scale(one["metric"]) for value in one["difference"])
            colour = COLOURS[one["outcome"]]
            if math.isfinite(low):
                panel.plot([low, high], [row, row], color=colour, linewidth=2)
            panel.plot([mean], [row], "o", color=colour, markersize=5)
        panel.axvline(0, color="#1d2126", linewidth=0.8)
        names = [f"{one['claim']}: {one['metric']} {one['expect']}" for one in reversed(findings)]
        panel.set_yticks(range(len(findings)), names)
        panel.set_xlabel("difference to the baseline (shares; lengths in hundreds of tokens)")
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.tick_params(axis="y", length=0)
        handles = [
            panel.plot([], [], "o-", color=colour, label=outcome)[0]
            for outcome, colour in COLOURS.items()
            if any(one["outcome"] == outcome for one in findings)
        ]
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False)
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()


def scale(metric: str) -> float:
    """What a metric's differences are divided by in the plot: lengths are counted in hundreds."""
    return 100.0 if metric.rpartition(":")[2] == "tokens" else 1.0
