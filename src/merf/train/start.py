"""From options to a finished run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w
import torch
import transformers

from merf.core.problem import Problem
from merf.core.recipe import Recipe
from merf.core.seams import Task
from merf.policy.load import ModelError
from merf.policy.policy import Policy
from merf.rules.rulebook import Rulebook
from merf.train import records
from merf.train.build import build_recipe, evaluation_plan, longest_problems
from merf.train.learner import TrainingStopped
from merf.train.loop import train
from merf.train.options import TrainOptions, to_dict
from merf.train.parallel import World
from merf.train.run import EvaluationPlan, Run
from merf.train.teachable import Teachable, Watch


def start(
    options: TrainOptions,
    task: Task,
    model: Path | str,
    folder: Path,
    watch: Watch,
    resume: str = "",
    rulebook: Rulebook | None = None,
) -> Run:
    """Train as `options` say, on `task`, from the weights at `model`, into `folder`.

    A folder that already holds checkpoints is continued. `resume` is the command that would do so, for
    people to copy. `rulebook` stands in for the one that the options name.
    """
    torch.set_num_threads(options.threads)
    world = World.join(options.device)
    transformers.utils.logging.disable_progress_bar()
    recipe = build_recipe(options, task, rulebook)
    plan = evaluation_plan(options, recipe)
    longest = longest_problems(options, task)
    policy = Policy.load(
        model,
        options.device,
        options.trust_remote_code,
        tokens_per_batch=options.tokens_per_batch,
        precision=precision_of(options),
    )
    policy.static = options.static_decoding
    if options.gradient_checkpointing:
        policy.save_memory()
    if options.lora_rank:
        policy.add_adapters(options.lora_rank, options.seed)
    if options.shard:
        check_shardable(options, recipe, world)
        policy.shard()
    if options.server.url:
        policy.use_server(options.server.url, options.server.model, options.server.speaks, folder / "served")
    check_prompts(policy, plan, [*longest, *plan.problems], options.max_tokens)

    with records.no_other_run_in(folder) if world.leads else nullcontext():
        run = Run(folder, plan, watch=Teachable(watch, len(plan.problems) * plan.samples), resume_command=resume)
        if world.leads:
            records.write_text(folder / "config.toml", tomli_w.dumps(to_dict(options)))
            records.write_text(folder / "rulebook.txt", recipe.rulebook.describe())
            records.write_text(folder / "motivation.txt", recipe.framing.telling(recipe.rulebook))
            environment = {"seed": options.seed, "threads": options.threads, "processes": world.size}
            records.write_text(folder / "environment.toml", tomli_w.dumps({**environment, **describe_environment()}))
        run.listen()
        try:
            train(recipe, policy, run, world)
        except TrainingStopped as stopped:
            if world.leads:
                run.failed(str(stopped))
            raise
    return run


def check_shardable(options: TrainOptions, recipe: Recipe, world: World) -> None:
    """Refuse what sharding can't be combined with."""
    if world.size == 1:
        raise ValueError("--shard spreads the weights over processes: start several with `torchrun --nproc_per_node N`")
    if options.lora_rank:
        raise ValueError(
            "--shard doesn't go with --lora-rank: adapters are small, and the rest needs no optimiser state"
        )
    if recipe.judges:
        raise ValueError("--shard doesn't go with a method whose judge is a model of its own: it wouldn't be sharded")


def check_prompts(policy: Policy, plan: EvaluationPlan, problems: Sequence[Problem], max_tokens: int) -> None:
    """Refuse problems whose prompts leave no room for a response, by name, before anything is computed."""
    for frame in plan.prompts.values():
        lengths = [len(policy.encode(frame(problem)).ids) for problem in problems]
        worst = max(range(len(problems)), key=lambda i: lengths[i])
        try:
            policy.check_room([[0] * lengths[worst]], max_tokens)
        except ModelError as error:
            raise ModelError(f"{problems[worst].id}: {error}") from error


def precision_of(options: TrainOptions) -> torch.dtype:
    """The precision that the options ask for."""
    if options.precision == "auto":
        return torch.bfloat16 if options.device.startswith("cuda") else torch.float32
    return torch.bfloat16 if options.precision == "bfloat16" else torch.float32


def describe_environment() -> dict[str, Any]:
    """What a reader needs to repeat a run: versions, commit, machine."""
    packages = ("merf", "torch", "transformers", "tokenizers", "numpy", "reasoning-gym", "peft")
    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commit = ""
    try:
        here = Path(__file__).parent
        # "-dirty" at its end says that the code was not quite that of the commit.
        ask = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        asked = subprocess.run(ask, cwd=here, capture_output=True, text=True, check=False)
        commit = asked.stdout.strip() if asked.returncode == 0 else ""
    except OSError:
        commit = ""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "commit": commit,
        "packages": found,
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
