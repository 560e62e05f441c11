"""How much of the machine's matmul peak the update reaches, by model width, and where the rest goes.

A step's update over 8 groups of 8 responses (150 prompt tokens, 60 response tokens each), two layers deep.
Counted are the multiplications that plain matrix products of the forward and backward pass need, attention's
included; everything else (norms, rotations, softmax, gathers, the optimiser) counts as time only.

    python benchmarks/peak_share.py [--minutes 2] [--repeats 7] [--threads 2] [--profile]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from common import llama, machine, matmul_peak, median, operations, publish, rounds, shares, show

WIDTHS = (128, 256, 512, 1024)
LAYERS, GROUPS, MEMBERS, PROMPT, RESPONSE = 2, 8, 8, 150, 60


def flops(policy: object, row: int, scored: int) -> float:
    """Multiply–adds × 2 of the forward pass, times three for forward and backward."""
    config = policy.model.config  # type: ignore[attr-defined]
    d, m = config.hidden_size, config.intermediate_size
    dense = row * LAYERS * (4 * d * d + 3 * d * m) + scored * d * config.vocab_size
    prefix_and_prompts = GROUPS * PROMPT * PROMPT / 2
    responses = GROUPS * MEMBERS * RESPONSE * (PROMPT + RESPONSE / 2)
    attention = LAYERS * 2 * d * (prefix_and_prompts + responses)
    return 3 * 2 * (dense + attention)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="repeats end in time for this")
    parser.add_argument("--repeats", type=int, default=7, help="at most so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="the smallest width only: no figures are kept")
    parser.add_argument("--profile", action="store_true", help="print where the time goes at every width")
    options = parser.parse_args()
    import torch

    from merf.policy.policy import Policy

    found: dict[str, Any] = {"machine": machine(options.threads), "asked": vars(options), "widths": {}}
    rows = []
    # Wide ones take longest: they come last, and get what the others leave.
    for width, until in shares(WIDTHS[:1] if options.tiny else WIDTHS, options.minutes):
        with tempfile.TemporaryDirectory() as folder:
            policy = Policy.load(llama(Path(folder) / "model", width, LAYERS))
        rng = Random(0)
        prompts = [[rng.randrange(300) for _ in range(PROMPT)] for _ in range(GROUPS)]
        shown = [prompt for prompt in prompts for _ in range(MEMBERS)]
        said = [[rng.randrange(300) for _ in range(RESPONSE)] for _ in shown]
        wanted = torch.ones(len(said), RESPONSE, dtype=torch.bool)

        def update(policy=policy, shown=shown, said=said, wanted=wanted) -> None:  # type: ignore[no-untyped-def]
            policy._score(policy.model, shown, said, wanted).logprobs.sum().backward()
            policy.model.zero_grad(set_to_none=True)

        update()
        times, peaks = [], []
        for _ in rounds(options.repeats, until):
            peaks.append(matmul_peak(options.threads, seconds=0.3))
            before = time.perf_counter()
            update()
            times.append(time.perf_counter() - before)
        row = GROUPS * PROMPT + len(said) * RESPONSE
        rate = flops(policy, row, len(said) * RESPONSE) / median(times) / 1e9
        share = rate / median(peaks)
        recording = recorded(update)
        found["widths"][width] = {
            "seconds": times,
            "gflops": rate,
            "peak": median(peaks),
            "share": share,
            "parts": breakdown(recording),
            "operations": operations(recording),
        }
        rows.append(
            [str(width), f"{median(times):.3f}", f"{rate:.0f}", f"{median(peaks):.0f}", f"{share:.0%}"]
            + [f"{part:.0%}" for part in breakdown(recording).values()]
        )
        if options.profile:
            print(recording.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))
    if not options.tiny:
        publish("peak_share", found)
    header = ["width", "seconds", "GFLOP/s", "peak", "share of peak", *(f"time in {name}" for name in PARTS)]
    show(f"Update of {GROUPS} × {MEMBERS} responses, {LAYERS} layers, {options.threads} threads", header, rows, found)


PARTS = ("matmul", "attention", "gather and scatter", "the rest")


def recorded(work: Callable[[], None]) -> Any:
    """A profile of `work`."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as recording:
        work()
    return recording


def breakdown(recording: Any) -> dict[str, float]:
    """Shares of the recorded CPU time."""
    sums = dict.fromkeys(PARTS, 0.0)
    for event in recording.key_averages():
        name, spent = event.key, event.self_cpu_time_total
        if "scaled_dot_product" in name:
            sums["attention"] += spent
        elif name in ("aten::mm", "aten::addmm", "aten::bmm"):
            sums["matmul"] += spent
        elif any(word in name for word in ("scatter", "gather", "index", "cat")):
            sums["gather and scatter"] += spent
        else:
            sums["the rest"] += spent
    total = sum(sums.values())
    return {name: spent / total for name, spent in sums.items()}


if __name__ == "__main__":
    main()
