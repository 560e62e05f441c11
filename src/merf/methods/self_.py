"""SELF: practise only the problems whose most likely response is wrong.

"The Reasoning Boundary Paradox: How Reinforcement Learning Constrains Language Models", arXiv 2510.02230; partly
reconstructed.

On-policy learning raises what is likely already, and a step on one problem can lower the likelihood of right
solutions to another: pass@k at large k falls. A wrong greedy response is a cheap sign that right solutions are
unlikely; such problems are kept, the others dropped, and the rest is GRPO.

    J = E_x [ 1[greedy(x) is wrong] · J_GRPO(x) ]

Left out: the forward KL to the starting model, KL(π_ref ‖ π), which would imitate samples of that model; its weight
isn't known, and the authors' scripts run without it.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.curriculum.unsolved import Unsolved
from merf.methods.registry import Claim, method

CLAIM = Claim("pass@8 doesn't fall as under GRPO", "knights", ("grpo", "grpo,self"), "pass@8", ">")


@method("self", paper="2510.02230", seams=["rollout"], claims=[CLAIM])
def self_(recipe: Recipe) -> Recipe:
    # Of a group the last are told the rules last, so this asks what evaluations ask: the bare question, if anybody is.
    return recipe.but(rollout=Unsolved(recipe.task, recipe.rollout, recipe.group_size - 1))
