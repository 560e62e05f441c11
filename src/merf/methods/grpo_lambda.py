"""GRPO-λ: ask for brevity only where a question is already mostly solved.

Dai et al., "Stable Reinforcement Learning for Efficient Reasoning", arXiv 2505.18086.

A length penalty on every question makes short wrong answers attractive, and accuracy collapses. So the questions of
a batch are ranked by their share of right answers, and only in the best λ of them a right answer loses by its length
among the right ones; the quota keeps the pressure constant as the policy improves.

    r_i = 1[right] · (1 − α · σ(z_i))   in the ⌈λB⌉ best solved groups, z_i the standardised length among right answers
    r_i = 1[right]                      elsewhere

α isn't confirmed: 0.6 is a reimplementation's. σ(−z) is the rule `Brevity`, and 1 − α σ(z) = 1 + α (σ(−z) − 1).
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.methods.registry import Claim, method
from merf.rules.conditions import easiest
from merf.rules.correctness import Correct
from merf.rules.length import Brevity

PLAIN = "grpo,sar:alpha=0"  # GRPO on 1 for right and 0 for other answers, which is what this one starts from


@method(
    "grpo-lambda",
    paper="2505.18086",
    seams=["rules"],
    claims=[
        Claim("shorter responses", "knights", (PLAIN, "grpo,grpo-lambda"), "tokens", "<"),
        Claim("at equal accuracy", "knights", (PLAIN, "grpo,grpo-lambda"), "accuracy", "=", margin=0.05),
    ],
)
def grpo_lambda(recipe: Recipe, share: float = 0.2, alpha: float = 0.6) -> Recipe:
    """`share` is λ, the part of the batch's questions that counts as easy."""
    brief = 1 + alpha * (Brevity() - 1).where(easiest(share))
    return recipe.but(rulebook=recipe.rulebook.with_parts(Correct(1, 0, 0) * brief))
