"""Writes docs/performance.md from the figures in docs/performance/*.json, and says which goals they meet.

A goal that is missed is followed by the profile its benchmark took, and by docs/performance/NAME.md, written by hand,
where there is one: what the profile means.

    python benchmarks/page.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import RESULTS, about, median, spread

PAGE = RESULTS.with_suffix(".md")
Record = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """`value` of a file's record is to be at least `least`, or at most `most`; `why` says where time or memory goes."""

    what: str
    file: str
    value: Callable[[Record], float | None]
    least: float | None = None
    most: float | None = None
    unit: str = "×"
    why: Callable[[Record], str] | None = None

    def verdict(self, record: Record | None) -> str:
        value = None if record is None else self.value(record)
        if value is None:
            return "not run"
        met = value >= self.least if self.least is not None else value <= (self.most or 0.0)
        return "met" if met else "missed"

    def row(self, record: Record | None) -> list[str]:
        value = None if record is None else self.value(record)
        bound = f"at least {self.least:g}{self.unit}" if self.least is not None else f"at most {self.most:g}{self.unit}"
        measured = "" if value is None else f"{value:.3g}{self.unit}"
        return [self.what, bound, measured, self.verdict(record)]


def step_ratio(case: str) -> Callable[[Record], float]:
    return lambda record: record["cases"][case]["TRL"]["time per token / ours"]


def step_profile(case: str) -> Callable[[Record], str]:
    return lambda record: f"In a step of ours, {where_time_goes(record['cases'][case]['ours']['profile'])}"


def where_time_goes(profile: Record) -> str:
    """A profile in a sentence."""
    return f"sampling takes {profile['sampling']:.0%} of the time; by operation, {by_operation(profile['operations'])}."


def by_operation(operations: dict[str, float]) -> str:
    return ", ".join(f"`{name}` {share:.0%}" for name, share in operations.items())


def memory_ratio(record: Record) -> float:
    case = record["cases"][TOLD]
    return case["ours"]["memory_mib"] / case["TRL"]["memory_mib"]


def memory_profile(record: Record) -> str:
    ours, theirs = (record["cases"][TOLD][who]["memory_before_mib"] for who in ("ours", "TRL"))
    return f"Before the first step ours holds {ours:,.0f} MiB already (libraries and weights), TRL {theirs:,.0f} MiB."


def motivation_profile(record: Record) -> str:
    worst = max(record["limits"].values(), key=lambda limit: limit["ratio"])
    return " ".join(
        f"In a step {name} the motivation, {where_time_goes(profile)}" for name, profile in worst["profile"].items()
    )


def widest(record: Record) -> Record:
    return record["widths"][max(record["widths"], key=int)]


def growths(record: Record) -> list[tuple[float, str]]:
    """How much a step's time grows between neighbouring points, in growths of the quantity itself; and where."""
    return [
        (
            (b["sampling"] + b["update"]) / (a["sampling"] + a["update"]) * a["value"] / b["value"],
            f"{name} {a['value']} to {b['value']}: sampling {a['sampling']:.2f} to {b['sampling']:.2f} s, "
            f"update {a['update']:.2f} to {b['update']:.2f} s",
        )
        for name, points in record["sweeps"].items()
        for a, b in pairwise(points)
    ]


def gap(record: Record) -> float:
    first = record["first step"]
    return max(first["loss gap"], first["relative gradient gap"])


def reached(record: Record) -> float | None:
    return median(record["ratios"]) if record["ratios"] else None


def gpu_ratio(record: Record) -> float:
    return max(record["generate takes, in times ours"].values())


TOLD, BARE, RAGGED = (
    "motivation, 64 tokens",
    "no motivation, 64 tokens",
    "motivation, ragged (mean about 70, limit 256)",
)
ENGINE = "engine_vs_trl"

