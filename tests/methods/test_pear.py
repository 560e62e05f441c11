"""PEAR, on texts whose tokens are single characters."""

from __future__ import annotations

import numpy as np
import pytest

from merf import ThinkAnswer
from merf.rules.likelihood import Hesitation
from tests.methods.conftest import Evens, answers
from tests.methods.letters import Letters, recorded

TASK = Evens(ThinkAnswer())
RIGHT = "<think>ab</think><answer>even</answer>"
WRONG = RIGHT.replace("even", "odd")


def entropies(text: str, think: float, tag: float, answer: float) -> list[float]:
    """`think` for each token up to </think>, `tag` on it, `answer` afterwards."""
    at = text.find("</think>")
    return [think if i < at or at < 0 else tag if i < at + 8 else answer for i in range(len(text))]


def batch(*rows):
    responses = answers(*(text for text, _ in rows), task=TASK)
    return recorded(responses, Letters(), entropy=[values for _, values in rows])


def test_right_answers_lose_by_the_gap_and_wrong_ones_get_nothing(recipe_of):
    book = recipe_of("pear", task=TASK).rulebook
    scores = book.score(
        batch(
            (RIGHT, entropies(RIGHT, 0.7, 99, 0.2)),  # 1 − (0.7 − 0.2); the tag itself doesn't count
            (RIGHT, entropies(RIGHT, 0.2, 99, 0.7)),  # never more than 1
            (WRONG, entropies(WRONG, 0.7, 99, 0.2)),
        )
    )
    np.testing.assert_allclose(scores.total, [0.5, 1.0, 0.0])


def test_alpha_weighs_the_answers_entropy(recipe_of):
    book = recipe_of("pear:alpha=2", task=TASK).rulebook
    np.testing.assert_allclose(book.score(batch((RIGHT, entropies(RIGHT, 0.7, 0, 0.2)))).total, 1 - (0.7 - 2 * 0.2))


def test_without_a_closing_tag_all_is_thinking():
    np.testing.assert_allclose(Hesitation().score(batch(("abc", [1.0, 2.0, 3.0]))), 2.0)
    np.testing.assert_allclose(Hesitation().score(batch(("</think>abc", entropies("</think>abc", 5, 9, 1)))), 0.0)


def test_an_opening_that_was_given_has_no_entropies():
    text = "<think>ab</think>c"
    responses = recorded(answers(text), Letters(), opening="<think>", entropy=[[3.0, 1.0, *[9.0] * 8, 0.5]])
    np.testing.assert_allclose(Hesitation().score(responses), 2.0 - 0.5)


def test_where_nothing_was_recorded_there_is_no_score():
    assert np.isnan(Hesitation().score(answers("text"))).all()


def test_the_penalty_and_its_numbers_are_told(recipe_of):
    said = recipe_of("pear:alpha=1.5").rulebook.describe()
    assert "mean entropy, in nats" in said
    assert "1.5 times" in said
    assert "</think>" in said


def test_it_trains_on_recorded_entropies(trained):
    steps = trained("grpo,pear")
    # A random policy dithers: its right answers, each worth 1 without the penalty, lose more than that.
    assert any(step["rewards/correctness/mean"] < 0 for step in steps)
    assert all(step["failed_verifiers"] == 0 for step in steps)


def test_another_reward_for_right_answers_is_refused(recipe_of):
    with pytest.raises(ValueError, match="pear and rlcr both decide what the rulebook's 'correctness' pays"):
        recipe_of("pear", "rlcr")
