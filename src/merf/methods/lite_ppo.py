"""Lite-PPO: of all the tricks keep two, the batch's deviation and the mean over tokens.

Liu et al., "Part I: Tricks or Traps? A Deep Dive into RL for LLM Reasoning", arXiv 2508.08221.

A group whose rewards are nearly alike has a tiny deviation, and dividing by it blows noise up; the whole batch's is
safer. The loss is averaged over tokens, the clipped objective is PPO's, and there is no critic.

    A_i = (r_i − mean(r in the group)) / (std(r in the batch) + ε)
    L   = −1/Σ_i|o_i| Σ_i Σ_t min(ρ A_i, clip(ρ, 1 − ε, 1 + ε) A_i)

Left out: overlong filtering and clip-higher, which the paper finds useful only in some settings.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.objective.policy_gradient import ClippedPolicyGradient

CLAIMS = [
    Claim("two tricks beat GRPO", "knights", ("grpo", "lite-ppo"), "accuracy", ">"),
    Claim("and DAPO's many", "knights", ("dapo", "lite-ppo"), "accuracy", ">"),
]


@method("lite-ppo", paper="2508.08221", seams=["credit", "objective"], claims=CLAIMS)
def lite_ppo(recipe: Recipe, clip: float = 0.2) -> Recipe:
    return recipe.but(
        credit=GroupRelative(scale="batch"),
        objective=ClippedPolicyGradient(clip, clip, aggregate="token"),
    )
