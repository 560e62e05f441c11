"""Leaving out questions whose rewards hardly differ, for rewards that come in degrees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from merf.core.response import Array, Scores
from merf.core.rollouts import Rollouts
from merf.core.seams import Credit
from merf.credit.group import over_tokens


@dataclass(frozen=True)
class WideGroups:
    """`credit`'s advantages in groups whose rewards' standard deviation is at least `share` times the mean of all
    groups' in the step, 0 elsewhere (RLPR's filter, arXiv 2506.18254).

    For rewards of 0 and 1, DAPO leaves out groups without a mixture; this is the same for any reward.
    """

    credit: Credit
    share: float = 0.5

    def __call__(self, scores: Scores, rollouts: Rollouts) -> Tensor:
        kept = self.kept(scores.total, rollouts.group[rollouts.first_rows()])
        return self.credit(scores, rollouts) * over_tokens(kept.astype(np.float64), rollouts)

    def kept(self, reward: Array, group: np.ndarray) -> np.ndarray:
        """True for the attempts of groups that count [A]."""
        numbers, place = np.unique(group, return_inverse=True)
        known = [reward[(group == number) & ~np.isnan(reward)] for number in numbers]
        spread = np.array([float(values.std()) if len(values) else 0.0 for values in known])
        return np.asarray((spread >= self.share * spread.mean())[place], bool) if len(numbers) else np.zeros(0, bool)
