"""MeRF: tell the model, in the training prompt, how its responses are scored; ask it without that text afterwards.

"MeRF: Motivation-enhanced Reinforcement Finetuning for Large Reasoning Models", arXiv 2506.18485.

The rulebook's own description m is put into the prompt of the rollouts and of the update; scores, credit and
objective stay what they are. Validation is without m, so the policy must have taken in what the text says.

    y ~ π(· | m, x)        ρ = π(y | m, x) / π_old(y | m, x)        reward: the rulebook that m describes

`variant` holds the paper's ablations (none, suboptimal, adverse) and two controls for length (shuffled, neutral).
`exposure` says who is told: always is the paper's; half, linear and sigmoid leave members of each group without m,
a schedule taken over from RuscaRL (arXiv 2508.16949). learning=bare updates π(y | x) instead, without correction.

Longer than other method files because of its claims: the paper's, its ablations, and open questions.
"""

from __future__ import annotations

from typing import Literal

from merf.core.recipe import Recipe
from merf.framing.motivation import EXPOSURES, Exposure, Motivated, Position, Telling, Variant
from merf.methods.registry import Claim, method
from merf.rules.wording import Style

NONE, HALF, ALWAYS = "none (RLVR)", "truth, half of each group", "truth, always"
SPARSE = "paid for right answers only"
CLAIMS = [
    Claim("higher accuracy, asked without the motivation", "merf-kk", (NONE, HALF), "accuracy", ">"),
    Claim("higher pass@8, asked without the motivation", "merf-kk", (NONE, HALF), "pass@8", ">"),
    Claim("it learns earlier", "merf-kk", (NONE, HALF), "average:accuracy", ">"),
    Claim("always telling, as in the paper, is better than never", "merf-kk", (NONE, ALWAYS), "accuracy", ">"),
    Claim("telling the untrained model changes nothing", "merf-kk", (NONE,), "start:gap:accuracy", "=", 0.05),
    Claim("trained with the text always there, it needs it no more", "merf-kk", (ALWAYS,), "gap:accuracy", "=", 0.04),
    Claim("trained with the text half the time, it needs it no more", "merf-kk", (HALF,), "gap:accuracy", "=", 0.04),
    Claim("more right answers among the training samples", "merf-kk", (NONE, HALF), "training:correct", ">"),
    Claim("higher entropy in the second half", "merf-kk", (NONE, HALF), "late:entropy", ">"),
    Claim(
        "part of the truth is better than nothing",
        "merf-kk",
        (NONE, "correctness only"),
        "accuracy",
        ">",
        0,
        "neutral text",
    ),
    Claim("the whole truth is better than a part", "merf-kk", ("correctness only", HALF), "accuracy", ">"),
    Claim("flipped signs learn later than silence", "merf-kk", (NONE, "signs flipped"), "average:accuracy", "<"),
    Claim("telling half transfers better than always", "merf-kk", (ALWAYS, HALF), "accuracy", ">"),
    Claim("a fading share transfers better than always", "merf-kk", (ALWAYS, "truth, fading"), "accuracy", ">"),
    Claim(
        "a base that can't read rulebooks gains nothing",
        "merf-kk",
        ("unread base: none", "unread base: truth"),
        "accuracy",
        "=",
        0.05,
    ),
    Claim(
        "entropy from temperature 1.2 gains nothing",
        "merf-questions",
        (NONE, "none at temperature 1.2"),
        "accuracy",
        "=",
        0.05,
    ),
    Claim(
        "it helps where only right answers pay",
        "merf-questions",
        (f"{SPARSE}: none", f"{SPARSE}: truth"),
        "accuracy",
        ">",
    ),
    Claim("it helps in a second wording", "merf-questions", (NONE, "second wording"), "accuracy", ">"),
    Claim("it helps in a third wording", "merf-questions", (NONE, "third wording"), "accuracy", ">"),
    Claim(
        "sampling with the text is enough",
        "merf-questions",
        (HALF, "told to act, updated without the text"),
        "accuracy",
        "=",
        0.05,
    ),
    Claim("the gain isn't the layout's", "merf-kk", (NONE, HALF), "lenient", ">"),
    Claim("it helps where work is rare: 5 %", "rarity", ("5 %: RLVR", "5 %: MeRF"), "average:accuracy", ">"),
    Claim("it helps where work is rare: 0.5 %", "rarity", ("0.5 %: RLVR", "0.5 %: MeRF"), "average:accuracy", ">"),
    Claim("it helps where work is rare: 0.05 %", "rarity", ("0.05 %: RLVR", "0.05 %: MeRF"), "average:accuracy", ">"),
    Claim(
        "and brings nothing where work is common", "rarity", ("30 %: RLVR", "30 %: MeRF"), "average:accuracy", "=", 0.05
    ),
    Claim("higher accuracy, asked with the motivation", "merf-kk", (NONE, HALF), "told:accuracy", ">", from_seed=5),
    Claim(
        "always telling is best where one tells in use, too",
        "merf-kk",
        (NONE, ALWAYS),
        "told:accuracy",
        ">",
        from_seed=5,
    ),
]


@method(
    "merf",
    paper="2506.18485",
    seams=["framing"],
    claims=CLAIMS,
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
