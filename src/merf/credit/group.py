"""Group-relative advantages: a response is as good as it is better than its siblings.

GRPO (arXiv 2402.03300) subtracts the group's mean and divides by its standard deviation; Dr. GRPO
(arXiv 2503.20783) leaves the division out; Lite-PPO (arXiv 2508.08221) divides by the whole batch's
deviation; RLOO (arXiv 2402.14740) compares with the mean of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from merf.core.response import Array, Scores
from merf.core.rollouts import Rollouts


def group_mean(values: Array, group: np.ndarray, leave_one_out: bool = False) -> Array:
    """For each response the mean of its group (or of the others in it), NaN left out."""
    out = np.full(len(values), np.nan)
    for number in np.unique(group):
        rows = np.flatnonzero((group == number) & ~np.isnan(values))
        mine = values[rows]
        if leave_one_out:
            out[rows] = (mine.sum() - mine) / max(len(mine) - 1, 1)
        elif len(rows):
            out[rows] = mine.mean()
    return out


def group_equal(values: Array, group: np.ndarray) -> np.ndarray:
    """True for responses whose whole group got exactly the same reward: nothing can be learnt from them.

    Tested on the rewards themselves: the standard deviation of 0.2, 0.2, 0.2 is not exactly zero.
    """
    equal = np.zeros(len(values), bool)
    for number in np.unique(group):
        rows = np.flatnonzero(group == number)
        known = values[rows][~np.isnan(values[rows])]
        equal[rows] = len(known) < 2 or known.max() == known.min()
    return equal


def over_tokens(per_attempt: Array, rollouts: Rollouts) -> Tensor:
    """Give every trained token of an attempt the attempt's number; NaN and untrained tokens get 0. [N, T]"""
    values = torch.from_numpy(np.nan_to_num(per_attempt)[rollouts.trajectory]).to(rollouts.mask.device)
    return values[:, None].float() * rollouts.mask


@dataclass(frozen=True)
class GroupRelative:
    """A_i = (r_i − baseline) / scale, the same for every token of response i.

    `scale` is "group" (GRPO), "batch" (Lite-PPO) or "none" (Dr. GRPO, RLOO). Standard deviations are the
    unbiased ones. Responses without a reward, and groups whose rewards are all equal, get 0.
    """

    scale: Literal["group", "batch", "none"] = "group"
    leave_one_out: bool = False
    eps: float = 1e-4

    def __call__(self, scores: Scores, rollouts: Rollouts) -> Tensor:
        return over_tokens(self.advantages(scores.total, rollouts.group[rollouts.first_rows()]), rollouts)

    def advantages(self, reward: Array, group: np.ndarray) -> Array:
        """One advantage per attempt [A]."""
        centred = reward - group_mean(reward, group, self.leave_one_out)
        if self.scale == "group":
            spread = np.ones(len(reward))
            for number in np.unique(group):
                rows = group == number
                known = reward[rows][~np.isnan(reward[rows])]
                spread[rows] = known.std(ddof=1) if len(known) > 1 else 1.0
            centred = centred / (spread + self.eps)
        elif self.scale == "batch":
            known = reward[~np.isnan(reward)]
            centred = centred / ((known.std(ddof=1) if len(known) > 1 else 1.0) + self.eps)
        centred[group_equal(reward, group)] = 0.0
        return np.nan_to_num(centred)
