"""Credit for what one chain of thought adds to the likelihood that several of them give together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from torch import Tensor

from merf.core.response import Array, Scores
from merf.core.rollouts import Rollouts
from merf.credit.group import over_tokens


def log_mean_exp(values: Array) -> float:
    """log of the mean of exp(values), without overflow."""
    return float(logsumexp(values) - np.log(len(values)))


@dataclass(frozen=True)
class MultiSampleBound:
    """A_i = log-mean-exp of the group's rewards − log-mean-exp of the others', for rewards that are log-likelihoods
    (JEPO, arXiv 2503.19618).

    With R_i = log π(y* | x, z_i) the first term is a lower bound of log π(y* | x) that is tighter than the mean of
    the R_i. NaN rewards are left out and get 0, as does a response that is alone in its group.
    """

    def __call__(self, scores: Scores, rollouts: Rollouts) -> Tensor:
        return over_tokens(self.advantages(scores.total, rollouts.group[rollouts.first_rows()]), rollouts)

    def advantages(self, reward: Array, group: np.ndarray) -> Array:
        """One advantage per attempt [A]."""
        out = np.zeros(len(reward))
        for number in np.unique(group):
            rows = np.flatnonzero((group == number) & ~np.isnan(reward))
            for i in rows if len(rows) > 1 else ():
                out[i] = log_mean_exp(reward[rows]) - log_mean_exp(reward[rows[rows != i]])
        return out
