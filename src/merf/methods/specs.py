"""Metis-SPECS: before learning from rewards, learn to prefer one's own good responses to the same with a rule broken.

"Metis-SPECS: Decoupling Multimodal Learning via Self-distilled Preference-based Cold Start",
arXiv 2510.25801.

A cold start that imitates a teacher's solutions memorises them. Here both responses of a pair are the policy's own
with the same right answer, and differ in form only: so form is what is learned, and solving is left to the rewards.

    first steps   L = −log σ(β [log π(y⁺)/π_ref(y⁺) − log π(y⁻)/π_ref(y⁻)]) − λ log π(y⁺)/|y⁺|
    then          GRPO on R = 1[right] + 0.5 · 1[layout kept]

The paper breaks the layout in five ways; here any rule of the rulebook that an edit breaks alone may be it (`broken`
narrows that down). Reconstructed: the five ways, β, λ, and that π_ref is the starting model. Left out: a first short
GRPO that makes the model whose responses are paired (they are the present policy's), and a judge of their consistency.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.objective.policy_gradient import ClippedPolicyGradient
from merf.objective.preference import Kind, Preferring
from merf.rollout.preferred import ColdStart
from merf.rollout.sampled import must_be_in_one_go
from merf.rules.correctness import Correct
from merf.rules.format import Format

CLAIMS = [
    Claim("a cold start helps", "knights", ("specs:start=0", "specs"), "accuracy", ">"),
    Claim("better than imitating the same responses", "knights", ("specs:weight=0", "specs"), "accuracy", ">"),
    Claim("and the layout is kept more", "knights", ("specs:start=0", "specs"), "formatted", ">"),
]


@method("specs", paper="2510.25801", seams=["rules", "rollout", "credit", "objective"], claims=CLAIMS)
def specs(
    recipe: Recipe,
    start: float = 0.2,
    loss: Kind = "dpo",
    beta: float = 0.1,
    gamma: float = 0.0,
    weight: float = 1.0,
    imitation: float = 0.1,
    broken: str = "",
    clip: float = 0.2,
) -> Recipe:
    """`start` is the share of the run that is the cold start, `weight` that of the preferences in it, `imitation` λ,
    and `broken` the name of the rule that is broken, any if empty."""
    must_be_in_one_go(recipe.task, "specs")
    if not 0 <= start <= 1:
        raise ValueError(f"specs:start={start}: the cold start is a share of the run, from 0 to 1")
    book = recipe.rulebook.with_parts(Correct(1, 0, 0), Format(0.5, 0, recipe.task.layout))
    if broken:
        book.only(broken)  # refuses a name that is nobody's
    return recipe.but(
        rulebook=book,
        rollout=ColdStart(recipe.rollout, book, round(start * recipe.steps), broken),
        credit=GroupRelative(scale="group"),
        objective=Preferring(
            ClippedPolicyGradient(clip, clip, aggregate="sequence"), loss, beta, gamma, weight, imitation
        ),
        reference=True,
    )
