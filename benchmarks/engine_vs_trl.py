"""One GRPO step, ours and TRL's: same model folder, prompts, group size, length limit, optimiser, one update.

Both train in float32 without gradient checkpointing, on the same number of threads, with the same reward
(the share of letters that are vowels: cheap, and different for every response). Rounds alternate between
the two, each round in a fresh process, the first steps left out. TRL with its own defaults (bf16 autocast,
gradient checkpointing) is an extra row. In one case the reward takes 20 ms a sample, and for one in 200 hangs:
ours scores in 16 workers with a limit, TRL as it comes waits for each in turn, and once more with an asynchronous
reward function that has a limit. Before all that, both take one step on the same responses, and loss and gradient are
compared.

    python benchmarks/engine_vs_trl.py [--rounds 3] [--steps 6] [--threads 2]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import first_step
from common import child, llama, machine, matmul_peak, median, peak_memory, publish, show, spread
from rewards import InWorkers, slow_vowel_share, slow_vowels, slow_vowels_each, vowel_share, vowels

PROBLEMS, GROUP = 16, 8

CASES: dict[str, dict[str, Any]] = {
    "motivation, 64 tokens": {"told": True, "limit": 64, "ragged": False, "slow": False},
    "no motivation, 64 tokens": {"told": False, "limit": 64, "ragged": False, "slow": False},
    "motivation, ragged (mean about 70, limit 256)": {"told": True, "limit": 256, "ragged": True, "slow": False},
    "slow reward (20 ms, one in 200 hangs), 64 tokens": {"told": True, "limit": 64, "ragged": False, "slow": True},
}
DEFAULTS, ASYNC = "TRL, its defaults", "TRL, asynchronous reward"
WORKERS = 16


def contestants(case: dict[str, Any]) -> tuple[str, ...]:
    return ("ours", "TRL", ASYNC if case["slow"] else DEFAULTS)


def prompts(told: bool, n: int) -> list[list[dict[str, str]]]:
    """Knights & Knaves prompts as the demo's arms see them."""
    from itertools import islice

    from merf.framing.motivation import Motivated
    from merf.lab.worlds import knights
    from merf.train.build import paper_rulebook

    task = knights.task((3, 3))
    framing = Motivated(task.instruction)
    return [
        [dict(m) for m in framing.frame(problem, paper_rulebook(), told).acting]
        for problem in islice(task.problems(), n)
    ]


def ragged_end(config: Any, mean: float = 70.0) -> list[int]:
    """Token ids that count as the end, so that lengths of random text are geometric with about this mean."""
    vocabulary = config.vocab_size
    return [config.eos_token_id, *range(10, 10 + max(round(vocabulary / mean) - 1, 0))]


def run_ours(a: dict[str, Any]) -> dict[str, Any]:
    import torch

    from merf.core.layout import Plain
    from merf.core.problem import Problem, Prompt
    from merf.core.recipe import AdamW, Recipe
    from merf.core.response import Verdict
    from merf.core.sampling import Sampling
    from merf.credit.group import GroupRelative
    from merf.objective.policy_gradient import ClippedPolicyGradient
    from merf.policy.policy import Policy
    from merf.rollout.sampled import Sampled
    from merf.rules.rulebook import Rulebook
    from merf.train.loop import train
    from merf.train.run import Run

    torch.set_num_threads(a["threads"])
    policy = Policy.load(a["model"])
    if a["ragged"]:
        policy.stops = frozenset(ragged_end(policy.model.config))
    if a.get("endless"):
        policy.stops = frozenset({-1})
    messages = [tuple(m) for m in prompts(a["told"], PROBLEMS * a["steps"])]

    @dataclass
    class Listed:
        name: str = "listed"
        layout: Any = Plain()
        instruction: str = ""

        def problems(self, split: str = "train", seed: int = 0) -> Any:
            return iter([Problem(m, id=str(i)) for i, m in enumerate(messages)])

        def verify(self, problem: Problem, answer: str) -> Verdict:
            return Verdict(True)

        def describe(self) -> str:
            return "a list of prompts"

    def as_is(problem: Problem, member: int, size: int, progress: Any, book: Any) -> Prompt:
        return Prompt(problem.messages, problem.messages)

    from merf.curriculum.stream import Stream

    task = Listed()

    slow = a.get("slow")
    rulebook: Any = InWorkers(Rulebook(slow_vowel_share), WORKERS) if slow else Rulebook(vowel_share)
    recipe = Recipe(
        task=task,
        rulebook=rulebook,
        framing=as_is,
        rollout=Sampled(GROUP),
        credit=GroupRelative(),
        objective=ClippedPolicyGradient(),
        curriculum=Stream(task),
        problems=PROBLEMS,
        group_size=GROUP,
        sampling=Sampling(max_tokens=a["limit"]),
        optimizer=AdamW(lr=1e-5, clip=1.0),
        steps=a["steps"],
    )
    marks: list[tuple[float, float]] = []
    tokens: list[float] = []

    def watch(kind: str, record: dict[str, Any]) -> None:
        if kind == "step":
            marks.append((time.perf_counter(), time.process_time()))
            tokens.append(record["completions/mean_length"] * PROBLEMS * GROUP)

    with tempfile.TemporaryDirectory() as folder:
        marks.append((time.perf_counter(), time.process_time()))
        train(recipe, policy, Run(Path(folder), watch=watch, checkpoint_every=10**9, samples_per_step=0))
    return summary(marks, tokens)


