"""RuscaRL: show each group member another part of the rubric, and train all of them on the bare prompt.

Zhou et al., "Breaking the Exploration Bottleneck: Rubric-Scaffolded Reinforcement Learning for General LLM
Reasoning", arXiv 2508.16949.

A rubric in the prompt leads to good responses that the bare prompt would hardly ever give. Members of a group see
from all of it to nothing, so rewards differ within the group; and it is switched off early in training.

    λ_i(x) = (G − 1 − i)/(G − 1) · 1/(1 + exp(a (x − x0)))      x: share of training done
    member i sees round(λ_i N) of N criteria; ratio π(y | bare prompt) / π_old(y | bare prompt)

The criteria are the rulebook's parts in their own words, the same for every problem; the paper's are written for
each problem and checked by a language model. Responses come from scaffolded prompts and no importance weight corrects
for that. The published script does not set the switch between bare and acting prompt: bare is reconstructed. Left
out: the request not to mention the rubric, and dividing by the rubric's points, which group-relative credit undoes.
"""

from __future__ import annotations

from typing import Literal

from merf.core.progress import Sigmoid
from merf.core.recipe import Recipe
from merf.framing.motivation import Position, Telling
from merf.framing.scaffold import WITHIN, Scaffolded
from merf.methods.registry import Claim, method
from merf.rules.wording import Style


@method(
    "ruscarl",
    paper="2508.16949",
    seams=["framing"],
    claims=[
        Claim(
            "a fading scaffold helps the bare prompt",
            "knights",
            ("grpo,merf:variant=none", "grpo,ruscarl"),
            "bare:accuracy",
            ">",
        ),
        Claim(
            "fading and differing within the group is better than always telling everybody",
            "knights",
            ("grpo,merf", "grpo,ruscarl"),
            "bare:accuracy",
            ">",
        ),
    ],
)
def ruscarl(
    recipe: Recipe,
    within: Literal["graded", "half"] = "graded",
    steepness: float = 125.0,
    middle: float = 0.2,
    learning: Literal["acting", "bare"] = "bare",
    position: Position = "system",
    style: Style = "full",
) -> Recipe:
    """`middle` is the share of training at which the scaffold is half gone, `steepness` how suddenly it goes."""
    decay = Sigmoid(steepness, middle)
    telling = Telling("truth", style)
    return recipe.but(framing=Scaffolded(recipe.task.instruction, telling, position, WITHIN[within], decay, learning))
