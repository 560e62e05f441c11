"""MeRF and its arms."""

from __future__ import annotations

import pytest

from merf.core.progress import Progress
from merf.methods.registry import compose


def prompts(recipe, fraction=0.0):
    problem = next(recipe.task.problems())
    progress = Progress(round(100 * fraction), 101)
    return [recipe.framing(problem, i, 4, progress, recipe.rulebook) for i in range(4)]


def told(recipe, fraction=0.0) -> list[bool]:
    return [prompt.exposure > 0 for prompt in prompts(recipe, fraction)]


def test_everybody_reads_the_rulebooks_own_description(recipe_of):
    recipe = recipe_of("merf")
    assert all(recipe.rulebook.describe() in prompt.acting[0]["content"] for prompt in prompts(recipe))
    assert all(prompt.acting == prompt.learning for prompt in prompts(recipe))
    assert told(recipe, 1.0) == [True] * 4


@pytest.mark.parametrize(
    ("exposure", "start", "end"), [("half", 2, 2), ("linear", 4, 0), ("sigmoid", 4, 0), ("always", 4, 4)]
)
def test_exposure_says_how_many_of_a_group_are_told(recipe_of, exposure, start, end):
    recipe = recipe_of(f"merf:exposure={exposure}")
    assert (sum(told(recipe)), sum(told(recipe, 1.0))) == (start, end)


def test_the_arms_of_the_paper(recipe_of):
    truth = recipe_of("merf").framing.telling
    adverse, nothing = (recipe_of(f"merf:variant={v}").framing.telling for v in ("adverse", "none"))
    book = recipe_of().rulebook
    assert truth(book) == book.describe()
    assert adverse(book) == book.inverted().describe()
    assert nothing(book) == ""


def test_bare_learning_hides_the_text_from_the_gradient(recipe_of):
    recipe = recipe_of("merf:learning=bare")
    assert all(recipe.rulebook.describe() not in str(prompt.learning) for prompt in prompts(recipe))


def test_it_changes_the_framing_alone_and_goes_with_any_objective(recipe_of):
    plain, motivated = recipe_of("dr-grpo"), recipe_of("dr-grpo,merf")
    assert motivated.but(framing=plain.framing, curriculum=plain.curriculum) == plain


def test_it_trains_on_prompts_that_hold_the_motivation(trained):
    trained("grpo,merf:exposure=half")


def test_two_motivations_are_refused(recipe_of):
    with pytest.raises(ValueError, match="merf and merf both decide the framing"):
        compose(recipe_of(), ["merf", "merf:exposure=half"])