def run_trl(a: dict[str, Any]) -> dict[str, Any]:
    import torch
    from transformers import AutoConfig, TrainerCallback
    from trl_trainer import trainer_of

    torch.set_num_threads(a["threads"])

    def said(completions: list[Any]) -> list[str]:
        return [c[0]["content"] for c in completions]

    def reward(completions: list[Any], **columns: Any) -> list[float]:
        return [slow_vowels(text) if a["slow"] else vowels(text) for text in said(completions)]

    async def reward_each(completions: list[Any], **columns: Any) -> list[float | None]:
        return await slow_vowels_each(said(completions))

    marks: list[tuple[float, float]] = []
    tokens: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            marks.append((time.perf_counter(), time.process_time()))

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append((time.perf_counter(), time.process_time()))

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            if "completions/mean_length" in logs:
                tokens.append(logs["completions/mean_length"] * PROBLEMS * GROUP)

    with tempfile.TemporaryDirectory() as folder:
        trainer_of(
            a["model"],
            prompts(a["told"], PROBLEMS * a["steps"]),
            reward_each if a["who"] == ASYNC else reward,
            folder,
            group=GROUP,
            batch=PROBLEMS * GROUP,
            limit=a["limit"],
            steps=a["steps"],
            callbacks=[Clock()],
            ends=ragged_end(AutoConfig.from_pretrained(a["model"])) if a["ragged"] else (),
            plain=a["who"] != DEFAULTS,
        ).train()
    return summary(marks, tokens)


def summary(marks: list[tuple[float, float]], tokens: list[float]) -> dict[str, Any]:
    """Seconds per step after the first, which warms up."""
    wall = [b[0] - a[0] for a, b in pairwise(marks[1:])]
    cpu = [b[1] - a[1] for a, b in pairwise(marks[1:])]
    return {"wall": wall, "cpu": cpu, "tokens": tokens[1:], "memory": peak_memory()}


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(options.threads), "asked": vars(options), "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        model = str(llama(Path(folder) / "model"))
        found["first step"] = first_step.compare(model, options.threads)
        rows = []
        for name, case in CASES.items():
            runs: dict[str, list[dict[str, Any]]] = {who: [] for who in contestants(case)}
            for _ in range(options.rounds):
                for who in runs:
                    shared = {"model": model, "threads": options.threads, "steps": options.steps, **case}
                    runs[who].append(child(__file__, {"who": who, **shared}, options.threads))
            record: dict[str, Any] = {}
            for who, measured in runs.items():
                wall = [w for run in measured for w in run["wall"]]
                tokens = median([t for run in measured for t in run["tokens"]])
                record[who] = {
                    "seconds": wall,
                    "cpu_seconds": [c for run in measured for c in run["cpu"]],
                    "tokens_per_step": tokens,
                    "memory_mib": max(run["memory"] for run in measured),
                }
            found["cases"][name] = record
            ours = record["ours"]
            for who, r in record.items():
                # Random text ends when it likes: compare seconds per sampled token.
                per_token = median(r["seconds"]) / r["tokens_per_step"]
                ratio = per_token / (median(ours["seconds"]) / ours["tokens_per_step"])
                r["time per token / ours"] = ratio
                rows.append(
                    [
                        name if who == "ours" else "",
                        who,
                        spread(r["seconds"]),
                        f"{median(r['cpu_seconds']):.2f}",
                        f"{r['tokens_per_step']:,.0f}",
                        f"{r['memory_mib']:,.0f}",
                        f"{ratio:.2f}×",
                    ]
                )
    found["machine"]["matmul_peak_after_gflops"] = round(matmul_peak(options.threads), 1)
    publish("engine_vs_trl", found)
    header = ["case", "who", "seconds per step", "CPU s", "tokens per step", "peak MiB", "time per token / ours"]
    show(f"GRPO step, {PROBLEMS} problems × {GROUP} responses, {options.threads} threads", header, rows)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        arguments = json.loads(sys.argv[1])
        print(json.dumps(run_ours(arguments) if arguments["who"] == "ours" else run_trl(arguments)))
    else:
        main()
