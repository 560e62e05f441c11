"""The optimiser: learning-rate schedule, clipping, and a guard against steps that would ruin the weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from merf.core.progress import Progress
from merf.core.recipe import AdamW
from merf.core.seams import Batch, Objective
from merf.policy.policy import Policy
from merf.policy.shards import sharded_like, unsharded
from merf.train.measure import Tally
from merf.train.parallel import World

log = logging.getLogger("merf")
PATIENCE = 3
"""Steps in a row that may be skipped for a loss or gradient that isn't finite before the run stops."""


class TrainingStopped(RuntimeError):
    """The run can't go on; the message says why and what to try. The last good state is on disk."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or on the host."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


class Learner:
    """AdamW over the policy's trainable weights; weight decay on matrices only."""

    def __init__(self, policy: Policy, config: AdamW, world: World) -> None:
        self.policy, self.config, self.world = policy, config, world
        self.weights = [p for p in policy.model.parameters() if p.requires_grad]
        matrices = [p for p in self.weights if p.ndim > 1]
        others = [p for p in self.weights if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=config.lr,
            betas=config.betas,
            eps=config.eps,
        )
        self.finite = True  # whether the loss accumulated last is a number
        self.skipped = 0
        self.skipped_in_a_row = 0

    def rate(self, progress: Progress) -> float:
        """The learning rate at this point of training."""
        c = self.config
        warm = min((progress.step + 1) / c.warmup, 1.0) if c.warmup else 1.0
        span = max(progress.steps - c.warmup, 1)
        along = min(max(progress.step - c.warmup, 0) / span, 1.0)
        fall = {"constant": 1.0, "linear": 1 - along, "cosine": 0.5 * (1 + math.cos(math.pi * along))}[c.decay]
        return c.lr * warm * (c.floor + (1 - c.floor) * fall)

    def accumulate(self, batches: Callable[[], Iterable[Batch]], objective: Objective) -> Tally:
        """Add up the gradient of one optimiser step. Out of memory, the batches are cut in half, once."""
        self.policy.release()
        for attempt in (1, 2):
            tally = Tally()
            try:
                for batch in batches():
                    loss = objective(batch)
                    loss.value.backward()
                    tally.add(batch, loss)
                self.finite = math.isfinite(tally.loss)
                return tally
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                self.optimizer.zero_grad(set_to_none=True)
                budget = min(self.policy.tokens_per_batch, self.policy.largest_batch)  # a larger one had no effect
                if attempt == 2 or self.policy.shards is not None:  # other processes would wait for this one
                    raise TrainingStopped(
                        f"out of memory even with {budget} tokens at a time: lower --max-tokens, --group-size or "
                        f"--tokens-per-batch, or use --gradient-checkpointing ({str(error).splitlines()[0]})"
                    ) from error
                self.policy.tokens_per_batch = budget // 2
                log.warning("out of memory: going on with %d tokens at a time instead of %d", budget // 2, budget)
        raise AssertionError("not reached")

    def step(self, progress: Progress) -> dict[str, float]:
        """Apply the accumulated gradient, or skip it if it or the loss is not finite, on whichever process."""
        rate = self.rate(progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.policy.shards is None:  # else the backward passes have summed them
            self.world.sum_gradients(self.weights)
        norm = float(unsharded(torch.nn.utils.clip_grad_norm_(self.weights, self.config.clip)))
        if math.isfinite(norm) and not self.world.agree(not self.finite):
            if any(p.grad is not None for p in self.weights):
                self.optimizer.step()
            self.skipped_in_a_row = 0
        else:
            self.skipped += 1
            self.skipped_in_a_row += 1
        self.optimizer.zero_grad(set_to_none=True)
        self.policy.refresh()
        if self.skipped_in_a_row >= PATIENCE:
            raise TrainingStopped(
                f"the loss or its gradient was not finite {PATIENCE} steps in a row (step {progress.step}); the "
                "weights are those before the first of them. Lower --lr, lower the clip range, or look at the rewards "
                "of the last steps."
            )
        return {"grad_norm": norm, "learning_rate": rate, "skipped_steps": float(self.skipped)}

    def state_dict(self) -> dict[str, Any]:
        """The same however many processes there are. If the policy is sharded, all of them have to call this."""
        return {
            "optimizer": unsharded(self.optimizer.state_dict()),
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        for weight, moments in self.optimizer.state.items():
            moments.update({name: sharded_like(weight, value) for name, value in moments.items()})
        self.skipped, self.skipped_in_a_row = int(state["skipped"]), int(state["skipped_in_a_row"])
