"""SEELE: begin the response with just as much of the solution as makes half of the attempts succeed.

Li et al., "Staying in the Sweet Spot: Responsive Reasoning Evolution via Capability-Adaptive Hint Scaffolding",
arXiv 2509.06923.

A step's gain is greatest where about half of a group is right. So the group is drawn in rounds; after each, a
logistic curve of accuracy over the share of the solution given away is fitted for every problem, and the next round
starts where that curve crosses one half. What was given away is learned a little, too.

    f(p) = b + (1 − b)/(1 + exp(−k (p + μ)))        p' = f⁻¹(1/2), cut to [0, 1]        first p = (|y| − 1)/|y|
    L = L_GRPO(o | x, hint) − γ E[log π(hint | x)]

The paper puts the hint after the problem; here the response's reasoning begins with it, which is what the second
term of L makes likely. A solution of one sentence is cut between words. Left out: starting from the rate found when a
problem was last seen, and the KL to the old policy.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.objective.imitation import Imitating
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.hinted import Hinted
from merf.rollout.sampled import must_be_in_one_go

CLAIM = Claim("hints that fit help without hints", "knights", ("grpo", "seele"), "accuracy", ">")


@method("seele", paper="2509.06923", seams=["rollout", "credit", "objective"], claims=[CLAIM])
def seele(recipe: Recipe, rounds: int = 4, target: float = 0.5, gamma: float = 0.001, clip: float = 0.2) -> Recipe:
    must_be_in_one_go(recipe.task, "seele")
    if not isinstance(next(recipe.task.problems()).meta.get("solution"), str):
        raise ValueError(f"seele gives solutions away step by step, and {recipe.task.name} has none: use another task")
    return recipe.but(
        rollout=Hinted(recipe.task, recipe.group_size, rounds, target),
        credit=GroupRelative(scale="group"),
        objective=Imitating(ClippedPolicyGradient(clip, clip, aggregate="sequence"), gamma),
    )
