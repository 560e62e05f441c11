"""Step time as one quantity grows: group size, prompt length, response length, vocabulary.

Sampling and update are timed apart. The points of a sweep take turns in one process; every figure is the median of
a few rounds. Next to each time stands how much it has grown since the sweep's first point; near-linear means that time
grows no faster than the quantity.

    python benchmarks/scaling.py [--minutes 4] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from common import llama, machine, median, publish, rounds, shares, show


@dataclass(frozen=True)
class Point:
    problems: int = 8
    group: int = 8
    prompt: int = 100
    response: int = 48
    vocabulary: int = 2048


SWEEPS: dict[str, list[int]] = {
    "group": [4, 8, 16, 32, 64],
    "prompt": [50, 100, 200, 400, 800],
    "response": [24, 48, 96, 192, 384],
    "vocabulary": [1024, 4096, 16384, 65536],
}


def worker(point: Point, folder: Path) -> Callable[[], dict[str, float]]:
    """Takes one step of this size, and says what sampling and update took."""
    import torch

    from merf.core.sampling import Sampling
    from merf.policy.policy import Policy

    policy = Policy.load(llama(folder / f"model-{point.vocabulary}", vocabulary=point.vocabulary))
    policy.stops = frozenset({-1})
    rng = Random(0)
    prompts = [[rng.randrange(700) for _ in range(point.prompt)] for _ in range(point.problems)]
    shown = [prompt for prompt in prompts for _ in range(point.group)]

    def step() -> dict[str, float]:
        before = time.perf_counter()
        samples = policy.sample(shown, Sampling(max_tokens=point.response), list(range(len(shown))))
        between = time.perf_counter()
        said = [sample.tokens for sample in samples]
        for rows in policy._cut(shown, said):
            wanted = torch.ones(len(rows), point.response, dtype=torch.bool)
            found = policy._score(policy.model, [shown[i] for i in rows], [said[i] for i in rows], wanted)
            found.logprobs.sum().backward()
        policy.model.zero_grad(set_to_none=True)
        return {"sampling": between - before, "update": time.perf_counter() - between}

    return step


def sweep(name: str, values: list[int], folder: Path, asked: argparse.Namespace, until: float) -> list[dict[str, Any]]:
    """A quantity's points, which take turns; the first round warms up."""
    steps = {value: worker(replace(Point(), **{name: value}), folder) for value in values}
    times: dict[int, list[dict[str, float]]] = {value: [] for value in values}
    for turn in rounds(asked.rounds + 1, until):
        for value, step in steps.items():
            taken = step()
            if turn == 1:
                times[value].clear()  # what the warm-up took, kept only where there is time for no more
            times[value].append(taken)
    return [
        {"value": value, **{part: median([taken[part] for taken in times[value]]) for part in ("sampling", "update")}}
        for value in values
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4, help="rounds end in time for this")
    parser.add_argument("--rounds", type=int, default=5, help="at most so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="the same code at a tiny size: no figures are kept")
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(asked.threads)
    sweeps = {name: values[:2] for name, values in SWEEPS.items()} if asked.tiny else SWEEPS
    found: dict[str, Any] = {"machine": machine(asked.threads), "asked": vars(asked), "sweeps": {}}
    with tempfile.TemporaryDirectory() as folder:
        for (name, values), until in shares([*sweeps.items()], asked.minutes):
            found["sweeps"][name] = sweep(name, values, Path(folder), asked, until)
    if not asked.tiny:
        publish("scaling", found)
    rows = []
    for name, points in found["sweeps"].items():
        for point in points:
            grown = {part: point[part] / points[0][part] for part in ("value", "sampling", "update")}
            rows.append([name if point is points[0] else "", str(point["value"]), f"{grown['value']:.0f}×"])
            for part in ("sampling", "update"):
                rows[-1] += [f"{point[part]:.2f}", f"{grown[part]:.1f}×"]
    header = ["growing", "value", "growth", "sampling s", "growth", "update s", "growth"]
    title = f"{Point().problems} problems × {Point().group} responses, 1.7 M parameters, {asked.threads} threads"
    show(title, header, rows, found)


if __name__ == "__main__":
    main()
