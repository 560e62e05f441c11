"""The numbers of a step, under the names that dashboards of this field know."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from merf.core.response import Scores
from merf.core.rollouts import Rollouts
from merf.core.seams import Batch, Loss
from merf.credit.group import group_equal
from merf.train.parallel import World


class Tally:
    """Sums over the micro-batches of one step."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.tokens = 0
        self.sums: dict[str, float] = {}
        self.facts: dict[str, float] = {}
        self.updates = 0

    def add(self, batch: Batch, loss: Loss) -> None:
        self.loss += float(loss.value.detach())
        self.tokens += int(batch.mask.sum())
        for name, value in loss.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def include(self, other: Tally) -> None:
        """Add another update's sums."""
        self.loss += other.loss
        self.tokens += other.tokens
        for name, value in other.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def updated(self, facts: Mapping[str, float]) -> None:
        """Facts of an update; the last one of the step stands."""
        self.facts.update(facts)
        self.updates += 1

    def metrics(self, world: World) -> dict[str, float]:
        """Loss and means per token over all processes, and the facts of the last update."""
        whole = world.sum({"loss": self.loss, "tokens": float(self.tokens), **self.sums})
        means = {name: whole[name] / max(whole["tokens"], 1) for name in whole if name not in ("loss", "tokens")}
        return {"loss": whole["loss"], **means, **self.facts}


def masked_mean(values: Tensor, mask: Tensor) -> float:
    return float((values * mask).sum() / mask.sum().clamp_min(1))


def step_metrics(
    rollouts: Rollouts, scores: Scores, advantages: Tensor, tally: Tally, world: World
) -> dict[str, float]:
    """One flat record. `correct` is the share of right answers in the training samples; `live_groups` the share
    of groups whose members were not all paid alike (only they teach anything)."""
    attempts = rollouts.attempts()
    first = [rows[0] for rows in attempts]
    group = rollouts.group[first]
    exposure = np.array([rollouts.prompts[i].exposure for i in first])
    known = scores.total[~np.isnan(scores.total)]
    equal = group_equal(scores.total, group)
    lengths = np.array([int(rollouts.lengths[rows].sum()) for rows in attempts])
    spread = [scores.total[group == g] for g in np.unique(group)]
    record = {
        "reward": float(known.mean()) if len(known) else float("nan"),
        "reward_std": float(np.nanmean([np.nanstd(s) for s in spread])) if len(known) else float("nan"),
        "reward_best": float(np.nanmean([np.nanmax(s) for s in spread])) if len(known) else float("nan"),
        "frac_reward_zero_std": float(equal.mean()),
        "live_groups": float(1 - equal.mean()),
        "failed_verifiers": float(scores.failed),
        "completions/mean_length": float(lengths.mean()),
        "completions/max_length": float(lengths.max()),
        "completions/clipped_ratio": float(1 - np.mean([rollouts.finished[rows[-1]] for rows in attempts])),
        "entropy": masked_mean(rollouts.extras["entropy"], rollouts.mask)
        if "entropy" in rollouts.extras
        else float("nan"),
        "told": float(exposure.mean()),
        "advantage_max": float(advantages.abs().max()),
    }
    for name, values in scores.parts.items():
        record[f"rewards/{name}/mean"] = float(np.nanmean(values))
        record[f"rewards/{name}/std"] = float(np.nanstd(values))
    for arm, rows in (("told", exposure > 0), ("bare", exposure == 0)):
        if rows.any() and not np.isnan(scores.total[rows]).all():
            record[f"reward/{arm}"] = float(np.nanmean(scores.total[rows]))
    return {**record, **tally.metrics(world)}
