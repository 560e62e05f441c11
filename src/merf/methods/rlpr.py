"""RLPR: without a verifier, pay for what reasoning adds to the likelihood of the reference answer.

Yu et al., "RLPR: Extrapolating RLVR to General Domains without Verifiers", arXiv 2506.18254.

The reference answer y* takes the place of the response's own after its reasoning z, and the policy's mean
probability of its tokens is read off; the mean, unlike the product, isn't ruled by one token or by length. What y*
gets straight after the question, without reasoning, is subtracted. Groups whose rewards hardly vary are left out.

    r̂ = clip(1/L Σ_t π(y*_t | x, z, y*_<t) − 1/L Σ_t π_0(y*_t | x, y*_<t), 0, 1)
    R = (1 − α) r̂ + α · 1[layout kept]        kept where std(R in the group) ≥ β · mean of the groups' std

Different here: the mean std is this step's own; the paper smooths it over steps (0.99) and begins after 10 of them.
The comparison without reasoning is made as training goes on, with the starting weights π_0, not once beforehand.
"""

from __future__ import annotations

from typing import Literal

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.credit.spread import WideGroups
from merf.methods.registry import Claim, method
from merf.rules.format import Format
from merf.rules.likelihood import ReferenceLikelihood

VERIFIED = "grpo:aggregate=token"  # the objective that these arms have as well


@method(
    "rlpr",
    paper="2506.18254",
    seams=["rules", "credit"],
    claims=[
        Claim("accuracy without a verifier, near GRPO's with one", "knights", (VERIFIED, "rlpr"), "accuracy", "=", 0.1),
        Claim("the mean is better than the product", "knights", ("rlpr:of=product", "rlpr"), "accuracy", ">"),
        Claim("the filter helps", "knights", ("rlpr:beta=0", "rlpr"), "accuracy", ">"),
    ],
)
def rlpr(recipe: Recipe, alpha: float = 0.1, beta: float = 0.5, of: Literal["mean", "product"] = "mean") -> Recipe:
    """`alpha` is the layout's share of the reward, `beta` the filter's threshold (0 keeps every group), `of` how
    the tokens' probabilities are put together: the product is the paper's ablation."""
    reasoned = ReferenceLikelihood(of)
    unreasoned = ReferenceLikelihood(of, reasoning=False, model="reference")
    added = (1 - alpha) * (reasoned - unreasoned).clip(0, 1).named(reasoned.name)
    form = alpha * Format(1, 0, recipe.task.layout)
    return recipe.but(
        rulebook=recipe.rulebook.with_parts(added, form).only(added.name, form.name),
        credit=WideGroups(GroupRelative(), beta),
        reference=True,
    )
