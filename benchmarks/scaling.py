"""Step time as one quantity grows: group size, prompt length, response length, vocabulary.

Sampling and update are timed apart; every point is the median of a few repeats in one process. Next to each
time stands the growth in work per step; near-linear means that time grows no faster than that.

    python benchmarks/scaling.py [--threads 2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from common import llama, machine, median, publish, show


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


def measure(point: Point, folder: Path, repeats: int = 3) -> dict[str, float]:
    import torch

    from merf.core.sampling import Sampling
    from merf.policy.policy import Policy

    policy = Policy.load(llama(folder / f"model-{point.vocabulary}", vocabulary=point.vocabulary))
    policy.stops = frozenset({-1})
    rng = Random(0)
    prompts = [[rng.randrange(700) for _ in range(point.prompt)] for _ in range(point.problems)]
    shown = [prompt for prompt in prompts for _ in range(point.group)]
    sampling, updating = [], []
    for repeat in range(repeats + 1):
        before = time.perf_counter()
        samples = policy.sample(shown, Sampling(max_tokens=point.response), list(range(len(shown))))
        between = time.perf_counter()
        said = [sample.tokens for sample in samples]
        for rows in policy._cut(shown, said):
            wanted = torch.ones(len(rows), point.response, dtype=torch.bool)
            found = policy._score(policy.model, [shown[i] for i in rows], [said[i] for i in rows], wanted)
            found.logprobs.sum().backward()
        policy.model.zero_grad(set_to_none=True)
        if repeat:
            sampling.append(between - before)
            updating.append(time.perf_counter() - between)
    return {"sampling": median(sampling), "update": median(updating)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    found: dict[str, Any] = {"machine": machine(options.threads), "sweeps": {}}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, values in SWEEPS.items():
            points = []
            for value in values:
                times = measure(replace(Point(), **{name: value}), Path(folder))
                points.append({"value": value, **times})
                first = points[0]
                rows.append(
                    [
                        name if value == values[0] else "",
                        str(value),
                        f"{value / values[0]:.0f}×",
                        f"{times['sampling']:.2f}",
                        f"{times['sampling'] / first['sampling']:.1f}×",
                        f"{times['update']:.2f}",
                        f"{times['update'] / first['update']:.1f}×",
                    ]
                )
            found["sweeps"][name] = points
    publish("scaling", found)
    header = ["growing", "value", "growth", "sampling s", "growth", "update s", "growth"]
    show(
        f"{Point().problems} problems × {Point().group} responses, 1.7 M parameters, {options.threads} threads",
        header,
        rows,
    )


if __name__ == "__main__":
    main()
