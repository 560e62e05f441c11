"""DAPO: clip higher above than below, average over tokens, and charge for the last stretch before the limit.

Yu et al., "DAPO: An Open-Source LLM Reinforcement Learning System at Scale", arXiv 2503.14476, equations 8 to 13.

A wider upper clip lets rare tokens grow; the mean over tokens gives long responses their weight; a soft punishment
tells nearly overlong responses from good ones before the limit cuts them off.

    J = 1/Σ|o_i| Σ_i Σ_t min(ρ A_i, clip(ρ, 1 − ε_low, 1 + ε_high) A_i),  A_i as in GRPO
    R_length = 0 up to L_max − L_band, then falling in a straight line to −1 at L_max

Left out: dynamic sampling. Groups whose rewards are all equal get no gradient here, but aren't replaced by others.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rules.length import Overlong

CLAIM = Claim("the policy keeps more of its breadth", "knights", ("grpo", "dapo"), "pass@8", ">")


@method("dapo", paper="2503.14476", seams=["rules", "credit", "objective"], claims=[CLAIM])
def dapo(recipe: Recipe, clip_low: float = 0.2, clip_high: float = 0.28, band: float = 0.2) -> Recipe:
    """`band` is the share of the length limit in which the punishment grows; the paper's is 4096 of 20480 tokens."""
    limit = recipe.sampling.max_tokens
    return recipe.but(
        rulebook=recipe.rulebook.with_parts(Overlong(limit, max(1, round(band * limit)))),
        credit=GroupRelative(scale="group"),
        objective=ClippedPolicyGradient(clip_low, clip_high, aggregate="token"),
    )
