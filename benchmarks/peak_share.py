"""How much of the machine's matmul peak the update reaches, by model width, and where the rest goes.

A step's update over 8 groups of 8 responses (150 prompt tokens, 60 response tokens each), two layers deep.
Counted are the multiplications that plain matrix products of the forward and backward pass need, attention's
included; everything else (norms, rotations, softmax, gathers, the optimiser) counts as time only.

    python benchmarks/peak_share.py [--threads 2] [--profile]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from random import Random

from common import llama, machine, matmul_peak, median, publish, show

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
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--profile", action="store_true", help="print where the time goes at every width")
    options = parser.parse_args()
    import torch

    from merf.policy.policy import Policy

    found = {"machine": machine(options.threads), "widths": {}}
    rows = []
    for width in WIDTHS:
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
        for _ in range(options.repeats):
            peaks.append(matmul_peak(options.threads, seconds=0.3))
            before = time.perf_counter()
            update()
            times.append(time.perf_counter() - before)
        row = GROUPS * PROMPT + len(said) * RESPONSE
        rate = flops(policy, row, len(said) * RESPONSE) / median(times) / 1e9
        share = rate / median(peaks)
        parts = breakdown(update)
        found["widths"][width] = {
            "seconds": times,
            "gflops": rate,
            "peak": median(peaks),
            "share": share,
            "parts": parts,
        }
        rows.append(
            [str(width), f"{median(times):.3f}", f"{rate:.0f}", f"{median(peaks):.0f}", f"{share:.0%}"]
            + [f"{parts[name]:.0%}" for name in PARTS]
        )
        if options.profile:
            print(profile(update))
    publish("peak_share", found)
    header = ["width", "seconds", "GFLOP/s", "peak", "share of peak", *(f"time in {name}" for name in PARTS)]
    show(f"Update of {GROUPS} × {MEMBERS} responses, {LAYERS} layers, {options.threads} threads", header, rows)


PARTS = ("matmul", "attention", "gather and scatter", "the rest")


def measured(update) -> object:  # type: ignore[no-untyped-def]
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recording

    with recording(activities=[ProfilerActivity.CPU]) as found:
        update()
    return found.key_averages()


def breakdown(update) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Shares of the update's own CPU time."""
    sums = dict.fromkeys(PARTS, 0.0)
    for event in measured(update):  # type: ignore[attr-defined]
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


def profile(update) -> str:  # type: ignore[no-untyped-def]
    table: str = measured(update).table(sort_by="self_cpu_time_total", row_limit=15)  # type: ignore[attr-defined]
    return table


if __name__ == "__main__":
    main()
