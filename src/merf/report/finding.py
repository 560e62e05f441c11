"""One measurement as a page: a sentence, charts, tables, and the command that made it.

NAME.html   opens from disk, loads nothing
NAME.json   every number
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from merf.evaluate.calibration import Bin, Calibration
from merf.evaluate.limits import Limits
from merf.evaluate.master_keys import Opened
from merf.evaluate.statistics import Interval
from merf.report.page import PALETTE, Chart, embedded, empty_figure, rendered
from merf.train.records import plain_number, write_text


@dataclass(frozen=True)
class Section:
    """A table; the first column names its rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """What was measured, for people; `numbers` is all of it."""

    name: str
    title: str
    lead: str
    sections: Sequence[Section]
    charts: Sequence[Chart]
    numbers: Mapping[str, Any]

    def write(self, folder: Path, facts: str, command: str) -> Path:
        """Write page and numbers; returns the page's path."""
        folder.mkdir(parents=True, exist_ok=True)
        numbers = {"command": command, "facts": facts, **self.numbers}
        write_text(folder / f"{self.name}.json", json.dumps(plain_number(numbers), indent=1, ensure_ascii=False) + "\n")
        page = rendered(
            "finding.html.jinja",
            title=self.title,
            lead=self.lead,
            facts=facts,
            sections=self.sections,
            charts=self.charts,
            figures=embedded([json.loads(chart.figure.to_json()) for chart in self.charts]),
            command=command,
        )
        write_text(folder / f"{self.name}.html", page)
        return folder / f"{self.name}.html"


def of_limits(found: Limits) -> Finding:
    ks = list(found.base)
    crossing = "at no k up to" if found.crossing is None else f"from k = {found.crossing} on, of"
    lead = (
        f"With one sample the trained model solves {found.trained[1]} of the problems and its base {found.base[1]}; "
        f"with {found.samples} samples {found.trained[found.samples]} and {found.base[found.samples]}. "
        f"The base is at least as good {crossing} {found.samples}."
    )
    curves = Section(
        "Solved with k samples",
        ("k", "trained", "base", "difference"),
        [(str(k), str(found.trained[k]), str(found.base[k]), str(found.difference[k])) for k in ks],
        f"Left undone, the base's pass@{found.samples} minus the trained model's pass@1: {found.gap}.",
    )
    solvable = Section(
        "Which problems",
        ("k", "both", "only the trained model", "only the base", "neither"),
        [
            (str(k), *(f"{share:.1%}" for share in (one.both, one.trained_only, one.base_only, one.neither)))
            for k, one in found.solvable.items()
        ],
        "Expected shares of the problems that k samples of each model solve.",
    )
    sections = [curves, solvable]
    if found.perplexity is not None:
        rows = [
            (name, *(f"{value:.3f}" for value in values))
            for name, values in (("trained", found.perplexity.trained), ("base", found.perplexity.base))
        ]
        note = f"{found.perplexity.inside:.1%} of the trained model's responses lie in the middle 95 % of the base's."
        header = ("responses of", "5 %", "25 %", "median", "75 %", "95 %")
        sections.append(Section("Perplexity under the base", header, rows, note))
    figure = empty_figure("samples k", "pass@k")
    figure.update_xaxes(type="log", tickvals=ks)
    for (name, curve), colour in zip((("base", found.base), ("trained", found.trained)), PALETTE, strict=False):
        add_curve(figure, name, ks, [curve[k] for k in ks], colour)
    figure.update_layout(showlegend=True)
    chart = Chart("Pass@k", "share of problems solved; bands are 95 % intervals over problems", figure)
    return Finding("limits", "What training added", lead, sections, [chart], found.as_dict())


def add_curve(figure: go.Figure, name: str, x: Sequence[int], values: Sequence[Interval], colour: str) -> None:
    """A line with its band of intervals."""
    high, low = [value.high for value in values], [value.low for value in values]
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=colour,
        opacity=0.15,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=list(x),
        y=[value.mean for value in values],
        mode="lines+markers",
        line={"color": colour, "width": 2},
        name=name,
        hovertemplate="%{y:.3f}",
    )


