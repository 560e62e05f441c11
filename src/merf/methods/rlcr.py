"""RLCR: pay for being right, and for knowing how likely one is to be right.

Damani et al., "Beyond Binary Rewards: Training LMs to Reason About Their Uncertainty", arXiv 2507.16806.

The response ends with a confidence q in [0, 1], and the squared gap between q and the truth is lost. For an answer
that is right with probability p the best q is p, and the reward expected then, p², grows with p: so the likeliest
answer and the honest confidence are best together. A bounded score is needed: with a logarithmic one a wrong answer
at q = 0 could pay better.

    R = c − w · (q − c)²,  c = 1[right],  w = 1 in the paper; plus the layout's own reward

The layout gets a third block for q. Left out: the block for an analysis of the uncertainty (the thinking is free to
hold one), and GRPO without deviations, which the paper's runs are believed to use: add dr-grpo for it.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from merf.core.layout import Layout, ThinkAnswerConfidence
from merf.core.recipe import Recipe
from merf.core.seams import Task
from merf.methods.registry import Claim, method
from merf.rules.calibration import Calibrated
from merf.rules.correctness import Correct
from merf.rules.format import Format

ARMS = ("grpo,rlcr:weight=0", "grpo,rlcr")


@method(
    "rlcr",
    paper="2507.16806",
    seams=["rules"],
    claims=[
        Claim("confidence closer to the truth", "calibration", ARMS, "brier", "<", by_work=False),
        Claim("at equal accuracy", "calibration", ARMS, "accuracy", "=", margin=0.05, by_work=False),
    ],
)
def rlcr(recipe: Recipe, weight: float = 1.0) -> Recipe:
    """`weight` is w; with 0 the confidence is asked for, and neither paid nor spoken of."""
    layout = ThinkAnswerConfidence()
    task = laid_out(recipe.task, layout)
    honesty = [weight * Calibrated()] if weight else []
    book = recipe.rulebook.with_parts(Correct(1, 0, 0), Format(layout=layout), *honesty)
    framing: Any = recipe.framing
    if not hasattr(framing, "system"):
        raise ValueError(
            "rlcr asks for a confidence in the system text, which this framing doesn't have: leave one out"
        )
    return recipe.but(task=task, rulebook=book, framing=replace(framing, system=task.instruction))


def laid_out(task: Task, layout: Layout) -> Task:
    """The task with another layout, and so another instruction."""
    changed = copy.copy(task)
    try:
        object.__setattr__(changed, "layout", layout)
    except AttributeError as error:
        raise ValueError(f"rlcr can't be used with {task.name}: its responses have a layout of their own") from error
    return changed
