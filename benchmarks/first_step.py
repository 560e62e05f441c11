"""Whether ours and TRL's first steps are the same step: loss and gradient on the very same responses.

TRL samples and scores one batch; its token ids, rewards, loss and gradient are written down. Ours takes ids and
rewards, and computes the rest by itself: advantages, log-probs, loss, gradient.

    python benchmarks/first_step.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import child, llama

GROUP, PROBLEMS, LIMIT = 8, 4, 48


def run_trl(a: dict[str, Any]) -> dict[str, Any]:
    import torch
    from engine_vs_trl import prompts, ragged_end
    from rewards import vowels
    from safetensors.torch import save_file
    from transformers import AutoConfig, TrainerCallback
    from trl import GRPOTrainer
    from trl_trainer import trainer_of

    torch.set_num_threads(a["threads"])
    seen: dict[str, torch.Tensor] = {}
    paid: list[float] = []
    losses: list[float] = []

    def reward(completions: list[Any], **columns: Any) -> list[float]:
        paid[:] = [vowels(c[0]["content"]) for c in completions]
        return paid

    class Watched(GRPOTrainer):
        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
            loss = super()._compute_loss(model, inputs)
            names = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages")
            seen.update({name: inputs[name].detach().clone().contiguous() for name in names})
            losses.append(float(loss.detach()))
            return loss

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
            named = model.named_parameters()
            seen.update({f"gradient.{name}": p.grad.clone() for name, p in named if p.grad is not None})

    with tempfile.TemporaryDirectory() as folder:
        trainer_of(
            a["model"],
            prompts(True, PROBLEMS),
            reward,
            folder,
            group=GROUP,
            batch=PROBLEMS * GROUP,
            limit=LIMIT,
            steps=1,
            kind=Watched,
            callbacks=[Gradients()],
            ends=ragged_end(AutoConfig.from_pretrained(a["model"])),
            max_grad_norm=1e9,
        ).train()
    assert len(losses) == 1, "the step was cut into several"
    # TRL shuffles a batch before it computes the loss, so its advantages say which reward belongs to which row.
    seen["rewards"] = torch.tensor(paid, dtype=torch.float64)
    save_file(seen, a["file"])
    return {"loss": losses[0]}


def run_ours(a: dict[str, Any]) -> dict[str, Any]:
    import numpy as np
    import torch
    from safetensors.torch import load_file

    from merf.core.rollouts import Rollouts
    from merf.credit.group import GroupRelative, over_tokens
    from merf.objective.policy_gradient import ClippedPolicyGradient
    from merf.policy.policy import Policy

    torch.set_num_threads(a["threads"])
    seen = load_file(a["file"])
    policy = Policy.load(a["model"])
    kept = seen["completion_mask"].bool()
    asked = [ids[mask.bool()].tolist() for ids, mask in zip(seen["prompt_ids"], seen["prompt_mask"], strict=True)]
    n = len(asked)

    ours = GroupRelative().advantages(seen["rewards"].double().numpy(), np.arange(n) // GROUP)
    advantage_gap = float(np.abs(np.sort(ours) - np.sort(seen["advantages"].double().numpy())).max())
    # Rows in TRL's order, by the advantage that is nearest to what TRL says.
    ours = ours[np.abs(ours[None] - seen["advantages"].double().numpy()[:, None]).argmin(1)]

    rollouts = Rollouts(
        problems=[None] * n,  # type: ignore[list-item]
        prompts=[None] * n,  # type: ignore[list-item]
        acting=asked,
        learning=asked,
        tokens=seen["completion_ids"],
        mask=kept,
        logprobs=torch.zeros(kept.shape),
        lengths=kept.sum(1),
        texts=[""] * n,
        finished=[True] * n,
        group=np.arange(n) // GROUP,
        member=[i % GROUP for i in range(n)],
        trajectory=np.arange(n),
        source=["policy"] * n,
    )

    class Plain:
        objective = ClippedPolicyGradient()

        class sampling:
            max_tokens = LIMIT

    loss = 0.0
    for batch in policy.batches(rollouts, over_tokens(ours, rollouts), Plain):  # type: ignore[arg-type]
        share = Plain.objective(batch).value
        share.backward()
        loss += float(share.detach())
    names = [name.removeprefix("gradient.") for name in seen if name.startswith("gradient.")]
    mine = dict(policy.model.named_parameters())
    difference = torch.cat([(mine[name].grad - seen[f"gradient.{name}"]).flatten() for name in names])
    theirs = torch.cat([seen[f"gradient.{name}"].flatten() for name in names])
    return {
        "loss": loss,
        "advantage gap": advantage_gap,
        "relative gradient gap": float(difference.norm() / theirs.norm()),
        "gradient norm": float(theirs.norm()),
        "tokens": int(kept.sum()),
    }


def compare(model: str, threads: int) -> dict[str, Any]:
    """Both losses, and by how much loss, advantages and gradient differ."""
    with tempfile.TemporaryDirectory() as folder:
        shared = {"model": model, "threads": threads, "file": str(Path(folder) / "step.safetensors")}
        theirs = child(__file__, {"who": "TRL", **shared}, threads)
        ours = child(__file__, {"who": "ours", **shared}, threads)
    return {**ours, "TRL's loss": theirs["loss"], "loss gap": abs(ours["loss"] - theirs["loss"])}


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        arguments = json.loads(sys.argv[1])
        print(json.dumps(run_ours(arguments) if arguments["who"] == "ours" else run_trl(arguments)))
    else:
        with tempfile.TemporaryDirectory() as home:
            print(json.dumps(compare(str(llama(Path(home) / "model")), 1), indent=1))
