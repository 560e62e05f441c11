"""Credit from two opinions: what was paid, and a part that was not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from merf.core.response import Array, Scores
from merf.core.rollouts import Rollouts
from merf.credit.group import GroupRelative, over_tokens


@dataclass(frozen=True)
class Blended:
    """(1 − share) A(total) + share · A(part), both relative to the group; A(total) alone in groups where the part's
    standard deviation is below `spread`, or where nobody has given that part (LaSeR, arXiv 2510.14943)."""

    part: str
    share: float = 0.1
    spread: float = 0.1
    relative: GroupRelative = GroupRelative()

    def __call__(self, scores: Scores, rollouts: Rollouts) -> Tensor:
        group = rollouts.group[rollouts.first_rows()]
        return over_tokens(self.advantages(scores.total, scores.parts.get(self.part), group), rollouts)

    def advantages(self, paid: Array, said: Array | None, group: np.ndarray) -> Array:
        """One advantage per attempt [A]."""
        ours = self.relative.advantages(paid, group)
        if said is None:
            return ours
        said = np.where(np.isnan(paid), np.nan, said)  # who got no reward has no part in this either
        share = np.zeros(len(paid))
        for number in np.unique(group):
            rows = np.flatnonzero((group == number) & ~np.isnan(said))
            share[rows] = self.share if len(rows) > 1 and said[rows].std(ddof=1) >= self.spread else 0.0
        return (1 - share) * ours + share * self.relative.advantages(said, group)
