"""LaSeR: one token after the response says how likely it is right, and learning makes it say so truly.

Yang et al., "LaSeR: Reinforcement Learning with Last-Token Self-Rewarding", arXiv 2510.14943.

The solution of a KL-regularised verification objective is a log-ratio on a single token z that the policy never
writes, so the policy can be its own verifier for the price of one position. Its self-reward is trained towards the
verdict, right and wrong weighing alike, and after a while takes part in the advantages; z stays too rare to be written.

    r_s = β (log π(z | x, y) − c)        L = L_RL + α mean_i w_i (r_s,i − 1[right])²,  w = N / (2 N_right or N_wrong)
    A_i = (1 − τ) A_i(what is paid) + τ A_i(r_s),  τ = 0 in groups where std(r_s) < spread

c is measured in the first step instead of given, the first warm-ups' 200 and 400 steps are shares of the run. What is
paid is the run's own rulebook; the paper's pays 1 for right answers. Test time is what evaluations report as self/….
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from merf.core.recipe import Recipe
from merf.core.seams import Batch, Loss, Objective
from merf.credit.blend import Blended
from merf.judges.last_token import LastToken
from merf.methods.registry import Claim, method
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.sampled import must_be_in_one_go
from merf.rollout.verified import Verified


@dataclass(frozen=True)
class SelfVerifying:
    """`inner` plus α times the balanced squared error of `judge`'s self-reward, from its step number `start` on."""

    inner: Objective
    judge: LastToken
    alpha: float = 0.1
    start: int = 0

    @property
    def probe(self) -> str:
        return self.judge.token

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs | {"probe"}

    def __call__(self, batch: Batch) -> Loss:
        loss = self.inner(batch)
        if self.judge.steps <= self.start:
            return loss
        assert batch.probe is not None
        assert self.judge.constant is not None
        right, everybody = batch.extras["right"][:, 0], batch.whole["right"][:, 0]
        counts = torch.stack([(everybody == truth).sum() for truth in (0, 1)]).clamp_min(1)
        known = ~right.isnan()
        truth = right[known]
        weight = 1 / (2 * counts[truth.long()])  # w_i / N
        gap = self.judge.beta * (batch.probe[known] - self.judge.constant) - truth
        return Loss(loss.value + self.alpha * (weight * gap**2).sum(), loss.sums)


CLAIMS = [
    Claim("it learns to tell its right answers from wrong", "knights", ("laser:alpha=0", "laser"), "self/auroc", ">"),
    # Each run against itself: an untrained self-reward would be a handicap for the baseline's votes.
    Claim("its word makes votes better", "knights", ("laser",), "self/vote_gain", ">"),
    Claim("more accurate than without", "knights", ("grpo", "laser"), "accuracy", ">", control="laser:alpha=0"),
]


@method("laser", paper="2510.14943", seams=["rollout", "judges", "credit", "objective"], claims=CLAIMS)
def laser(
    recipe: Recipe,
    beta: float = 0.1,
    alpha: float = 0.1,
    tau: float = 0.1,
    spread: float = 0.1,
    learn: float = 0.125,
    mix: float = 0.25,
    token: str = "",
) -> Recipe:
    """`learn` and `mix` are the shares of the run after which the self-reward is learned and takes part; `token` is z,
    by default a special token that ends nothing."""
    must_be_in_one_go(recipe.task, "laser")
    if not beta > 0 or alpha < 0 or not 0 <= tau <= 1 or not 0 <= learn <= mix:
        raise ValueError("laser: beta lies above 0, alpha at 0 or above, tau in [0, 1], and learn doesn't exceed mix")
    start, heard = (round(share * recipe.steps) for share in (learn, mix))
    judge = LastToken(beta, token, heard)
    return recipe.but(
        rollout=Verified(recipe.rollout),
        judges=(*recipe.judges, judge),
        credit=Blended(judge.name, tau, spread),
        objective=SelfVerifying(ClippedPolicyGradient(aggregate="sequence"), judge, alpha, start),
    )