def of_master_keys(found: Opened, judge: str) -> Finding:
    worst = found.worst
    lead = (
        f"Content-free responses are called right in {found.mean} of the trials, the worst of them, "
        f"{worst.text!r} {worst.form}, in {worst.rate}. Right answers are in {found.right}, honest wrong ones in "
        f"{found.wrong}."
    )
    forms = list(dict.fromkeys(key.form for key in found.keys))
    by_text: dict[str, dict[str, str]] = {}
    for key in found.keys:
        unknown = f" ({key.unknown} not judged)" if key.unknown else ""
        by_text.setdefault(key.text, {})[key.form] = f"{key.rate}{unknown}"
    rows = [(repr(text), *(cells[form] for form in forms)) for text, cells in by_text.items()]
    keys = Section(
        "False positives by key", ("key", *forms), rows, "Shares of the questions, with 95 % Wilson intervals."
    )
    honest = Section(
        "Honest answers",
        ("", "called right"),
        [("right answers", str(found.right)), ("wrong answers", str(found.wrong)), ("kappa", f"{found.kappa:.2f}")],
        f"Called right is what scores above {found.threshold:.3g}.",
    )
    figure = empty_figure("share called right", "")
    figure.update_xaxes(range=[-0.02, 1.02])
    for form, colour in zip(forms, PALETTE[1:], strict=False):
        here = [key for key in found.keys if key.form == form]
        figure.add_scatter(
            x=[key.rate.mean for key in here],
            y=[repr(key.text) for key in here],
            error_x={
                "type": "data",
                "array": [key.rate.high - key.rate.mean for key in here],
                "arrayminus": [key.rate.mean - key.rate.low for key in here],
            },
            mode="markers",
            marker={"color": colour, "size": 8},
            name=form,
        )
    figure.update_layout(showlegend=True, margin={"l": 190})
    chart = Chart("Master keys", "false positives with 95 % intervals", figure)
    title = f"Who can be opened with a master key: {judge}"
    return Finding("master-keys", title, lead, [honest, keys], [chart], {"judge": judge, **found.as_dict()})


def of_confidence(found: Calibration, how: str) -> Finding:
    verdict = "neither over- nor under-confidence is shown"
    if found.gap.low > 0:
        verdict = "it is over-confident"
    elif found.gap.high < 0:
        verdict = "it is under-confident"
    lead = (
        f"The model is right in {found.accuracy} of the responses for which it has a confidence, and that is "
        f"{found.confidence} on average. The difference is {found.gap}: {verdict}."
    )
    measures = Section(
        "What the confidence is worth",
        ("", "value"),
        [
            ("responses with a confidence", f"{found.stated:.1%}"),
            ("accuracy", str(found.accuracy)),
            ("mean confidence", str(found.confidence)),
            ("expected calibration error", str(found.ece)),
            ("Brier score", str(found.brier)),
            ("AUROC: tells right from wrong", str(found.auroc)),
            ("Spearman's correlation with length", str(found.length)),
        ],
        f"Confidences were {how}. 95 % bootstrap intervals over problems.",
    )
    filled = [one for one in found.bins if one.count]
    bins = Section(
        "Reliability",
        ("confidence", "responses", "mean confidence", "accuracy"),
        [(f"{b.low:.1f} to {b.high:.1f}", str(b.count), f"{b.confidence:.3f}", f"{b.accuracy:.3f}") for b in filled],
    )
    chart = Chart(
        "Reliability", "accuracy by confidence; the area of a dot is its number of responses", diagram(filled)
    )
    return Finding("confidence", "Does it know when it is right?", lead, [measures, bins], [chart], found.as_dict())


def diagram(bins: Sequence[Bin]) -> go.Figure:
    figure = empty_figure("confidence", "share right", share=True)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": PALETTE[0], "dash": "dot"}, hoverinfo="skip")
    most = max((one.count for one in bins), default=1)
    figure.add_scatter(
        x=[one.confidence for one in bins],
        y=[one.accuracy for one in bins],
        mode="markers",
        marker={"color": PALETTE[1], "size": [6 + 26 * (one.count / most) ** 0.5 for one in bins]},
        hovertemplate="%{y:.3f} at %{x:.3f}",
    )
    return figure
