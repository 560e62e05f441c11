"""Delethink: think in chunks with the context reset between them, so that a long thought costs linear time.

Aghajohari et al., "The Markovian Thinker", arXiv 2510.06557.

After every chunk the prompt is rebuilt from the question, the beginning of the thought and the last tokens of the
chunk before. Chunks are trained as sequences of their own, with their whole trace's advantage, so the policy learns
to leave behind what it will need.

    x_1 = q        x_l = q ⊕ y_1[:h] ⊕ y_{l−1}[−m:]        |y_1| ≤ C, |y_l| ≤ C − m
    J = 1/G Σ_i 1/Σ_l|y_{i,l}| Σ_l Σ_t min(ρ A_i, clip(ρ, 1 − ε, 1 + ε) A_i)

C, m and h are given as shares: the paper's are 8192, 4096 and 100 tokens with 24576 in all. Its clip range and
learning rate are not known; GRPO's are used. Left out: chunks in evaluation, where responses stay whole.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.rollout.chunked import Chunked
from merf.rollout.sampled import must_be_in_one_go

CLAIM = Claim(
    "no less accurate than with the whole context", "knights", ("grpo", "delethink"), "accuracy", "=", margin=0.05
)


@method("delethink", paper="2510.06557", seams=["rollout", "credit", "objective"], claims=[CLAIM])
def delethink(
    recipe: Recipe, chunk: float = 1 / 3, carry: float = 1 / 2, header: float = 100 / 8192, clip: float = 0.2
) -> Recipe:
    """`chunk` is C as a share of the length limit; `carry` and `header` are m and h as shares of C."""
    must_be_in_one_go(recipe.task, "delethink")
    size = round(chunk * recipe.sampling.max_tokens)
    return recipe.but(
        rollout=Chunked(recipe.group_size, size, round(carry * size), round(header * size)),
        credit=GroupRelative(scale="group"),
        objective=ClippedPolicyGradient(clip, clip, aggregate="sequence"),
    )
