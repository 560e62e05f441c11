"""MeRF: tell the model, in the training prompt, how its responses are scored; ask it without that text afterwards.

"MeRF: Motivation-enhanced Reinforcement Finetuning for Large Reasoning Models", arXiv 2506.18485.

The rulebook's own description m is put into the prompt of the rollouts and of the update; scores, credit and
objective stay what they are. Validation is without m, so the policy must have taken in what the text says.

    y ~ π(· | m, x)        ρ = π(y | m, x) / π_old(y | m, x)        reward: the rulebook that m describes

`variant` holds the paper's ablations (none, suboptimal, adverse) and two controls for length (shuffled, neutral).
`exposure` says who is told: always is the paper's; half, linear and sigmoid leave members of each group without m,
a schedule taken over from RuscaRL (arXiv 2508.16949). learning=bare updates π(y | x) instead, without correction.
"""

from __future__ import annotations

from typing import Literal

from merf.core.recipe import Recipe
from merf.framing.motivation import EXPOSURES, Exposure, Motivated, Position, Telling, Variant
from merf.methods.registry import Claim, method
from merf.rules.wording import Style

GRPO, MERF = "grpo,merf:variant=none", "grpo,merf"


@method(
    "merf",
    paper="2506.18485",
    seams=["framing"],
    claims=[
        Claim("higher accuracy, asked without the motivation", "knights", (GRPO, MERF), "accuracy", ">"),
        Claim("higher pass@8, asked without the motivation", "knights", (GRPO, MERF), "pass@8", ">"),
        Claim(
            "correctness alone is told: better than nothing",
            "knights",
            (GRPO, "grpo,merf:variant=suboptimal"),
            "accuracy",
            ">",
            control="grpo,merf:variant=neutral",
        ),
        Claim(
            "the whole truth is better than a part",
            "knights",
            ("grpo,merf:variant=suboptimal", MERF),
            "accuracy",
            ">",
        ),
        Claim(
            "telling half of each group transfers better to bare prompts",
            "knights",
            (MERF, "grpo,merf:exposure=half"),
            "bare:accuracy",
            ">",
        ),
    ],
)
def merf(
    recipe: Recipe,
    variant: Variant = "truth",
    exposure: Exposure = "always",
    position: Position = "system",
    style: Style = "full",
    wording: int = 0,
    learning: Literal["acting", "bare"] = "acting",
) -> Recipe:
    telling = Telling(variant, style, wording)
    return recipe.but(framing=Motivated(recipe.task.instruction, telling, position, EXPOSURES[exposure], learning))
