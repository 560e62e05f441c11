"""Log-prob, VeriFree, JEPO: pay a chain of thought by how likely it makes the reference answer.

"Likelihood-Based Reward Designs for General LLM Reasoning" (log-prob), arXiv 2602.03979; VeriFree, arXiv 2505.21493;
JEPO, arXiv 2503.19618. The last is reconstructed from a comparison, not from the paper's own equations.

No answer is verified: the policy is asked how likely it finds the reference y* after the reasoning z_i. Likelihoods of
long answers are all near 0, so their product teaches nothing there, while the logarithm still tells chains apart.

    log-prob   R_i = 1/L Σ_t log p_t        A_i = R_i − mean of the others (RLOO)        p_t = π(y*_t | x, z_i, y*_<t)
    verifree   R_i = Π_t p_t                A_i as above
    jepo       R_i = Σ_t log p_t            A_i = log mean_j exp R_j − log mean_{j≠i} exp R_j

Left out: the gradient through the reward itself, that is, imitating y* after each chain; only the chains learn.
Answers are sampled along with their chains and share their advantage, where the papers stop before them. Logarithms
are kept above −50, which is also what a response without an answer gets.
"""

from __future__ import annotations

from merf.core.recipe import Recipe
from merf.core.seams import Credit
from merf.credit.bound import MultiSampleBound
from merf.credit.group import GroupRelative
from merf.methods.registry import Claim, method
from merf.rules.likelihood import Mean, ReferenceLikelihood

RLOO = GroupRelative(scale="none", leave_one_out=True)
# A missing answer at −50 a token would drown the differences between answers in a run this short; −10 is below what a
# token drawn blindly gets. The baseline's advantages are RLOO's up to G/(G − 1).
BOUNDED = "log-prob:floor=-10"


def by_likelihood(recipe: Recipe, of: Mean, credit: Credit, floor: float = -50.0) -> Recipe:
    """The reference's likelihood is all that is paid."""
    paid = ReferenceLikelihood(of, floor=floor)
    return recipe.but(rulebook=recipe.rulebook.with_parts(paid).only(paid.name), credit=credit)


@method(
    "log-prob",
    paper="2602.03979",
    seams=["rules", "credit"],
    claims=[
        Claim("as accurate as paying for right answers", "knights", ("dr-grpo", BOUNDED), "accuracy", "=", 0.05),
        Claim("better than the bare probability", "knights", ("verifree", BOUNDED), "accuracy", ">"),
    ],
)
def log_prob(recipe: Recipe, of: Mean = "mean-log", floor: float = -50.0) -> Recipe:
    """`of` is how the tokens' probabilities are put together: any of the family."""
    return by_likelihood(recipe, of, RLOO, floor)


@method("verifree", paper="2505.21493", seams=["rules", "credit"])
def verifree(recipe: Recipe) -> Recipe:
    return by_likelihood(recipe, "product", RLOO)


@method("jepo", paper="2503.19618", seams=["rules", "credit"])
def jepo(recipe: Recipe, floor: float = -50.0) -> Recipe:
    return by_likelihood(recipe, "log", MultiSampleBound(), floor)
