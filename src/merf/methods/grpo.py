"""GRPO: a response is as good as it is better than its siblings, in their standard deviations.

Shao et al., "DeepSeekMath", arXiv 2402.03300, equations 3 and 4; the baseline of nearly every method here.

    A_i = (r_i − mean(r)) / (std(r) + ε)  over the G responses to one question
    J   = 1/G Σ_i 1/|o_i| Σ_t min(ρ A_i, clip(ρ, 1 − ε, 1 + ε) A_i) − β KL(π ‖ π_ref)

β is 0.04 in that paper and 0.001 in MeRF's baseline; here it is 0 unless set, which saves the reference model.
With one update a step, the default, ρ is 1 and nothing is clipped; `updates` splits the step's groups into several.
The framing, and so the motivation, stays whatever the run asks for.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import method
from merf.objective.policy_gradient import Aggregate, ClippedPolicyGradient


@method("grpo", paper="2402.03300", seams=["credit", "objective"])
def grpo(
    recipe: Recipe, clip: float = 0.2, kl: float = 0.0, aggregate: Aggregate = "sequence", updates: int = 1
) -> Recipe:
    return recipe.but(
        minibatches=updates,
        credit=GroupRelative(scale="group"),
        objective=ClippedPolicyGradient(clip, clip, aggregate, kl),
    )
