"""PEAR: a right answer loses by how unsure the thinking was, beyond how unsure the answer was.

"PEAR: Phase Entropy Aware Reward for Efficient Reasoning", arXiv 2510.08026.

Where a policy dithers its tokens have high entropy, so pricing the thinking's mean entropy shortens it. The answer's
own entropy is tolerated, so that the policy doesn't simply become sure of everything.

    P = max(0, H_think − α · H_answer)        r = 1 − P if right, else 0

H are mean entropies of the sampling policy's next-token distributions up to and after </think>. The mean is taken
over tokens, so sure filler lowers it too. Left out: base scores other than 1 for right and 0 for wrong answers.
P is bounded by 12 nats, more than any such entropy.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.methods.registry import Claim, method
from merf.rules.correctness import Correct
from merf.rules.likelihood import Hesitation

PLAIN = "grpo,sar:alpha=0"  # GRPO on 1 for right and 0 for other answers, which is what this one starts from


@method(
    "pear",
    paper="2510.08026",
    seams=["rules"],
    claims=[
        Claim("shorter responses", "knights", (PLAIN, "grpo,pear"), "tokens", "<"),
        Claim("at equal accuracy", "knights", (PLAIN, "grpo,pear"), "accuracy", "=", margin=0.05),
    ],
)
def pear(recipe: Recipe, alpha: float = 1.0, closing: str = "</think>") -> Recipe:
    """`alpha` is the tolerance for the answer's entropy, `closing` the text that ends the thinking."""
    book = recipe.rulebook.with_parts(Correct(1, 0, 0) * (1 - Hesitation(alpha, closing=closing)))
    return recipe.but(rulebook=book)