GOALS = (
    Goal("Step with the motivation, TRL's time in ours", ENGINE, step_ratio(TOLD), least=4, why=step_profile(TOLD)),
    Goal("Step without it, TRL's time in ours", ENGINE, step_ratio(BARE), least=2.5, why=step_profile(BARE)),
    Goal("Step of ragged lengths, TRL's time in ours", ENGINE, step_ratio(RAGGED), least=4, why=step_profile(RAGGED)),
    Goal("Peak memory of a step, in TRL's", ENGINE, memory_ratio, most=0.5, why=memory_profile),
    Goal("First step, difference from TRL's loss or gradient", ENGINE, gap, most=1e-4, unit=""),
    Goal("Time to a reward, TRL's in ours", "time_to_reward", reached, least=2),
    Goal(
        "Step with the motivation, in steps without",
        "motivation_cost",
        lambda record: max(limit["ratio"] for limit in record["limits"].values()),
        most=1.1,
        why=motivation_profile,
    ),
    Goal(
        "Update at width 1024, share of the matmul peak",
        "peak_share",
        lambda record: 100 * widest(record)["share"],
        least=50,
        unit=" %",
        why=lambda record: f"Time goes by operation: {by_operation(widest(record)['operations'])}.",
    ),
    Goal(
        "Step time between neighbouring sizes, in growths of the size",
        "scaling",
        lambda record: max(growths(record))[0],
        most=1.3,
        why=lambda record: f"Steepest is {max(growths(record))[1]}.",
    ),
    Goal("Sampling on a GPU, `generate`'s time in ours", "gpu", gpu_ratio, least=3),
    Goal("Scoring whole numbers, in TRL's rate", "scoring", lambda r: median(r["ratios"]["whole numbers"]["TRL"]), 3),
    Goal("Scoring formulas, in TRL's rate", "scoring", lambda r: median(r["ratios"]["formulas"]["TRL"]), 3),
)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]


def engine(record: Record) -> list[str]:
    rows = []
    for case, contestants in record["cases"].items():
        for who, r in contestants.items():
            rows.append(
                [
                    f"{case}: {who}",
                    spread(r["seconds"]),
                    f"{median(r['cpu_seconds']):.2f}",
                    f"{r['tokens_per_step']:,.0f}",
                    f"{r['memory_mib']:,.0f}",
                    f"{r['time per token / ours']:.2f}×",
                ]
            )
    header = ["", "seconds per step", "CPU seconds", "tokens per step", "peak MiB", "time per token, in ours"]
    first = record["first step"]
    theirs = first["TRL's loss"]
    return [
        *table(header, rows),
        "",
        f"On the same {first['tokens']:,} tokens the first step's losses are {first['loss']:.6f} (ours) and "
        f"{theirs:.6f}; the gradients differ by {first['relative gradient gap']:.1e} of their norm.",
    ]


def to_reward(record: Record) -> list[str]:
    rows = []
    for who, runs in record["runs"].items():
        there = [run for run in runs if run["reached"]]
        rows.append(
            [
                who,
                f"{len(there)} of {len(runs)}",
                spread([run["seconds"] for run in there]) if there else "",
                f"{median([float(run['steps']) for run in there]):.0f}" if there else "",
            ]
        )
    return table([f"mean reward {record['asked']['reward']:g}", "reached", "seconds", "steps"], rows)


def motivation(record: Record) -> list[str]:
    rows = [
        [f"{limit} tokens", spread(r["with"]), spread(r["without"]), f"{r['ratio']:.3f}"]
        for limit, r in record["limits"].items()
    ]
    told, bare = record["prompt_tokens"]
    return [
        *table(["responses of", "seconds with", "seconds without", "ratio"], rows),
        "",
        f"The median prompt has {told:.0f} tokens with the motivation and {bare:.0f} without.",
    ]


def since(record: Record) -> list[str]:
    rows = [
        [work, spread(r["seconds"]["then"]), spread(r["seconds"]["now"]), f"{spread(r['ratios'])}×"]
        for work, r in record["work"].items()
    ]
    return [
        *table(["", "seconds then", "seconds now", "then, in now"], rows),
        "",
        f"Then is commit `{record['asked']['commit']}`.",
    ]


def peak(record: Record) -> list[str]:
    parts = [*next(iter(record["widths"].values()))["parts"]]
    rows = [
        [width, f"{r['gflops']:.0f}", f"{r['peak']:.0f}", f"{r['share']:.0%}", *(f"{r['parts'][p]:.0%}" for p in parts)]
        for width, r in record["widths"].items()
    ]
    return table(["width", "GFLOP/s", "peak", "share of peak", *(f"time in {p}" for p in parts)], rows)


def scaling(record: Record) -> list[str]:
    rows = []
    for name, points in record["sweeps"].items():
        for point in points:
            grown = [f"{point[part] / points[0][part]:.1f}×" for part in ("value", "sampling", "update")]
            rows.append([f"{name} {point['value']}", grown[0], f"{point['sampling']:.2f}", grown[1]])
            rows[-1] += [f"{point['update']:.2f}", grown[2]]
    return table(["", "growth", "sampling s", "growth", "update s", "growth"], rows)


