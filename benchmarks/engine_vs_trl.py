"""One GRPO step, ours and TRL's: same model folder, prompts, group size, length limit, optimiser, one update.

Both train in float32 without gradient checkpointing, on the same number of threads, with the same reward
(the share of letters that are vowels: cheap, and different for every response). Each has a process of its own; they
take turns step by step, and the first step of each is left out. TRL with its own defaults (bf16 autocast, gradient
checkpointing) is an extra row. In one case the reward takes 20 ms a sample, and for one in 200 hangs: ours scores in
16 workers with a limit, TRL as it comes waits for each in turn, and once more with an asynchronous reward function that
has a limit. These extra rows take every third turn. Before all that, both take one step on the same responses, and loss
and gradient are compared; after it, ours takes one more step under PyTorch's profiler.

    python benchmarks/engine_vs_trl.py [--minutes 8] [--rounds 12] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import first_step
from common import (
    Contestant,
    Turns,
    llama,
    machine,
    matmul_peak,
    median,
    publish,
    rounds,
    shares,
    show,
    spread,
    timed,
)
from rewards import InWorkers, slow_vowel_share, slow_vowels, slow_vowels_each, vowel_share, vowels

PROBLEMS, GROUP, WORKERS = 16, 8, 16
DEFAULTS, ASYNC = "TRL, its defaults", "TRL, asynchronous reward"

CASES: dict[str, dict[str, Any]] = {
    "motivation, 64 tokens": {"told": True, "limit": 64, "ragged": False, "slow": False, "extra": [DEFAULTS]},
    "no motivation, 64 tokens": {"told": False, "limit": 64, "ragged": False, "slow": False, "extra": []},
    "motivation, ragged (mean about 70, limit 256)": {
        "told": True,
        "limit": 256,
        "ragged": True,
        "slow": False,
        "extra": [],
    },
    "slow reward (20 ms, one in 200 hangs), 64 tokens": {
        "told": True,
        "limit": 64,
        "ragged": False,
        "slow": True,
        "extra": [ASYNC],
    },
}

EXTRA_TURNS = 3
"""Contestants beside the two take one turn in so many."""


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


def run_ours(a: dict[str, Any]) -> None:
    """A contestant that is this library; also used by motivation_cost.py."""
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
    messages = [tuple(m) for m in prompts(a["told"], a["problems"] * a["steps"])]

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
        rollout=Sampled(a["group"]),
        credit=GroupRelative(),
        objective=ClippedPolicyGradient(),
        curriculum=Stream(task),
        problems=a["problems"],
        group_size=a["group"],
        sampling=Sampling(max_tokens=a["limit"]),
        optimizer=AdamW(lr=1e-5, clip=1.0),
        steps=a["steps"],
    )
    parts: dict[str, float] = {}
    policy.sample = timed(policy.sample, parts, "sampling")  # type: ignore[method-assign]
    turns = Turns()

    def watch(kind: str, record: dict[str, Any]) -> None:
        if kind == "step":
            tokens = record["completions/mean_length"] * a["problems"] * a["group"]
            turns.done(tokens=tokens, parts=dict(parts))
            parts.clear()

    with tempfile.TemporaryDirectory() as folder:
        train(recipe, policy, Run(Path(folder), watch=watch, checkpoint_every=10**9, samples_per_step=0))


def run_trl(a: dict[str, Any]) -> None:
    import torch
    from transformers import AutoConfig, TrainerCallback
    from trl_trainer import trainer_of

    torch.set_num_threads(a["threads"])
    ends = ragged_end(AutoConfig.from_pretrained(a["model"])) if a["ragged"] else []
    sampled = 0

    def said(completions: list[Any]) -> list[str]:
        return [c[0]["content"] for c in completions]

    def count(responses: list[list[int]]) -> None:
        """Tokens up to the first that ends a response: the trainer knows one of them, and counts the padding after the
        others as sampled."""
        nonlocal sampled
        sampled = sum(next((n for n, id in enumerate(one, 1) if id in ends), len(one)) for one in responses)

    def reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float]:
        count(completion_ids)
        return [slow_vowels(text) if a["slow"] else vowels(text) for text in said(completions)]

    async def reward_each(
        completions: list[Any], completion_ids: list[list[int]], **columns: Any
    ) -> list[float | None]:
        count(completion_ids)
        return await slow_vowels_each(said(completions))

    class OnTurn(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            self.turns = Turns()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            if "completions/mean_length" in logs:
                self.turns.done(tokens=sampled)

    with tempfile.TemporaryDirectory() as folder:
        trainer_of(
            a["model"],
            prompts(a["told"], a["problems"] * a["steps"]),
            reward_each if a["who"] == ASYNC else reward,
            folder,
            group=a["group"],
            batch=a["problems"] * a["group"],
            limit=a["limit"],
            steps=a["steps"],
            callbacks=[OnTurn()],
            ends=ends,
            plain=a["who"] != DEFAULTS,
        ).train()


def compete(case: dict[str, Any], model: str, asked: argparse.Namespace, until: float) -> dict[str, Any]:
    """The figures of each contestant in one case, and where a step of ours spends its time."""
    everybody = {"model": model, "threads": asked.threads, "steps": asked.rounds + 2}
    everybody |= {"problems": asked.problems, "group": asked.group, **case, "limit": min(case["limit"], asked.limit)}
    contestants = ("ours", "TRL", *case["extra"])
    running = {who: Contestant(__file__, {"who": who, **everybody}, asked.threads) for who in contestants}
    steps: dict[str, list[dict[str, Any]]] = {who: [] for who in running}
    try:
        for contestant in running.values():
            contestant.step()
        for turn in rounds(asked.rounds, until):
            for who, contestant in running.items():
                if who not in case["extra"] or turn % EXTRA_TURNS == 0:
                    steps[who].append(contestant.step())
        profiled = running["ours"].step(profiled=True)
    finally:
        for contestant in running.values():
            contestant.stop()
    record: dict[str, Any] = {}
    for who, taken in steps.items():
        record[who] = {
            "seconds": [step["wall"] for step in taken],
            "cpu_seconds": [step["cpu"] for step in taken],
            "tokens_per_step": median([step["tokens"] for step in taken]),
            "memory_mib": taken[-1]["memory"],
            "memory_before_mib": taken[-1]["memory before"],
        }
        # Random text ends when it likes: compare seconds per sampled token.
        own = median(record[who]["seconds"]) / record[who]["tokens_per_step"]
        ours = median(record["ours"]["seconds"]) / record["ours"]["tokens_per_step"]
        record[who]["time per token / ours"] = own / ours
    sampling = median([step["parts"]["sampling"] / step["wall"] for step in steps["ours"]])
    record["ours"]["profile"] = {"sampling": sampling, "operations": profiled["operations"]}
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="rounds end in time for this")
    parser.add_argument("--rounds", type=int, default=12, help="at most so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="the same code at a tiny size: no figures are kept")
    asked = parser.parse_args()
    asked.problems, asked.group, asked.limit = (2, 2, 4) if asked.tiny else (PROBLEMS, GROUP, 10**6)
    found: dict[str, Any] = {"machine": machine(asked.threads), "asked": vars(asked), "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        model = str(llama(Path(folder) / "model"))
        found["first step"] = first_step.compare(model, asked.threads)
        for (name, case), until in shares([*CASES.items()], asked.minutes):
            found["cases"][name] = compete(case, model, asked, until)
    found["machine"]["matmul_peak_after_gflops"] = round(matmul_peak(asked.threads), 1)
    if not asked.tiny:
        publish("engine_vs_trl", found)
    rows = [
        [
            name if who == "ours" else "",
            who,
            spread(r["seconds"]),
            f"{median(r['cpu_seconds']):.2f}",
            f"{r['tokens_per_step']:,.0f}",
            f"{r['memory_mib']:,.0f}",
            f"{r['time per token / ours']:.2f}×",
        ]
        for name, record in found["cases"].items()
        for who, r in record.items()
    ]
    header = ["case", "who", "seconds per step", "CPU s", "tokens per step", "peak MiB", "time per token / ours"]
    title = f"GRPO step, {asked.problems} problems × {asked.group} responses, {asked.threads} threads"
    show(title, header, rows, found)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        arguments = json.loads(sys.argv[1])
        (run_ours if arguments["who"] == "ours" else run_trl)(arguments)
    else:
        main()
