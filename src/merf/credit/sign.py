"""Credit by sign: a constant for rewards above zero, another for those below, and no baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from merf.core.response import Array, Scores
from merf.core.rollouts import Rollouts
from merf.credit.group import over_tokens


@dataclass(frozen=True)
class BySign:
    """A_i = `positive` if r_i > 0, −`negative` if r_i < 0, else 0, the same for every token of response i.

    Nothing is compared within groups, so a group of equal rewards teaches too. A missing reward (NaN) gives 0.
    """

    positive: float = 1.0
    negative: float = 1.0

    def __call__(self, scores: Scores, rollouts: Rollouts) -> Tensor:
        return over_tokens(self.advantages(scores.total), rollouts)

    def advantages(self, reward: Array) -> Array:
        """One advantage per attempt [A]."""
        return np.where(reward > 0, self.positive, 0.0) - np.where(reward < 0, self.negative, 0.0)
