"""PRIME: learn from outcomes what each token is worth, and pay it on top of the outcome.

Cui et al., "Process Reinforcement through Implicit Rewards", arXiv 2502.01456.

A language model that is trained to tell right responses from wrong by its log-ratio to a reference is also a model
of how much every token contributes. It is trained along with the policy, on the same responses, so it keeps up with
it, and needs no labels for steps.

    r_φ(y_t) = β log π_φ(y_t | y_<t)/π_ref(y_t | y_<t)        L_φ = cross-entropy of σ(Σ_t r_φ(y_t)) and right or wrong
    A_t = Σ_{s≥t} [r_φ(y_s) − mean of the others' mean r_φ] + [r − mean of the others' r]

r is what the rulebook pays; the paper's is 1 or 0. Left out: its filter of questions by accuracy (groups that are all
paid alike get no gradient), its discount, which it sets to 1, and its order, in which φ learns from a batch before it
judges it; here it judges first. What the judge pays is not in the rulebook, so the motivation doesn't tell it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from merf.core.recipe import Recipe
from merf.core.response import Scores
from merf.core.rollouts import Rollouts
from merf.credit.group import group_equal, group_mean, over_tokens
from merf.judges.implicit import ImplicitRewards
from merf.methods.registry import Claim, method


@dataclass(frozen=True)
class ProcessAndOutcome:
    """Returns of the token rewards plus the outcome, each against the mean of the others in the group."""

    def __call__(self, scores: Scores, rollouts: Rollouts) -> Tensor:
        if scores.tokens is None:
            raise ValueError("there are no rewards per token: this credit needs a judge that gives some")
        attempts = rollouts.attempts()
        group = rollouts.group[[rows[0] for rows in attempts]]
        rewards = [scores.tokens[rows][rollouts.mask[rows]].double().cpu().numpy() for rows in attempts]
        mean = np.array([values.mean() if len(values) else np.nan for values in rewards])
        baseline = np.nan_to_num(group_mean(mean, group, leave_one_out=True))
        outcome = scores.total - group_mean(scores.total, group, leave_one_out=True)
        silent = group_equal(scores.total, group) | np.isnan(scores.total)
        advantages = over_tokens(np.where(silent, 0.0, outcome), rollouts)
        for a in np.flatnonzero(~silent):
            to_go = np.cumsum((rewards[a] - baseline[a])[::-1])[::-1]
            own = torch.zeros_like(rollouts.mask)
            own[attempts[a]] = rollouts.mask[attempts[a]]
            advantages[own] += advantages.new_tensor(to_go.copy())
        return advantages


OUTCOMES = "prime:beta=0"  # no token is paid, which leaves the outcome's advantage, with the same scale and averaging
CLAIM = Claim(
    "more accurate after as many steps than with outcomes alone", "knights", (OUTCOMES, "prime"), "accuracy", ">"
)


@method("prime", paper="2502.01456", seams=["judges", "credit"], claims=[CLAIM])
def prime(recipe: Recipe, beta: float = 0.05, speed: float = 2.0) -> Recipe:
    """`speed` is the reward model's learning rate as a multiple of the policy's."""
    judge = ImplicitRewards(beta, speed * recipe.optimizer.lr)
    return recipe.but(judges=(*recipe.judges, judge), credit=ProcessAndOutcome(), reference=True)
