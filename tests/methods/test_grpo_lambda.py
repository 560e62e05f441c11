"""GRPO-λ."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from merf.methods.registry import compose
from tests.methods.conftest import answers


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def with_tokens(responses, tokens):
    items = [replace(r, tokens=n) for r, n in zip(responses, tokens, strict=True)]
    return replace(responses, items=items)


TEXTS = ("even", "even", "odd", "odd", "even", "odd")
TOKENS = (10, 30, 5, 10, 30, 5)
GROUP = (0, 0, 0, 1, 1, 1)


def test_only_the_best_solved_groups_pay_for_length_and_only_right_answers(recipe_of):
    """Lengths 10 and 30 of the right answers: mean 20, deviation 10, z = −1 and 1."""
    book = recipe_of("grpo-lambda:share=0.5").rulebook
    total = book.score(with_tokens(answers(*TEXTS, group=GROUP), TOKENS)).total
    expected = [1 - 0.6 * sigmoid(-1), 1 - 0.6 * sigmoid(1), 0, 0, 1, 0]
    np.testing.assert_allclose(total, expected)


def test_the_quota_is_rounded_up_so_that_one_group_always_pays(recipe_of):
    book = recipe_of("grpo-lambda").rulebook
    total = book.score(with_tokens(answers(*TEXTS, group=GROUP), TOKENS)).total
    assert total[0] < 1
    assert total[4] == 1


def test_a_batch_without_right_answers_pays_nothing(recipe_of):
    book = recipe_of("grpo-lambda").rulebook
    assert not book.score(with_tokens(answers("odd", "odd"), (1, 2))).total.any()


def test_a_single_right_answer_has_no_one_to_compare_with(recipe_of):
    book = recipe_of("grpo-lambda").rulebook
    assert book.score(with_tokens(answers("even", "odd"), (9, 2))).total[0] == 1 - 0.6 * 0.5


def test_the_gate_and_its_numbers_are_told(recipe_of):
    said = recipe_of("grpo-lambda:share=0.3:alpha=0.4").rulebook.describe()
    assert "only if the question is among the easiest 30% of the batch" in said
    assert "multiplied by 0.4" in said


def test_it_trains_with_scores_between_the_bounds(trained):
    steps = trained("grpo,grpo-lambda")
    assert all(0 <= step["rewards/correctness/mean"] <= 1 for step in steps)


def test_another_reward_for_right_answers_is_refused(recipe_of):
    with pytest.raises(ValueError, match="grpo-lambda and pear both decide what the rulebook's 'correctness' pays"):
        compose(recipe_of(), ["grpo-lambda,pear"])
    with pytest.raises(ValueError, match="share of the batch"):
        recipe_of("grpo-lambda:share=1.5")
