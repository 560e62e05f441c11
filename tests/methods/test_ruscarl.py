"""RuscaRL: a rubric shown in different doses within a group, gone after a fifth of training."""

from __future__ import annotations

import math

import pytest

from merf import Concise, Correct, Format, Rulebook
from merf.core.progress import Progress
from merf.framing.scaffold import graded
from tests.methods.conftest import Evens

RULES = Rulebook(Correct(), Format(), Concise(40))


def prompts(recipe, step, size=7, book=RULES):
    problem = next(Evens().problems())
    return [recipe.framing(problem, i, size, Progress(step, 101), book) for i in range(size)]


def test_doses_fall_in_equal_steps_from_everything_to_nothing():
    assert [graded(i, 5) for i in range(5)] == [1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize("step", [0, 19, 20, 21, 40, 100])
def test_shown_parts_follow_the_formula(recipe_of, step):
    decay = 1 / (1 + math.exp(125 * (step / 100 - 0.2)))
    wanted = [round((6 - i) / 6 * decay * 3) for i in range(7)]
    shown = [round(prompt.exposure * 3) for prompt in prompts(recipe_of("ruscarl"), step)]
    assert shown == wanted


def test_what_is_shown_are_the_rulebooks_own_sentences_and_the_gradient_sees_none(recipe_of):
    recipe = recipe_of("ruscarl")
    sentences = [part.describe() for part in RULES]
    for prompt in prompts(recipe, 0):
        text = prompt.acting[0]["content"]
        assert sum(sentence in text for sentence in sentences) == round(prompt.exposure * 3)
        assert prompt.learning[0]["content"] == Evens().instruction
    everything = prompts(recipe, 0)[0]
    assert RULES.describe() in everything.acting[0]["content"]
    assert prompts(recipe_of("ruscarl:learning=acting"), 0)[0].learning == everything.acting


def test_the_draw_depends_on_problem_step_and_member_alone(recipe_of):
    recipe = recipe_of("ruscarl:steepness=0")
    assert prompts(recipe, 3) == prompts(recipe, 3)
    texts = {str(prompts(recipe, step)[1].acting) for step in range(20)}
    assert len(texts) > 1


def test_half_a_group_sees_everything(recipe_of):
    shown = [prompt.exposure for prompt in prompts(recipe_of("ruscarl:within=half"), 0, size=4)]
    assert shown == [1, 1, 0, 0]


def test_two_steps_first_scaffolded_then_bare(trained):
    first, last = trained("grpo,ruscarl")
    assert first["told"] == 0.5  # one part: doses 1, 2/3, 1/3, 0 round to 1, 1, 0, 0
    assert last["told"] == 0


def test_it_decides_the_framing_as_merf_does(recipe_of):
    with pytest.raises(ValueError, match="merf and ruscarl both decide the framing"):
        recipe_of("merf,ruscarl")