def scored(record: Record) -> list[str]:
    rows = []
    for kind, found in record["mathematics"].items():
        for name, rates in found["per minute"].items():
            ratio = record["ratios"][kind].get(name)
            rows.append(
                [
                    f"{kind}: {name}",
                    f"{median(rates):,.0f}",
                    f"{median(found['processor ms'][name]):.2f}",
                    f"{spread(ratio, 1)}" if ratio else "",
                    f"{found['agreement'][name]:.1%}" if name in found["agreement"] else "",
                ]
            )
    rows += [
        [f"text rules: {name}", f"{median(rates):,.0f}", "", "", ""] for name, rates in record["text rules"].items()
    ]
    header = ["", "responses per minute", "processor ms each", "ours is so many times faster", "same verdict"]
    load = f"{record['load']['before'][0]:.1f} before and {record['load']['after'][0]:.1f} after"
    return [*table(header, rows), "", f"The machine's load was {load} (of {record['machine']['cores']} cores)."]


def gpu(record: Record) -> list[str]:
    rows = [
        [
            name,
            spread(seconds),
            f"{record['tokens per second'][name]:,.0f}",
            f"{record['share of the limit'][name]:.0%}",
        ]
        for name, seconds in record["seconds"].items()
    ]
    header = [f"{record['gpu']}, {record['parameters'] / 1e9:.2f} billion weights", "seconds", "tokens per second"]
    ratios = [f"{name}: {value:.1f}×" for name, value in record["generate takes, in times ours"].items()]
    return [
        *table([*header, "share of the limit"], rows),
        "",
        f"`generate` takes, in times ours: {'; '.join(ratios)}.",
    ]


NOT_RUN = {"gpu": "It has not been run: there was no GPU at hand."}
"""What stands in place of figures that there aren't; elsewhere: not run yet."""

SECTIONS: tuple[tuple[str, str, str, Callable[[Record], list[str]]], ...] = (
    ("A training step against TRL", "engine_vs_trl", "engine_vs_trl.py", engine),
    ("Time to a reward", "time_to_reward", "time_to_reward.py", to_reward),
    ("What the motivation costs", "motivation_cost", "motivation_cost.py", motivation),
    ("The demo's work, since its first version", "since", "since.py", since),
    ("Share of the matmul peak", "peak_share", "peak_share.py", peak),
    ("Growth", "scaling", "scaling.py", scaling),
    ("Scoring", "scoring", "scoring.py", scored),
    ("One large GPU", "gpu", "gpu.py", gpu),
)

INTRO = """# Performance

This page is written by `python benchmarks/page.py` from the files in `docs/performance`, each of which is written by
the command above its table. Ratios are of runs that took turns in one session on one machine; figures from different
tables may be of different machines. Medians, with lowest and highest in brackets."""

NOT_MEASURED = """## What is not measured

- **CUDA graphs** (`--static-decoding`). Everything but the recording of the graph is tested on a CPU, with steps
  recorded and replayed kernel by kernel on the same memory. The recording itself (`captured` in
  `src/merf/policy/static.py`) has not been run on a GPU, so it is off unless asked for.
- **Sharding on GPUs** (`--shard`). Tested with two processes on a CPU: the losses and weights of one process to
  1e-5, checkpoints that any number of processes can go on from. Not run on GPUs. It spreads weights, gradients and
  optimiser state (16 bytes a weight); while sampling and scoring every process holds a whole copy of the weights (4
  bytes a weight), gathered after each update. A KL term keeps one more such copy. If that is too much, sample from a
  server (`--server.url`); the copy for scoring remains."""


def missed(records: dict[str, Record]) -> list[str]:
    """Why goals are missed, as far as that was measured."""
    lines = []
    for goal in GOALS:
        record = records.get(goal.file)
        if record is not None and goal.verdict(record) == "missed":
            why = goal.why(record) if goal.why else "No profile of it was kept."
            lines.append(f"- **{goal.what}** is missed. {why}")
    return ["", *lines] if lines else []


def page(folder: Path = RESULTS) -> str:
    """The page that the files in `folder` make."""
    records = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    rows = [goal.row(records.get(goal.file)) for goal in GOALS]
    lines = [INTRO, "", "## Goals", "", *table(["", "goal", "measured", ""], rows), *missed(records)]
    for title, name, script, show in SECTIONS:
        lines += ["", f"## {title}", "", f"`python benchmarks/{script}`", ""]
        if name in records:
            lines += [about(records[name]), "", *show(records[name])]
        else:
            lines.append(NOT_RUN.get(name, "Not run yet."))
        if (note := folder / f"{name}.md").exists():
            lines += ["", note.read_text().strip()]
    return "\n".join([*lines, "", NOT_MEASURED]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"written: {PAGE}")
