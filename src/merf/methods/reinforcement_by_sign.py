"""NSR, PSR, W-REINFORCE: learn from the wrong answers alone, from the right ones alone, or from both unequally.

Zhu et al., "The Surprising Effectiveness of Negative Reinforcement in LLM Reasoning", arXiv 2506.01347.

Pushing a sampled wrong token down hands its probability to the other tokens in proportion to what they had, and
stops when it is rare, so diversity survives; pushing right answers up sharpens everything towards the sampled path.
PSR keeps only the push up, NSR only the push down, W-REINFORCE both with the push up scaled down.

    r = +1 if right, −1 if not        L = λ · L_PSR + L_NSR
    A = +λ where r > 0 (PSR 1, NSR 0), −1 where r < 0 (PSR 0), with no baseline and no deviation

The paper's L_PSR and L_NSR sum probabilities over responses; the sampled loss is the recipe's own clipped objective.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.sign import BySign
from merf.methods.registry import Claim, method
from merf.rules.correctness import Correct

PAPER = "2506.01347"
BASELINE = "grpo:aggregate=token"  # the objective that these arms have as well


def signed(recipe: Recipe, positive: float, negative: float) -> Recipe:
    """±1 for right or not, nothing else, and these weights on the two signs."""
    book = recipe.rulebook.with_parts(Correct(right=1, wrong=-1, unreadable=-1)).only("correctness")
    return recipe.but(rulebook=book, credit=BySign(positive, negative))


@method(
    "psr",
    paper=PAPER,
    seams=["rules", "credit"],
    claims=[
        Claim("right answers alone cost breadth", "knights", (BASELINE, "psr"), "pass@8", "<"),
    ],
)
def psr(recipe: Recipe) -> Recipe:
    return signed(recipe, positive=1.0, negative=0.0)


@method(
    "nsr",
    paper=PAPER,
    seams=["rules", "credit"],
    claims=[
        Claim("wrong answers alone keep breadth", "knights", ("psr", "nsr"), "pass@8", ">"),
        Claim("and are enough for accuracy near GRPO's", "knights", (BASELINE, "nsr"), "accuracy", "=", margin=0.05),
    ],
)
def nsr(recipe: Recipe) -> Recipe:
    return signed(recipe, positive=0.0, negative=1.0)


@method(
    "w-reinforce",
    paper=PAPER,
    seams=["rules", "credit"],
    claims=[Claim("the best of both at large k", "knights", (BASELINE, "w-reinforce"), "pass@8", ">", control="psr")],
)
def w_reinforce(recipe: Recipe, weight: float = 0.1) -> Recipe:
    if weight < 0:
        raise ValueError(f"w-reinforce:weight={weight}: right answers are weighed by 0 (nsr) or more")
    return signed(recipe, positive=weight, negative=1.0)
