"""Critique-GRPO: write wrong answers again with a critique in view, and learn one of them as if unaided.

Zhang et al., "Critique-GRPO: Advancing LLM Reasoning with Natural Language and Numerical Feedback", arXiv 2506.03106.

A number says that a response is wrong but not how to do better; a critique does. One refinement per question joins
the group as an answer to the original question, and its tokens get a shaped probability in place of a ratio, so that
those which are rare without the critique move most.

    A_i = r_i − mean(r) over n − k responses and k refinements        f(p) = p / (p + γ)
    J = 1/(G · L_max) (Σ_responses Σ_t ρ A_i + Σ_refinements Σ_t f(π(y_t | x, y_<t)) A_i) + β H

No clipping, as in the released run; `clip` brings it back. That a right refinement is preferred to others, and that
the last k responses make room, is reconstructed. Left out: critiques written by a language model.
"""

from __future__ import annotations

import math
from typing import Literal

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.objective.mixed import MixedPolicy, Regularised, plain
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.refined import CRITIQUES, Refined
from merf.rollout.sampled import must_be_in_one_go

CLAIMS = [
    Claim("refinements beat more responses", "knights", ("dr-grpo", "critique-grpo"), "accuracy", ">"),
    Claim(
        "shaping beats the plain probability",
        "knights",
        ("critique-grpo:shaping=plain", "critique-grpo"),
        "accuracy",
        ">",
    ),
]


@method("critique-grpo", paper="2506.03106", seams=["rollout", "credit", "objective"], claims=CLAIMS)
def critique_grpo(
    recipe: Recipe,
    critique: Literal["solution", "indicative"] = "solution",
    kept: int = 1,
    shaping: Literal["regularised", "plain"] = "regularised",
    gamma: float = 0.1,
    clip: float = math.inf,
    entropy: float = 0.001,
) -> Recipe:
    must_be_in_one_go(recipe.task, "critique-grpo")
    on = ClippedPolicyGradient(min(clip, 1.0), clip, aggregate="constant", entropy=entropy)
    return recipe.but(
        rollout=Refined(recipe.task, CRITIQUES[critique], recipe.group_size, kept),
        credit=GroupRelative(scale="none"),
        objective=MixedPolicy(on, Regularised(gamma) if shaping == "regularised" else plain),
    )
