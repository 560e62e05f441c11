"""SAR: next to being right, a response earns by how much likelier the question makes it.

"Self-Aligned Reward: Towards Effective and Efficient Reasoners", arXiv 2509.05489.

The policy scores its own response once more without the question. Tokens that come from the question gain likelihood
by it, repetition and filler don't, so long padded responses have a lower mean. Alone the reward collapses to short
guesses; it is an addition to correctness.

    R = 1[right] + α · clip(1 − ppl(a | q) / ppl(a), −1, 1)

The question's side includes the whole acting prompt, system text and motivation as well; without it the conversation
is empty. Log-probs are those of the sampling policy and of the present one, which are the same within a step.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.methods.registry import Claim, method
from merf.rules.correctness import Correct
from merf.rules.likelihood import SelfAligned

PLAIN = "grpo,sar:alpha=0"  # the same 0 or 1 for the answer, or what is compared is two scales of correctness


@method(
    "sar",
    paper="2509.05489",
    seams=["rules"],
    claims=[
        Claim("shorter responses", "knights", (PLAIN, "grpo,sar"), "tokens", "<"),
        Claim("and higher accuracy", "knights", (PLAIN, "grpo,sar"), "accuracy", ">"),
    ],
)
def sar(recipe: Recipe, alpha: float = 0.2) -> Recipe:
    """`alpha` is the weight of the fit to the question; with 0 it is neither paid nor spoken of."""
    fit = [alpha * SelfAligned()] if alpha else []
    return recipe.but(rulebook=recipe.rulebook.with_parts(Correct(1, 0, 0), *fit))
