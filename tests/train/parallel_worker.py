"""One process of a distributed run: `torchrun … parallel_worker.py FOLDER MODEL [shard]`. Writes its weights."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from merf.core.recipe import AdamW
from merf.policy.policy import Policy
from merf.tasks.knights_knaves import KnightsKnaves
from merf.train.build import build_recipe, evaluation_plan
from merf.train.loop import train
from merf.train.options import EvaluationOptions, MotivationOptions, ObjectiveOptions, TrainOptions
from merf.train.parallel import World
from merf.train.run import Run
from tests.train.conftest import BOOK


def main(folder: Path, model: str, shard: bool) -> None:
    torch.set_num_threads(1)
    world = World.join("cpu")
    options = TrainOptions(
        people=(2, 2),
        steps=4,
        problems=4,
        group_size=4,
        max_tokens=16,
        # Sums are rounded in another order; with the usual eps, Adam blows that up where a gradient is nearly 0.
        optimizer=AdamW(lr=3e-3, eps=1e-5, warmup=2),
        motivation=MotivationOptions(exposure="half"),
        objective=ObjectiveOptions(kl=0.01, scale="batch"),
        evaluation=EvaluationOptions(every=2, problems=5, samples=2, quick_problems=3, quick_samples=1),
    )
    task = KnightsKnaves(people=(2, 2))
    recipe = build_recipe(options, task, BOOK).but(minibatches=2)
    policy = Policy.load(model, tokens_per_batch=400)  # several micro-batches, not as many on every rank
    if shard:
        policy.shard()
        # A weight and its gradient are spread: what this rank holds of them is less than the whole.
        held = sum(p.to_local().numel() for p in policy.model.parameters())
        assert held < 0.6 * sum(p.numel() for p in policy.model.parameters())
    train(recipe, policy, Run(folder / "run", evaluation_plan(options, recipe), checkpoint_every=2), world)
    save_file({k: v.clone() for k, v in policy.whole.named_parameters()}, folder / f"weights-{world.rank}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], "shard" in sys.argv[3:])
