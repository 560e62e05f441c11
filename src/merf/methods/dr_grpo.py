"""Dr. GRPO: GRPO without its two divisions, by the group's deviation and by each response's length.

Liu et al., "Understanding R1-Zero-Like Training", arXiv 2503.20783.

Dividing by the deviation weighs questions that are nearly solved or nearly hopeless more than others; dividing by
length makes long wrong responses cheap. Both are left out, and the sum of token losses is divided by a constant.

    A_i = r_i − mean(r)        J = 1/(G · L_max) Σ_i Σ_t min(ρ A_i, clip(ρ, 1 − ε, 1 + ε) A_i)
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.objective.policy_gradient import ClippedPolicyGradient

CLAIM = Claim("shorter responses at equal accuracy", "knights", ("grpo", "dr-grpo"), "tokens", "<")


@method("dr-grpo", paper="2503.20783", seams=["credit", "objective"], claims=[CLAIM])
def dr_grpo(recipe: Recipe, clip: float = 0.2) -> Recipe:
    return recipe.but(
        credit=GroupRelative(scale="none"),
        objective=ClippedPolicyGradient(clip, clip, aggregate="constant"),
    )
