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

# The clip acts only where a step has several updates; the paper's has 16.
OFTEN = "dapo:updates=4"
CLAIMS = [
    Claim("the policy keeps more of its breadth", "knights", ("grpo:updates=4", OFTEN), "pass@8", ">"),
    Claim("clipping higher keeps its entropy up", "knights", (f"{OFTEN}:clip_high=0.2", OFTEN), "late:entropy", ">"),
]


@method("dapo", paper="2503.14476", seams=["rules", "credit", "objective"], claims=CLAIMS)
def dapo(recipe: Recipe, clip_low: float = 0.2, clip_high: float = 0.28, band: float = 0.2, updates: int = 1) -> Recipe:
    """`band` is the share of the length limit in which the punishment grows; the paper's is 4096 of 20480 tokens.
    `updates` is the number of updates a step; with one, ρ is 1 and neither clip acts."""
    limit = recipe.sampling.max_tokens
    return recipe.but(
        minibatches=updates,
        rulebook=recipe.rulebook.with_parts(Overlong(limit, max(1, round(band * limit)))),
        credit=GroupRelative(scale="group"),
        objective=ClippedPolicyGradient(clip_low, clip_high, aggregate="token"),
    )
